package tfspark.job

import com.fasterxml.jackson.databind.JsonNode
import scala.jdk.CollectionConverters._
import tfspark.ConfigError
import tfspark.shared.Shared
import tfspark.shared.Shared.say

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

private[tfspark] object Arguments {
  private val Short = Shared.map("flags")
  private val Negative = """-\d+|-\d*\.\d+""".r

  /** @throws ConfigError
    *   an unknown flag, one without its value, or a setting of Spark that is none
    */
  def parse(told: Seq[String]): Arguments = {
    val flags = leaves(Settings.schema.root, "").toMap
    val named = Short ++ flags.keys.map(path => s"--$path" -> path)
    def next(
        rest: List[String],
        found: Arguments,
        spark: Vector[String],
        unknown: Option[String]
    ): (Arguments, Seq[String], Option[String]) =
      rest match {
        case Nil => (found, spark, unknown)
        case ("-h" | "--help") :: _ => (found.copy(help = true), spark, None)
        case "--dry-run" :: more => next(more, found.copy(dryRun = true), spark, unknown)
        case flag :: more =>
          val (name, joined) = flag.split("=", 2) match {
            case Array(name, value) if name.startsWith("--") => (name, Some(value))
            case _ => (flag, None)
          }
          if (name == "--dry-run") refuse("a_value", "flag" -> name)
          if (!named.contains(name) && name != "--config" && name != "--conf")
            next(more, found, spark, unknown.orElse(Some(name)))
          else {
            val shown = named.get(name).fold(name)(path => s"--$path")
            val (value, after) = (joined, more) match {
              case (Some(value), _) => (value, more)
              case (None, value :: after) if isValue(value) => (value, after)
              case _ => refuse("no_value", "flag" -> shown)
            }
            name match {
              case "--config" => next(after, found.copy(config = Some(value)), spark, unknown)
              case "--conf" => next(after, found, spark :+ value, unknown)
              case _ =>
                val read = if (isContainer(flags(named(name)))) asYaml(value, shown) else value
                val all = found.overrides :+ (named(name) -> read)
                next(after, found.copy(overrides = all), spark, unknown)
            }
          }
      }
    val (found, spark, unknown) = next(told.toList, Arguments(), Vector.empty, None)
    unknown.foreach(flag => refuse("unknown_flag", "flag" -> flag))
    if (found.help) found
    else found.copy(overrides = found.overrides ++ spark.map(sparkSetting))
  }

  private def refuse(text: String, values: (String, Any)*): Nothing =
    throw new ConfigError(say(text, values: _*))

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

  private def asYaml(text: String, flag: String): Any =
    try
      YamlFile.value(text) match {
        case found @ (_: Map[_, _] | _: Seq[_]) => found
        case _ => text
      }
    catch {
      case _: ConfigError if text.trim.isEmpty => text
      case _: ConfigError =>
        refuse("flag_not_yaml", "flag" -> flag)
    }

  private def sparkSetting(text: String): (String, Any) = text.split("=", 2) match {
    case Array(key, value) if key.startsWith("spark.") => s"spark.$key" -> value
    case parts => refuse("no_spark_setting", "text" -> parts.head)
  }
}
