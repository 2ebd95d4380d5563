package tfspark.job

import java.nio.charset.Charset
import scala.collection.immutable.VectorMap
import scala.jdk.CollectionConverters._
import scala.util.Try
import tfspark.ConfigError
import tfspark.shared.Shared
import tfspark.shared.Shared.say

/** Options of a text source (CSV, JSON), as `tfspark/config/textoptions.py` has them. */
private[tfspark] final case class TextOptions(chosen: Map[String, Any]) {
  private def text(name: String, other: String = "", default: String = ""): String =
    chosen.get(name).orElse(chosen.get(other)).fold(default)(_.toString)

  private def texts(name: String, other: String = ""): Seq[String] =
    chosen.get(name).orElse(chosen.get(other)) match {
      case Some(values: Seq[_]) => values.map(_.toString)
      case _ => Nil
    }

  val columns: Seq[String] = texts("columns")
  val header: Boolean = chosen.getOrElse("header", columns.isEmpty).asInstanceOf[Boolean]
  val comma: String = text("sep", "delimiter", ",")
  val quote: String = text("quote", default = "\"")
  val escape: String = text("escape")
  val nulls: Seq[String] = texts("nullValue", "nullValues")

  /** Options by which Spark lists files. */
  val files: Map[String, String] =
    TextOptions.Files.flatMap(name => chosen.get(name).map(name -> _.toString)).toMap

  /** @throws ConfigError
    *   an option that is not read here
    */
  def refuseOthers(format: String): Unit = {
    val own = Set("header", "columns", "sep", "delimiter", "quote", "escape", "nullValue") ++
      TextOptions.Files + "nullValues"
    val utf8 = Set("utf-8", "utf8", "us-ascii", "ascii")
    for ((name, value) <- chosen if !own(name)) {
      val harmless = name match {
        case "multiLine" => format == "csv" || value == false
        case "encoding" | "charset" => utf8(value.toString.toLowerCase)
        case "compression" => value == "auto"
        case _ => false
      }
      if (!harmless) throw TextOptions.notHere(name)
    }
  }
}

