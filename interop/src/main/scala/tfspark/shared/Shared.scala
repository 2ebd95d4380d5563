package tfspark.shared

import com.fasterxml.jackson.databind.{JsonNode, ObjectMapper}
import scala.jdk.CollectionConverters._
import scala.util.Using
import scala.util.matching.Regex

/** What Python and this module have in common, from resources that `scripts/shared_resources.py`
  * writes.
  */
private[tfspark] object Shared {
  private lazy val shared = read("shared.json")
  private lazy val sentences = map("texts")
  private val Place = """\{(\w+)\}|\{\{|\}\}""".r

  /** A resource of JSON. */
  def read(name: String): JsonNode =
    Using.resource(getClass.getResourceAsStream(s"/tfspark/$name")) { stream =>
      new ObjectMapper().readTree(stream)
    }

  /** The text of that name in `tfspark/wording.py`, with its values. */
  def say(name: String, values: (String, Any)*): String = {
    val known = values.toMap
    Place.replaceAllIn(
      sentences(name),
      found =>
        Regex.quoteReplacement(
          if (found.group(1) == null) found.matched.take(1) else known(found.group(1)).toString
        )
    )
  }

  /** The errors of Python: name → the class above it and the exit code. */
  def errors: Map[String, (String, Int)] =
    shared.get("errors").properties().asScala.map { e =>
      e.getKey -> ((e.getValue.get("under").asText, e.getValue.get("exit code").asInt))
    }.toMap

  def node(name: String): JsonNode = shared.get(name)

  def text(name: String): String = shared.get(name).asText

  def texts(name: String): Seq[String] = shared.get(name).asScala.map(_.asText).toSeq

  def map(name: String): Map[String, String] =
    shared.get(name).properties().asScala.map(e => e.getKey -> e.getValue.asText).toMap
}
