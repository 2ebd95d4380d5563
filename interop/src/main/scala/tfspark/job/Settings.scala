package tfspark.job

import java.time.LocalDate
import org.apache.hadoop.conf.Configuration
import scala.collection.immutable.VectorMap
import tfspark.ConfigError
import tfspark.shared.{Mask, Near, Shared}
import tfspark.shared.Shared.say
import tfspark.storage.Storage

/** A raw table; `{date}` in `path` is the logical date. */
private[tfspark] final case class Source(
    format: String = "parquet",
    path: String = "",
    options: Map[String, Any] = Map.empty,
    dayColumn: Option[String] = None,
    images: Boolean = false
) {

  /** The path of a day. */
  def place(day: LocalDate): String = path.replace("{date}", day.toString)

  /** The options for Spark's reader of the format. */
  def sparkOptions: Map[String, String] = options.map { case (name, value) =>
    name -> value.toString
  }
}

/** The settings of every job, as `tfspark/config/settings.py` has them; those of scoring by name.
  *
  * @param all
  *   every setting with its value
  */
private[tfspark] final class Settings(val all: VectorMap[String, Any]) {
  private def section(name: String) = all(name).asInstanceOf[Map[String, Any]]
  private def text(section: Map[String, Any], name: String) = section(name).asInstanceOf[String]
  private def texts(value: Any): Map[String, String] = value.asInstanceOf[Map[String, String]]
  private val score = section("score")

  val name: String = text(all, "name")
  val contract: String = text(all, "contract")
  val warehouse: String = text(all, "warehouse")
  val date: Option[LocalDate] = Option(all("date").asInstanceOf[LocalDate])
  val spark: Map[String, String] = texts(all("spark"))

  val source: Source = {
    val told = section("source")
    val day = Option(told("day_column").asInstanceOf[String])
    Source(
      text(told, "format"),
      text(told, "path"),
      told("options").asInstanceOf[Map[String, Any]],
      day,
      told.get("images").exists(_ != null)
    )
  }

  val input: String = text(score, "input")

  /** A text, or a name → text mapping. */
  val model: Any = score("model")
  val signature: Option[String] =
    Some(text(score, "signature"))
      .filter(_.nonEmpty)
      .orElse(Some("classes").filter(_ => score("classes") == true))
  val segmentColumn: String = text(score, "segment_column")
  val output: String = text(score, "output")
  val keep: Seq[String] = score("keep").asInstanceOf[Seq[String]]
  val plan: String = text(score, "plan")

  /** The limit that stands in place of the contract's. */
  val limit: Option[Limit] =
    Option(score("max_bad_rows")).map(most => Limit(None, Some(most.asInstanceOf[Long])))

  /** Output → name of its column. */
  val outputs: Map[String, String] = texts(score("outputs"))

  /** Settings that the job in Python alone knows, if they are set. */
  val onlyPython: Seq[String] = Seq("constants", "binary", "threshold", "evolve").filter { name =>
    score(name) match {
      case map: Map[_, _] => map.nonEmpty
      case list: Seq[_] => list.nonEmpty
      case flag: Boolean => flag
      case other => other != null
    }
  }

  val inputs: Map[String, Seq[String]] =
    score("inputs").asInstanceOf[Map[String, Any]].map {
      case (input, columns: Seq[_]) => input -> columns.map(_.toString)
      case (input, column) => input -> Seq(column.toString)
    }

  /** The scored table. */
  def scored: String = if (output.nonEmpty) output else s"${folder(warehouse)}/scored/$name"

  /** The table of bad rows. */
  def quarantine: String = s"${folder(warehouse)}/quarantine"

  def trackingUri: String = {
    val named = text(section("registry"), "tracking_uri")
    if (named.nonEmpty) named
    else "sqlite:///" + new Storage(s"${folder(warehouse)}/mlflow.db", new Configuration()).shown
  }

  private def folder(path: String) = path.replaceAll("/+$", "")
}

