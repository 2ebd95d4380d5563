package tfspark.job

import com.fasterxml.jackson.databind.JsonNode
import org.yaml.snakeyaml.error.YAMLException
import scala.jdk.CollectionConverters._
import tfspark.ConfigError
import tfspark.shared.Shared

/** The command line of the job.
  *
  * @param overrides
  *   dotted name of a setting → its value
  */
private[tfspark] final case class Arguments(
    config: Option[String] = None,
    dryRun: Boolean = false,
    help: Boolean = false,
    overrides: Vector[(String, Any)] = Vector.empty
)

/** A command line that is no call of this job: what Python's argparse says of it. */
private[tfspark] final class UsageError(message: String) extends RuntimeException(message)

private[tfspark] object Arguments {
  private val Short = Shared.map("flags")
  private val Negative = """-\d+|-\d*\.\d+""".r

  /** @throws UsageError
    *   an unknown flag, or one without its value
    * @throws ConfigError
    *   a setting of Spark that is none
    */
  def parse(told: Seq[String]): Arguments = {
    val flags = leaves(Settings.schema.root, "").toMap
    val named = Short ++ flags.keys.map(path => s"--$path" -> path)
    def next(
        rest: List[String],
        found: Arguments,
        spark: Vector[String]
    ): (Arguments, Seq[String]) =
      rest match {
        case Nil => (found, spark)
        case ("-h" | "--help") :: _ => (found.copy(help = true), spark)
        case "--dry-run" :: more => next(more, found.copy(dryRun = true), spark)
        case flag :: more =>
          val (name, joined) = flag.split("=", 2) match {
            case Array(name, value) if name.startsWith("--") => (name, Some(value))
            case _ => (flag, None)
          }
          if (!named.contains(name) && name != "--config" && name != "--conf")
            throw new UsageError(s"unrecognized arguments: ${unknown(rest, named.keySet)}")
          val shown = named.get(name).fold(name)(path => spellings(path))
          val (value, after) = (joined, more) match {
            case (Some(value), _) => (value, more)
            case (None, value :: after) if isValue(value) => (value, after)
            case _ => throw new UsageError(s"argument $shown: expected one argument")
          }
          name match {
            case "--config" => next(after, found.copy(config = Some(value)), spark)
            case "--conf" => next(after, found, spark :+ value)
            case _ =>
              val read = if (isContainer(flags(named(name)))) asYaml(value, shown) else value
              val one = named(name) -> read
              next(after, found.copy(overrides = found.overrides :+ one), spark)
          }
      }
    val (found, spark) = next(told.toList, Arguments(), Vector.empty)
    if (found.help) found
    else found.copy(overrides = found.overrides ++ spark.map(sparkSetting))
  }

  /** What `--help` prints. */
  def help: String = {
    val head =
      """usage: score [-h] [--config FILE] [--dry-run] [--conf spark.X=Y] [--SETTING VALUE ...]
        |
        |table and model -> scored Delta table, one day. Command line > environment
        |(TFSPARK_SOURCE__PATH=...) > configuration file > default.
        |
        |  --config FILE  configuration file, e.g. conf/x.yaml
        |  --dry-run  print the effective settings, secrets masked
        |  --conf spark.X=Y  a setting of Spark
        |""".stripMargin
    val lines = leaves(Settings.schema.root, "").map { case (path, spec) =>
      val default = Option(spec.get("default")).fold("")(value => s" [default $value]")
      s"  ${spellings(path).replace("/", ", ")} VALUE  ${spec.path("description").asText}$default"
    }
    head + lines.mkString("\n") + "\n"
  }

  private def spellings(path: String): String =
    Short.collectFirst { case (short, `path`) => s"$short/--$path" }.getOrElse(s"--$path")

  /** Every flag: dotted name → type. Settings of Spark have a flag of their own. */
  private def leaves(model: JsonNode, prefix: String): Seq[(String, JsonNode)] =
    model.path("properties").properties().asScala.toSeq.flatMap { field =>
      val path = prefix + field.getKey
      if (path == "spark") Nil
      else if (field.getValue.has("$ref"))
        leaves(Settings.schema.resolved(field.getValue), s"$path.")
      else Seq(path -> field.getValue)
    }

  private def isContainer(spec: JsonNode): Boolean =
    (spec +: spec.path("anyOf").asScala.toSeq).exists { kind =>
      Set("array", "object").contains(kind.path("type").asText)
    }

  private def isValue(text: String) = !text.startsWith("-") || text.contains(" ") ||
    text == "-" || Negative.matches(text)

  private def unknown(rest: List[String], known: Set[String]): String =
    rest.takeWhile(text => !known(text)).mkString(" ")

  private def asYaml(text: String, flag: String): Any =
    try
      YamlFile.value(text) match {
        case found @ (_: Map[_, _] | _: Seq[_]) => found
        case _ => text
      }
    catch {
      case error: YAMLException =>
        throw new UsageError(s"argument $flag: '$text' is not YAML: ${error.getMessage}")
    }

  private def sparkSetting(text: String): (String, Any) = text.split("=", 2) match {
    case Array(key, value) if key.startsWith("spark.") => s"spark.$key" -> value
    case _ => throw new ConfigError(s"command line: --conf $text: is not spark.NAME=VALUE")
  }
}
