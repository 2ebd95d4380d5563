package tfspark.tfrecord

import com.fasterxml.jackson.databind.JsonNode

/** Values in messages, as Python's `repr` writes them. */
private[tfrecord] object Repr {
  def apply(text: String): String =
    if (text.contains('\'') && !text.contains('"')) s"\"$text\""
    else "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"

  def apply(value: JsonNode): String = if (value.isTextual) apply(value.asText) else value.toString

  def list(texts: Seq[String]): String = texts.map(apply).mkString("[", ", ", "]")
}
