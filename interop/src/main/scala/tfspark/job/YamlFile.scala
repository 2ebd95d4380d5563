package tfspark.job

import java.io.StringReader
import java.nio.ByteBuffer
import java.nio.charset.CodingErrorAction
import java.nio.charset.StandardCharsets.UTF_8
import java.time.{DateTimeException, LocalDate}
import java.util.{List => JavaList, Map => JavaMap}
import org.yaml.snakeyaml.constructor.{AbstractConstruct, SafeConstructor}
import org.yaml.snakeyaml.error.{MarkedYAMLException, YAMLException}
import org.yaml.snakeyaml.reader.ReaderException
import org.yaml.snakeyaml.events.{AliasEvent, CollectionEndEvent, CollectionStartEvent}
import org.yaml.snakeyaml.nodes.{MappingNode, Node, ScalarNode, SequenceNode, Tag}
import org.yaml.snakeyaml.representer.{Represent, Representer}
import org.yaml.snakeyaml.{DumperOptions, LoaderOptions, Yaml}
import scala.collection.immutable.VectorMap
import scala.collection.mutable
import scala.jdk.CollectionConverters._
import tfspark.ConfigError
import tfspark.shared.Shared.say

/** A YAML file: plain values (`VectorMap`, `Vector`, String, Long, BigInt, Double, Boolean,
  * LocalDate, null), the line of every path in it, and what the file says for every value that YAML
  * does not read as text.
  */
private[tfspark] final case class YamlFile(
    value: Any,
    lines: Map[Vector[Any], Int],
    texts: Map[Vector[Any], String]
) {

  /** The line of a path, or of the next thing around it that has one. */
  def line(path: Vector[Any]): Int =
    path.inits.flatMap(lines.get).nextOption().getOrElse(1)
}

