package tfspark.model

import java.nio.ByteBuffer
import java.nio.charset.{CharacterCodingException, StandardCharsets}

import scala.collection.mutable
import scala.io.Source
import scala.util.Using
import scala.util.control.NoStackTrace

/** Whether a SavedModel is written as protobuf writes one, and so can be read in one way only.
  *
  * The table of its fields is the Python side's (`tfspark/registry/savedmodel.py`), and so is the
  * verdict: no unknown field, none twice, no two that exclude each other, no number longer than
  * need be, no text that is not UTF-8 (also in fields that TensorFlow's classes here do not know).
  */
private[tfspark] object Form {
  private object Unclear extends RuntimeException with NoStackTrace

  /** @param place
    *   among those that a message holds once; -1 for a field that repeats
    */
  private final case class Field(wire: Int, inside: Option[Message], place: Int, text: Boolean)
  private final class Message {
    val fields = mutable.HashMap.empty[Int, Field]
    val once = mutable.ArrayBuffer.empty[String]
  }

  private val (varint, fixed64, length, fixed32) = (0, 1, 2, 5)
  private val deepest = 100 // as protobuf
  private val wires: Map[String, Int] = Map(
    "double" -> fixed64,
    "fixed64" -> fixed64,
    "sfixed64" -> fixed64,
    "float" -> fixed32,
    "fixed32" -> fixed32,
    "sfixed32" -> fixed32,
    "string" -> length,
    "bytes" -> length
  )

  def isClear(content: Array[Byte], message: String = "SavedModel"): Boolean =
    try {
      new Scan(content).message(messages(message), content.length, 0)
      true
    } catch { case Unclear => false }

  private lazy val messages: Map[String, Message] = {
    val messages = mutable.HashMap.empty[String, Message]
    def of(name: String) = messages.getOrElseUpdate(name, new Message)
    val lines = Using.resource(
      Source.fromInputStream(getClass.getResourceAsStream("/tfspark/saved_model_fields.txt"))
    )(_.getLines().map(_.split(" ")).toVector)
    for (line <- lines) {
      val message = of(line(0))
      val (number, name, kind, how) = (line(1).toInt, line(2), line(3), line.lift(4).getOrElse(""))
      val inside = Option.when(kind.head.isUpper)(of(kind))
      val several = how == "repeated" || how == "map"
      val group = if (how.isEmpty) name else how
      if (!several && !message.once.contains(group)) message.once += group
      val place = if (several) -1 else message.once.indexOf(group)
      // Repeated numbers are written in one piece.
      val wire = if (several || inside.isDefined) length else wires.getOrElse(kind, varint)
      message.fields(number) = Field(wire, inside, place, kind == "string")
    }
    messages.toMap
  }

  private final class Scan(content: Array[Byte]) {
    private var at = 0

    def message(kind: Message, end: Int, depth: Int): Unit = {
      if (depth > deepest) throw Unclear
      var seen = 0L
      while (at < end) {
        val tag = number(end)
        if (tag < 0 || tag > 0xffffffffL) throw Unclear
        val field = kind.fields.getOrElse((tag >>> 3).toInt, throw Unclear)
        if (field.wire != (tag & 7).toInt) throw Unclear
        if (field.place >= 0) {
          if ((seen >>> field.place & 1) == 1) throw Unclear
          seen |= 1L << field.place
        }
        field.wire match {
          case `varint` => number(end): Unit
          case `fixed64` => skip(8, end)
          case `fixed32` => skip(4, end)
          case _ =>
            val size = number(end)
            if (size < 0 || size > end - at) throw Unclear
            field.inside match {
              case Some(inside) => message(inside, at + size.toInt, depth + 1)
              case None =>
                if (field.text) text(size.toInt)
                at += size.toInt
            }
        }
      }
    }

    private def text(size: Int): Unit = {
      var ascii = at
      while (ascii < at + size && content(ascii) >= 0) ascii += 1
      if (ascii < at + size)
        try StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(content, at, size)): Unit
        catch { case _: CharacterCodingException => throw Unclear }
    }

    private def skip(size: Int, end: Int): Unit = {
      if (size > end - at) throw Unclear
      at += size
    }

    private def number(end: Int): Long = {
      var value = 0L
      var count = 0
      var more = true
      while (more) {
        if (at >= end || count == 10) throw Unclear
        val byte = content(at)
        at += 1
        value |= (byte & 0x7fL) << (7 * count)
        count += 1
        more = byte < 0
        // The tenth byte has one bit of the number.
        val bits = if (count == 10) byte & 1 else byte & 0x7f
        if (!more && count > 1 && bits == 0) throw Unclear
      }
      value
    }
  }
}