private[tfspark] object TextOptions {

  /** The error of an option that Python alone reads. */
  def notHere(name: String): ConfigError = new ConfigError(
    s"source.options.$name: the Scala module does not read it; run the job in Python (tfspark score)"
  )

  private val Near = 2
  private val known = VectorMap.from(
    Shared.node("text options").properties().asScala.toSeq.map { e =>
      e.getKey ->
        ((
          e.getValue.get("kind").asText,
          e.getValue.get("formats").asScala.map(_.asText).toSet
        ))
    }
  )
  private val needless = Shared.map("needless options")
  private val same = Shared.map("same options")
  private val Files = Shared.texts("options of files")
  private val compressions = Shared.texts("compressions")

  /** @throws Refused
    *   an option is not known, or its value is none that it takes
    */
  def of(format: String, options: Map[String, Any]): TextOptions = {
    val chosen = options.foldLeft(VectorMap.empty[String, Any]) { case (found, (name, option)) =>
      val spelled = named(format, name)
      if (found.contains(spelled)) refuse("option_twice", "name" -> name, "other" -> spelled)
      found + (spelled -> value(name, known(spelled)._1, option))
    }
    for ((one, other) <- same if chosen.contains(one) && chosen.contains(other))
      refuse("option_twice", "name" -> one, "other" -> other)
    val found = TextOptions(chosen)
    for (name <- Seq("dateFormat", "timestampFormat"); pattern <- found.texts(name))
      checkPattern(pattern)
    if (found.text("decimal", default = ".") == found.text("thousands")) refuse("option_marks")
    val plain = format == "json" && chosen.contains("trueValues")
    val yes = found.texts("trueValues").map(_.toLowerCase) ++ Option.when(plain)("true")
    val no = found.texts("falseValues").map(_.toLowerCase) ++ Option.when(plain)("false")
    if (yes.intersect(no).nonEmpty || yes.isEmpty != no.isEmpty) refuse("option_words")
    val repeated = found.columns.distinct.size < found.columns.size
    if (found.columns.nonEmpty && (found.header || repeated)) refuse("option_columns")
    found
  }

  private val Letters = "'[^']*'|([A-Za-z])\\1*|[^A-Za-z']".r
  private val Parts =
    Set("yyyy", "MM", "M", "MMM", "dd", "d", "HH", "H", "mm", "ss", "XXX") ++ (1 to 6).map("S" * _)

  /** A date's pattern, of which every part is known, and a day is told by it. */
  private def checkPattern(text: String): Unit = {
    val parts = Letters.findAllIn(text).toSeq
    val letters = parts.filter(_.matches("[A-Za-z]+"))
    val kinds = letters.map(_.head)
    val whole = parts.mkString == text && letters.forall(Parts) && kinds.distinct == kinds
    if (!whole || !"yMd".forall(kinds.contains(_)))
      refuse("option_pattern", "pattern" -> text)
  }

  private final class Refused(said: String) extends IllegalArgumentException(said)

  private def refuse(text: String, values: (String, Any)*): Nothing =
    throw new Refused(say(text, values: _*))

  /** What is wrong with the options of a source. */
  def fault(format: String, options: Map[String, Any]): Option[String] =
    if (format == "csv" || format == "json")
      try { of(format, options): Unit; None }
      catch { case refused: Refused => Some(refused.getMessage) }
    else if (format == "images")
      options.keys.headOption.map(name => say("option_images", "name" -> name))
    else
      options.collectFirst { case (name, _: Seq[_]) => say("option_list", "name" -> name) }

  private def named(format: String, name: String): String = {
    val taken = known.collect { case (spelled, (_, formats)) if formats(format) => spelled }.toSeq
    taken.find(_.equalsIgnoreCase(name)).getOrElse {
      for ((other, why) <- needless if other.equalsIgnoreCase(name))
        refuse("option_needless", "name" -> name, "why" -> say(why))
      for (near <- taken.find(k => Hint.distance(k.toLowerCase, name.toLowerCase) <= Near))
        refuse("option_near", "name" -> name, "format" -> format, "near" -> near)
      val all = taken.mkString(", ")
      refuse("option_unknown", "name" -> name, "format" -> format, "known" -> all)
    }
  }

  private def value(name: String, kind: String, chosen: Any): Any = kind match {
    case "flag" =>
      chosen match {
        case flag: Boolean => flag
        case text: String if Set("true", "false")(text.toLowerCase) => text.toLowerCase == "true"
        case _ => refuse("option_flag", "name" -> name)
      }
    case "texts" =>
      chosen match {
        case _: Boolean => refuse("option_texts", "name" -> name)
        case values: Seq[_] => values
        case one => Vector(one.toString)
      }
    case _ =>
      chosen match {
        case text: String => single(name, kind, if (text == "\\t") "\t" else text)
        case _ => refuse("option_text", "name" -> name)
      }
  }

  private def single(name: String, kind: String, text: String): String = {
    val one = text.length == 1
    val empty = kind.endsWith("or none") && text.isEmpty
    val char = one && text.head < 128 && !"\r\n".contains(text)
    if (kind.startsWith("char") && !char && !empty) refuse("option_char", "name" -> name)
    val mark = one && !"+-0123456789eE\r\n".contains(text)
    if (kind.startsWith("mark") && !mark && !empty) refuse("option_mark", "name" -> name)
    if (kind == "encoding" && !Try(Charset.isSupported(text)).getOrElse(false))
      refuse("option_encoding", "name" -> name, "value" -> text)
    if (kind == "compression") {
      val all = Seq("auto", "none") ++ compressions
      if (!all.contains(text.toLowerCase))
        refuse(
          "option_compression",
          "name" -> name,
          "value" -> text.toLowerCase,
          "known" -> all.mkString(", ")
        )
      text.toLowerCase
    } else text
  }
}
