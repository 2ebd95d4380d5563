package tfspark.tfrecord

import com.fasterxml.jackson.databind.JsonNode
import com.fasterxml.jackson.databind.node.JsonNodeFactory
import java.nio.charset.StandardCharsets.UTF_8
import java.time.LocalDate
import java.time.format.DateTimeParseException
import scala.collection.immutable.ListMap
import tfspark.tfrecord.ArrowType.Plain

/** Values of partition columns: null, a Long, a String, a Boolean or a LocalDate. In folders' names
  * (`day=2026-01-01/`), in manifests, and as text.
  */
private[tfspark] object Partition {

  /** The folder of rows whose partition column is null, as Hive and Spark name it. */
  val Null = "__HIVE_DEFAULT_PARTITION__"

  /** `day=2026-01-01/hour=3/` of the values; empty without any. */
  def folder(values: Iterable[(String, Any)]): String =
    values.map { case (name, value) => s"${quote(name, "")}=${text(value)}/" }.mkString

  /** The columns of the folders that a file lies in, and their text. */
  def parse(file: String): ListMap[String, String] = {
    val folders = file.split('/').dropRight(1).filter(_.contains('='))
    ListMap.from(folders.map { folder =>
      val at = folder.indexOf('=')
      unquote(folder.take(at)) -> unquote(folder.drop(at + 1))
    })
  }

  /** What a column is whose values are these texts: int64 or string. */
  def kindOf(texts: Seq[String]): ArrowType =
    Plain(if (texts.forall(text => text == Null || isInteger(text))) "int64" else "string")

  private def isInteger(text: String): Boolean = {
    val digits = text.stripPrefix("-")
    digits.nonEmpty && digits.forall(Character.isDigit)
  }

  /** The value of a folder's text. */
  def value(text: String, kind: ArrowType): Any =
    if (text == Null) null else if (kind == Plain("int64")) text.toLong else text

  def toJson(value: Any): JsonNode = {
    val json = JsonNodeFactory.instance
    value match {
      case null => json.nullNode()
      case number: Long => json.numberNode(number)
      case flag: Boolean => json.booleanNode(flag)
      case other => json.textNode(other.toString)
    }
  }

  def fromJson(value: JsonNode, kind: ArrowType): Any =
    if (value.isNull) null
    else if (value.isBoolean) value.asBoolean
    else if (value.isIntegralNumber) value.asLong
    else if (kind != Plain("date32[day]")) value.asText
    else
      try LocalDate.parse(value.asText)
      catch { case error: DateTimeParseException => throw new NotJson(error.getMessage) }

  /** As Catalyst has it. */
  def internal(value: Any, kind: ArrowType): Any = value match {
    case number: Long =>
      kind match {
        case Plain("int8") => number.toByte
        case Plain("int16" | "uint8") => number.toShort
        case Plain("int32" | "uint16") => number.toInt
        case Plain("uint64") => org.apache.spark.sql.types.Decimal(BigDecimal(number), 20, 0)
        case _ => number
      }
    case date: LocalDate => Math.toIntExact(date.toEpochDay)
    case text: String => org.apache.spark.unsafe.types.UTF8String.fromString(text)
    case other => other
  }

  private def text(value: Any): String = value match {
    case null => Null
    case other => quote(other.toString, " ")
  }

  /** Percent signs, as Python's `urllib.parse.quote` sets them. */
  private def quote(text: String, safe: String): String = text.getBytes(UTF_8).map { byte =>
    val char = byte.toChar
    val plain = byte > 0 && (char.isLetterOrDigit || "_.-~".contains(char) || safe.contains(char))
    if (plain) char.toString else f"%%${byte & 0xff}%02X"
  }.mkString

  private def unquote(text: String): String = {
    val out = new java.io.ByteArrayOutputStream
    var at = 0
    while (at < text.length) {
      val hex = text.slice(at + 1, at + 3)
      if (text(at) == '%' && hex.matches("[0-9a-fA-F]{2}")) {
        out.write(Integer.parseInt(hex, 16))
        at += 3
      } else {
        val next = text.offsetByCodePoints(at, 1)
        out.write(text.substring(at, next).getBytes(UTF_8))
        at = next
      }
    }
    out.toString(UTF_8)
  }
}
