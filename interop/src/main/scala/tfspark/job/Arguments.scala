package tfspark.job

import com.fasterxml.jackson.databind.JsonNode
import scala.jdk.CollectionConverters._
import tfspark.ConfigError
import tfspark.shared.{Near, Shared}
import tfspark.shared.Shared.say

/** The command line of the job.
  *
  * @param help
  *   what `--help` or `--help all` prints, where it was asked for
  * @param log
  *   the form of the log
  * @param overrides
  *   dotted name of a setting → its value
  */
private[tfspark] final case class Arguments(
    config: Option[String] = None,
    dryRun: Boolean = false,
    help: Option[String] = None,
    log: Option[String] = None,
    overrides: Vector[(String, Any)] = Vector.empty
)

private[tfspark] object Arguments {
  private val Short = Shared.map("flags")
  private val Own = Seq("--config", "--dry-run", "--log", "--conf")

  /** @throws ConfigError
    *   an unknown flag, one without its value, or a setting of Spark that is none
    */
  def parse(told: Seq[String]): Arguments = {
    val flags = leaves(Settings.schema.root, "").toMap
    val named = Short ++ flags.keys.map(path => s"--$path" -> path)
    val known = Own ++ leaves(Settings.schema.root, "").flatMap { case (path, _) =>
      Short.collect { case (short, `path`) => short }.toSeq :+ s"--$path"
    }
    def next(
        rest: List[String],
        found: Arguments,
        spark: Vector[String],
        unknown: Option[String]
    ): (Arguments, Seq[String], Option[String]) =
      rest match {
        case Nil => (found, spark, unknown)
        case ("-h" | "--help") :: more =>
          val text = if (more.headOption.contains("all")) "help all" else "help"
          (found.copy(help = Some(Shared.text(text))), spark, None)
        case "--dry-run" :: more => next(more, found.copy(dryRun = true), spark, unknown)
        case flag :: more =>
          val (name, joined) = flag.split("=", 2) match {
            case Array(name, value) if name.startsWith("--") => (name, Some(value))
            case _ => (flag, None)
          }
          if (name == "--dry-run") refuse("a_value", "flag" -> name)
          if (!named.contains(name) && !Own.contains(name))
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
              case "--log" => next(after, found.copy(log = Some(form(value))), spark, unknown)
              case _ =>
                val read = if (isContainer(flags(named(name)))) asYaml(value, shown) else value
                val all = found.overrides :+ (named(name) -> read)
                next(after, found.copy(overrides = all), spark, unknown)
            }
          }
      }
    val (found, spark, unknown) = next(told.toList, Arguments(), Vector.empty, None)
    unknown.foreach(refuseUnknown(_, known))
    if (found.help.isDefined) found
    else found.copy(overrides = found.overrides ++ spark.map(sparkSetting))
  }

  private def refuseUnknown(flag: String, known: Seq[String]): Nothing =
    if (!flag.startsWith("-"))
      refuse(if (flag.matches("(?s).*\\.ya?ml")) "a_file" else "no_flag", "text" -> flag)
    else {
      def end(name: String) = name.dropWhile(_ == '-').split("\\.", -1).last.replace("-", "_")
      val ends = known.filter(name => end(name) == end(flag))
      val near = if (ends.isEmpty) Near.said(flag, known) else Near.meant(ends.take(3))
      refuse("unknown_flag", "flag" -> flag, "near" -> near)
    }

  private def form(text: String): String = {
    val forms = Shared.texts("forms of the log")
    if (!forms.contains(text)) {
      val expected = s"${forms.init.mkString(", ")} or ${forms.last}"
      val said = say("literal_error", "expected" -> expected)
      refuse("flag_wrong", "flag" -> "--log", "said" -> said)
    }
    text
  }

  private def refuse(text: String, values: (String, Any)*): Nothing =
    throw new ConfigError(say(text, values: _*))

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

  private def isValue(text: String) =
    !text.startsWith("--") && text != "-h" || text.contains(" ")

  private def asYaml(text: String, flag: String): Any =
    try
      YamlFile.value(text) match {
        case found @ (_: Map[_, _] | _: Seq[_]) => found
        case _ => text
      }
    catch {
      case _: ConfigError if text.trim.isEmpty => text
      case _: ConfigError =>
        refuse("flag_wrong", "flag" -> flag, "said" -> say("not_yaml_value"))
    }

  private def sparkSetting(text: String): (String, Any) = text.split("=", 2) match {
    case Array(key, value) if key.startsWith("spark.") => s"spark.$key" -> value
    case parts => refuse("no_spark_setting", "text" -> parts.head)
  }
}