private[tfspark] object Settings {
  private val Prefix = Shared.text("prefix")
  private val Own = Shared.texts("own variables").toSet

  /** What is known of settings: the schema that Python makes. */
  val schema: Schema = Schema.read(
    "settings.json",
    new Rules {
      override def before(model: String, field: String, value: Any): Any = value match {
        case text: String if model == "Score" && field == "keep" =>
          text.split(",", -1).map(_.trim).toVector
        case map: Map[_, _] if field == "class_weights" || field == "resample" =>
          map.map { case (key, value) => key.toString -> value }
        case other => other
      }
      override def field(model: String, field: String, value: Any): Option[String] = None
      override def whole(model: String, fields: Map[String, Any]): Option[String] = model match {
        case "Source" =>
          val options = fields("options").asInstanceOf[Map[String, Any]]
          TextOptions.fault(fields("format").toString, options)
        case "Score" =>
          val classes = fields("classes") == true
          if (fields("threshold") != null && !classes) Some(say("threshold_alone"))
          else if (classes && fields("signature") != "") Some(say("classes_signature"))
          else None
        case _ => None
      }
    },
    unknown = "unknown_setting"
  )

  /** Settings from a file, the environment and overrides (dotted names, as on the command line).
    *
    * @throws ConfigError
    *   an unknown key, a wrong value or a broken file, with its place
    */
  def load(
      path: Option[String],
      overrides: Seq[(String, Any)],
      environment: Map[String, String],
      conf: Configuration
  ): Settings = {
    val file = path.map(read(_, conf))
    val told = nested(overrides)
    refuseUnknown(environment)
    val fromFile = file.fold[Any](VectorMap.empty[String, Any])(_.value)
    val merged = Seq(Environment.settings(schema, environment), told).foldLeft(fromFile)(merge)
    try new Settings(schema.check(merged))
    catch {
      case misfit: Misfit =>
        throw new ConfigError(said(misfit, path, file, environment, told))
    }
  }

  /** The logical date.
    *
    * @throws ConfigError
    *   none was told; a job never takes the clock's
    */
  def requireDate(settings: Settings): LocalDate = settings.date.getOrElse(
    throw new ConfigError(say("no_date"))
  )

  /** The effective settings, every secret replaced by `***`. */
  def masked(settings: Settings): Map[String, Any] = {
    def mask(value: Any, key: String): Any = value match {
      case map: Map[_, _] if !Mask.Free(key) =>
        map.map { case (name, inner) => name -> mask(inner, name.toString) }
      case date: LocalDate => date.toString
      case other => Mask.value(other, key, free = Mask.Free(key))
    }
    mask(settings.all, "").asInstanceOf[Map[String, Any]]
  }

  private def read(path: String, conf: Configuration): YamlFile = {
    val (folder, name) = Storage.split(path)
    val storage = new Storage(folder, conf)
    if (!storage.exists(name))
      throw new ConfigError(say("no_file", "path" -> path))
    val file = YamlFile.parse(storage.read(name), path)
    if (!file.value.isInstanceOf[Map[_, _]])
      throw new ConfigError(say("no_mapping", "path" -> path))
    file
  }

  private def nested(dotted: Seq[(String, Any)]): VectorMap[String, Any] =
    dotted.foldLeft(VectorMap.empty[String, Any]) { case (all, (name, value)) =>
      // A Spark setting has dots of its own.
      val parts = if (name.startsWith("spark.")) name.split("\\.", 2) else name.split("\\.")
      val one = parts.foldRight(value)((part, inner) => VectorMap(part -> inner))
      merge(all, one).asInstanceOf[VectorMap[String, Any]]
    }

  private def merge(below: Any, above: Any): Any = (below, above) match {
    case (one: Map[_, _], other: Map[_, _]) =>
      other.asInstanceOf[Map[String, Any]].foldLeft(one.asInstanceOf[Map[String, Any]]) {
        case (all, (key, value)) => all.updated(key, all.get(key).fold(value)(merge(_, value)))
      }
    case _ => above
  }

  private def refuseUnknown(environment: Map[String, String]): Unit = {
    val known = schema.root.get("properties").properties().stream().map[String](_.getKey).toList
    for (variable <- environment.keys if variable.startsWith(Prefix) && !Own(variable)) {
      val first = variable.stripPrefix(Prefix).split("__").headOption.getOrElse("").toLowerCase
      if (!known.contains(first)) {
        val names = known.toArray.map(name => Prefix + name.toString.toUpperCase)
        val all = names.mkString(", ")
        val near = Near.said(first, known.toArray.map(_.toString).toSeq)
        val values = Seq("variable" -> variable, "near" -> near, "known" -> all)
        throw new ConfigError(say("unknown_variable", values: _*))
      }
    }
  }

  private def said(
      misfit: Misfit,
      path: Option[String],
      file: Option[YamlFile],
      environment: Map[String, String],
      told: Map[String, Any]
  ): String = {
    val parts = misfit.path.map(_.toString)
    val inner = parts.foldLeft[Any](told) {
      case (map: Map[_, _], part) => map.asInstanceOf[Map[String, Any]].getOrElse(part, null)
      case _ => null
    }
    val variable = parts.inits.filter(_.nonEmpty)
      .map(some => Prefix + some.mkString("__").toUpperCase).find(environment.contains)
    val place =
      if (inner != null) "command line"
      else if (variable.nonEmpty) s"environment ${variable.get}"
      else path.fold("settings")(name => s"$name:${file.fold(1)(_.line(misfit.path))}")
    say("at", "where" -> place, "path" -> parts.mkString("."), "said" -> misfit.said)
  }
}