private[tfspark] object YamlFile {
  private val Deepest = 40
  private val Options = {
    val options = new LoaderOptions()
    options.setTagInspector(_ => true) // `walk` names those that are not allowed
    options
  }
  private val Tags = Set(Tag.STR, Tag.INT, Tag.FLOAT, Tag.BOOL, Tag.NULL, Tag.TIMESTAMP) ++
    Set(Tag.MAP, Tag.SEQ, Tag.MERGE, Tag.BINARY, Tag.OMAP, Tag.PAIRS, Tag.SET)
  // Where the library does not say what Python's says.
  private val Found = """(but got|found undefined alias) (<[^>]+>|[^'\s]+)$""".r
  private val Tab = """'\\t\(TAB\)'(.*?)\.? \(Do not use.*""".r

  private final class Plain extends SafeConstructor(Options) {
    // Its own would take the 13th month for January.
    yamlConstructors.put(
      Tag.TIMESTAMP,
      new AbstractConstruct {
        override def construct(node: Node): Object = {
          val text = node.asInstanceOf[ScalarNode].getValue
          if (text.length > 10) text else date(text)
        }
      }
    )

    def of(node: Node): Any = plain(constructDocument(node))
  }

  private def date(text: String): LocalDate =
    try {
      // YAML takes four, two and two digits for a date.
      val (year, month, day) = (text.take(4).toInt, text.slice(5, 7).toInt, text.drop(8).toInt)
      LocalDate.of(year, month, day)
    } catch {
      case _: DateTimeException =>
        throw new YAMLException(say("no_such_value", "text" -> text, "kind" -> "date"))
    }

  /** Safe tags only; a key that is named twice is refused.
    *
    * @param where
    *   the file in messages
    * @throws ConfigError
    *   not UTF-8, not YAML, or a mapping with two keys of one name
    */
  def parse(content: Array[Byte], where: String): YamlFile = {
    val text = decode(content, where)
    def refuse(line: Int, said: String) =
      notYaml(where, line, words(said))
    try {
      refuseBombs(text, where)
      val node = new Yaml(Options).compose(new StringReader(text))
      if (node == null) throw new ConfigError(say("empty", "where" -> where))
      val lines = mutable.Map.empty[Vector[Any], Int]
      val texts = mutable.Map.empty[Vector[Any], String]
      walk(node, Vector.empty, lines, texts, where)
      YamlFile(new Plain().of(node), lines.toMap, texts.toMap)
    } catch {
      case error: MarkedYAMLException =>
        val mark = Option(error.getProblemMark).orElse(Option(error.getContextMark))
        refuse(mark.fold(1)(_.getLine + 1), error.getProblem)
      case error: ReaderException =>
        val line = text.take(error.getPosition).count(_ == '\n') + 1
        notYaml(where, line, say("no_character"))
    }
  }

  /** Refuse what a few bytes make endless or huge: aliases, thousands of brackets. */
  private def refuseBombs(text: String, where: String): Unit = {
    var depth = 0
    for (event <- new Yaml(Options).parse(new StringReader(text)).asScala) {
      val line = event.getStartMark.getLine + 1
      event match {
        case alias: AliasEvent =>
          notYaml(where, line, say("no_alias", "name" -> alias.getAnchor))
        case _: CollectionStartEvent => depth += 1
        case _: CollectionEndEvent => depth -= 1
        case _ =>
      }
      if (depth > Deepest) notYaml(where, line, say("too_deep", "most" -> Deepest))
    }
  }

  private def words(said: String): String =
    Tab.replaceAllIn(Found.replaceAllIn(said, "$1 '$2'"), found => s"'\\\\t'${found.group(1)}")

  private def notYaml(where: String, line: Int, problem: String): Nothing =
    throw new ConfigError(say("not_yaml", "where" -> where, "line" -> line, "problem" -> problem))

  /** The value of a text, as on the command line.
    *
    * @throws ConfigError
    *   it has none
    */
  def value(text: String): Any = parse(text.getBytes(UTF_8), "").value

  /** Values as YAML, in blocks. */
  def dump(value: Any): String = {
    val options = new DumperOptions()
    options.setDefaultFlowStyle(DumperOptions.FlowStyle.BLOCK)
    options.setAllowUnicode(true)
    new Yaml(new Numbers(options), options).dump(java(value))
  }

  /** Floats as Python writes them: Java's `1.0E-5` is `1.0e-05` there. */
  private final class Numbers(options: DumperOptions) extends Representer(options) {
    private val floats: Represent = data =>
      representScalar(Tag.FLOAT, real(data.asInstanceOf[Double]))
    representers.put(classOf[_root_.java.lang.Double], floats)
  }

  private def real(number: Double): String =
    if (number.isNaN) ".nan"
    else if (number.isInfinite) if (number > 0) ".inf" else "-.inf"
    else {
      val exact = new _root_.java.math.BigDecimal(number.toString).stripTrailingZeros
      val power = if (number == 0) 0 else exact.precision - exact.scale - 1
      if (power >= -4 && power < 16) {
        val plain = exact.toPlainString
        val signed = if (number == 0 && 1 / number < 0) "-0" else plain
        if (signed.contains('.')) signed else s"$signed.0"
      } else {
        val digits = exact.unscaledValue.abs.toString
        val rest = if (digits.length > 1) digits.tail else "0"
        val sign = if (number < 0) "-" else ""
        f"$sign${digits.head}.${rest}e${if (power < 0) "-" else "+"}${power.abs}%02d"
      }
    }

  private def decode(content: Array[Byte], where: String): String = {
    val input = ByteBuffer.wrap(content)
    val output = _root_.java.nio.CharBuffer.allocate(content.length)
    val decoder = UTF_8.newDecoder().onMalformedInput(CodingErrorAction.REPORT)
    if (decoder.decode(input, output, true).isError) {
      val line = content.take(input.position()).count(_ == '\n') + 1
      throw new ConfigError(say("not_utf8", "where" -> where, "line" -> line))
    }
    output.flip().toString
  }

  private def walk(
      node: Node,
      path: Vector[Any],
      lines: mutable.Map[Vector[Any], Int],
      texts: mutable.Map[Vector[Any], String],
      where: String
  ): Unit = {
    val line = node.getStartMark.getLine + 1
    lines.getOrElseUpdate(path, line)
    if (!Tags(node.getTag)) notYaml(where, line, say("no_tag", "tag" -> node.getTag.getValue))
    node match {
      case mapping: MappingNode =>
        val seen = mutable.Set.empty[String]
        for (entry <- mapping.getValue.asScala) {
          val line = entry.getKeyNode.getStartMark.getLine + 1
          val key = entry.getKeyNode match {
            case scalar: ScalarNode => scalar.getValue
            case _ => notYaml(where, line, say("no_text_key"))
          }
          if (!seen.add(key))
            throw new ConfigError(say("same_key", "where" -> where, "line" -> line, "key" -> key))
          lines(path :+ key) = line
          walk(entry.getValueNode, path :+ key, lines, texts, where)
        }
      case sequence: SequenceNode =>
        for ((inner, index) <- sequence.getValue.asScala.zipWithIndex)
          walk(inner, path :+ index, lines, texts, where)
      case scalar: ScalarNode =>
        val found =
          try new Plain().of(scalar)
          catch {
            case error: ConfigError => throw error
            case _: RuntimeException => null
          }
        if (found != null && !found.isInstanceOf[String]) texts(path) = scalar.getValue
        if (found == null && scalar.getTag != Tag.NULL) {
          val kind = scalar.getTag.getValue.split(":").last.replace("timestamp", "date")
          notYaml(where, line, say("no_such_value", "text" -> scalar.getValue, "kind" -> kind))
        }
      case _ =>
    }
  }

  private def plain(value: Any): Any = value match {
    case map: JavaMap[_, _] =>
      VectorMap.from(map.asScala.iterator.map { case (k, v) => String.valueOf(k) -> plain(v) })
    case list: JavaList[_] => list.asScala.map(plain).toVector
    case whole: Integer => whole.toLong
    case whole: _root_.java.math.BigInteger => BigInt(whole)
    case other => other
  }

  private def java(value: Any): Any = value match {
    case map: Map[_, _] =>
      val made = new _root_.java.util.LinkedHashMap[Any, Any]
      map.foreach { case (k, v) => made.put(k, java(v)) }
      made
    case list: Seq[_] => list.map(java).asJava
    case whole: BigInt => whole.bigInteger
    case other => other
  }
}
