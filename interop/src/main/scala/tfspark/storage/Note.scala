package tfspark.storage

import com.fasterxml.jackson.core.JsonProcessingException
import com.fasterxml.jackson.databind.{JsonNode, ObjectMapper}
import tfspark.IntegrityError
import tfspark.shared.Shared.say

/** Small files of JSON that a run leaves for others, as `tfspark/storage/files.py` checks them. */
private[tfspark] object Note {
  private val json = new ObjectMapper()

  /** @throws IntegrityError
    *   it is not JSON
    */
  def parse(content: Array[Byte], path: String): JsonNode =
    try json.readTree(content)
    catch {
      case _: JsonProcessingException => throw new IntegrityError(say("not_json", "path" -> path))
    }

  /** A file's content, if it has these fields.
    *
    * @throws IntegrityError
    *   it has not; `path` is for the message
    */
  def checked(note: JsonNode, path: String)(fields: (String, JsonNode => Boolean)*): JsonNode = {
    for ((field, fits) <- fields if !fits(note.path(field)))
      throw new IntegrityError(say("not_ours", "path" -> path, "field" -> field))
    note
  }

  val Text: JsonNode => Boolean = found => found.isTextual && found.asText.nonEmpty
  val Whole: JsonNode => Boolean = _.isIntegralNumber
  val Number: JsonNode => Boolean = _.isNumber
}
