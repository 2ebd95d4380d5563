package tfspark.job

import com.fasterxml.jackson.core._
import com.fasterxml.jackson.core.json.JsonReadFeature
import java.io.ByteArrayOutputStream
import java.nio.ByteBuffer
import java.nio.charset.CodingErrorAction
import java.nio.charset.StandardCharsets.UTF_8
import scala.collection.mutable

/** Lines of JSON, whose fields are taken as text, as `tfspark/jsonfiles/` does: numbers digit by
  * digit; a name that is there twice, or text behind the object, is refused.
  */
private[tfspark] object JsonLines {
  private val Damaged = "\udcff"
  private val factory = new JsonFactoryBuilder()
    .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
    .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
    .streamReadConstraints(
      StreamReadConstraints
        .builder()
        .maxNumberLength(Int.MaxValue)
        .maxStringLength(Int.MaxValue)
        .maxNameLength(Int.MaxValue)
        .build()
    )
    .build()

  /** The fields of a line by their names, null where one is missing; last the line itself, where it
    * is no object with fields.
    */
  def fields(line: Array[Byte], names: Seq[String]): Seq[Array[Byte]] = if (line == null) null
  else {
    val decoder = UTF_8
      .newDecoder()
      .onMalformedInput(CodingErrorAction.REPLACE)
      .replaceWith(Damaged)
    val found =
      try read(decoder.decode(ByteBuffer.wrap(line)).toString.stripPrefix("\ufeff"))
      catch { case _: java.io.IOException => Map.empty[String, String] }
    val values = names.map(name => found.get(name).flatMap(Option(_)).map(bytes).orNull)
    values :+ (if (found.isEmpty) line else null)
  }

  private def read(text: String): Map[String, String] = {
    val parser = factory.createParser(text)
    try {
      if (parser.nextToken() != JsonToken.START_OBJECT) return Map.empty
      val found = mutable.Map[String, String]()
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        val name = parser.currentName()
        parser.nextToken(): Unit
        val written = new StringBuilder
        write(parser, written, whole = true)
        found(name) = if (parser.currentToken() == JsonToken.VALUE_NULL) null else written.toString
      }
      if (parser.nextToken() != null) Map.empty else found.toMap
    } finally parser.close()
  }

  /** A value as text: a string as it is, if it is the whole; others as JSON without spaces. */
  private def write(parser: JsonParser, out: StringBuilder, whole: Boolean): Unit =
    parser.currentToken() match {
      case JsonToken.START_OBJECT =>
        out += '{'
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
          if (out.last != '{') out += ','
          quote(parser.currentName(), out)
          out += ':'
          parser.nextToken(): Unit
          write(parser, out, whole = false)
        }
        out += '}'
      case JsonToken.START_ARRAY =>
        out += '['
        var first = true
        while (parser.nextToken() != JsonToken.END_ARRAY) {
          if (!first) out += ','
          first = false
          write(parser, out, whole = false)
        }
        out += ']'
      case JsonToken.VALUE_STRING if !whole => quote(parser.getText, out)
      case JsonToken.VALUE_NUMBER_FLOAT if parser.isNaN =>
        val word = parser.getText
        if (!Set("NaN", "Infinity", "-Infinity")(word))
          throw new JsonParseException(parser, word)
        out ++= word
      case _ => out ++= parser.getText
    }

  private def quote(text: String, out: StringBuilder): Unit = {
    out += '"'
    text.foreach {
      case '"' => out ++= "\\\""
      case '\\' => out ++= "\\\\"
      case '\n' => out ++= "\\n"
      case '\r' => out ++= "\\r"
      case '\t' => out ++= "\\t"
      case '\b' => out ++= "\\b"
      case '\f' => out ++= "\\f"
      case c if c < ' ' => out ++= f"\\u${c.toInt}%04x"
      case c => out += c
    }
    out += '"'
  }

  /** UTF-8; half a surrogate pair becomes bytes that are none. */
  private def bytes(text: String): Array[Byte] =
    if (!text.exists(Character.isSurrogate)) text.getBytes(UTF_8)
    else {
      val out = new ByteArrayOutputStream
      var at = 0
      while (at < text.length) {
        val code = text.codePointAt(at)
        if (code >= 0xd800 && code <= 0xdfff)
          out.write(Array(
            0xe0 | (code >> 12),
            0x80 | ((code >> 6) & 63),
            0x80 | (code & 63)
          ).map(_.toByte))
        else out.write(new String(Character.toChars(code)).getBytes(UTF_8))
        at += Character.charCount(code)
      }
      out.toByteArray
    }
}
