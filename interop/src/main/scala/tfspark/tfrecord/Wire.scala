package tfspark.tfrecord

import java.io.ByteArrayOutputStream
import java.nio.{ByteBuffer, ByteOrder}
import scala.collection.mutable

/** These bytes are no message. */
private[tfrecord] final class WireError(message: String) extends RuntimeException(message)

/** The kind that a Feature has (0: none), and its values: byte arrays, floats or longs. */
private[tfrecord] final case class Values(kind: Int, values: Seq[Any])

/** One record at a time: what the quick way of [[Spans]] does not take.
  *
  * `parse` reads any encoding that protocol buffers allow: fields in any order, repeated, unknown,
  * split over several messages, packed or not; `usual` makes of it the one that writers use.
  */
private[tfrecord] object Wire {

  /** A field of a message: its value is data[begin:end]. */
  private final case class Field(number: Int, wire: Int, begin: Int, end: Int)

  private def fields(data: Array[Byte], start: Int, stop: Int): Iterator[Field] =
    new Iterator[Field] {
      private var at = start
      def hasNext: Boolean = at < stop
      def next(): Field = {
        val (tag, begin) = varint(data, at, stop)
        val (number, wire) = (tag >>> 3, (tag & 7).toInt)
        if (number <= 0 || number >= (1 << 29))
          throw new WireError(s"field number $number at byte $begin")
        val (from, end) = wire match {
          case 0 => (begin, varint(data, begin, stop)._2.toLong)
          case 1 => (begin, begin + 8L)
          case 5 => (begin, begin + 4L)
          case 2 =>
            val (size, from) = varint(data, begin, stop)
            (from, if (size < 0 || size > stop) Long.MaxValue else from + size)
          case _ => throw new WireError(s"wire type $wire at byte $begin")
        }
        if (end > stop) throw new WireError(s"a field ends at byte $end, its message at $stop")
        at = end.toInt
        Field(number.toInt, wire, from, at)
      }
    }

  /** An unsigned 64-bit integer and where it ends. */
  private def varint(data: Array[Byte], start: Int, stop: Int): (Long, Int) = {
    var (number, at) = (0L, start)
    val last = math.min(start + 10, stop)
    while (at < last) {
      val byte = data(at)
      number |= (byte & 127L) << 7 * (at - start)
      at += 1
      if (byte >= 0) return (number, at)
    }
    throw new WireError(s"the integer at byte $start does not end")
  }

  /** The features and the feature lists of a record, by name; names are ISO-8859-1 of their bytes.
    *
    * @throws WireError
    *   it is neither an Example nor a SequenceExample
    */
  def parse(data: Array[Byte]): (Map[String, Values], Map[String, Seq[Values]]) = {
    val features = mutable.LinkedHashMap.empty[String, Values]
    val lists = mutable.LinkedHashMap.empty[String, Seq[Values]]
    for (field <- fields(data, 0, data.length) if field.wire == 2)
      if (field.number == 1)
        for ((key, spans) <- entries(data, field)) features(key) = feature(data, spans)
      else if (field.number == 2)
        for ((key, spans) <- entries(data, field)) lists(key) = spans.flatMap { span =>
          fields(data, span.begin, span.end)
            .filter(inner => inner.number == 1 && inner.wire == 2)
            .map(inner => feature(data, Seq(inner)))
            .toSeq
        }
    (features.to(scala.collection.immutable.ListMap), lists.to(scala.collection.immutable.ListMap))
  }

  /** Every entry of a map: the key, and where the messages are that merged are its value. */
  private def entries(data: Array[Byte], map: Field): Iterator[(String, Seq[Field])] =
    fields(data, map.begin, map.end).filter(entry => entry.number == 1 && entry.wire == 2).map {
      entry =>
        val inner = fields(data, entry.begin, entry.end).filter(_.wire == 2).toSeq
        val key = inner.filter(_.number == 1).lastOption.fold(Array.emptyByteArray)(bytes(data, _))
        new String(key, "ISO-8859-1") -> inner.filter(_.number == 2)
    }

  private def feature(data: Array[Byte], spans: Seq[Field]): Values = {
    var kind = 0
    val values = mutable.Buffer.empty[Any]
    for (span <- spans; field <- fields(data, span.begin, span.end))
      if (field.wire == 2 && field.number <= 3) {
        val tag = field.number << 3 | 2
        if (tag != kind) values.clear()
        kind = tag
        list(data, tag, field, values)
      }
    Values(kind, values.toSeq)
  }

  private def list(data: Array[Byte], kind: Int, in: Field, found: mutable.Buffer[Any]): Unit =
    for (field <- fields(data, in.begin, in.end) if field.number == 1) {
      var at = field.begin
      if (kind == Kind.bytes && field.wire == 2) found += bytes(data, field)
      else if (kind == Kind.float && (field.wire == 2 || field.wire == 5)) {
        val size = field.end - at
        if (size % 4 != 0) throw new WireError(s"$size bytes of floats at byte $at")
        val words = ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN)
        while (at < field.end) {
          found += words.getFloat(at)
          at += 4
        }
      } else if (kind == Kind.int64 && (field.wire == 0 || field.wire == 2))
        while (at < field.end) {
          val (number, next) = varint(data, at, field.end)
          found += number
          at = next
        }
    }

  private def bytes(data: Array[Byte], field: Field): Array[Byte] =
    java.util.Arrays.copyOfRange(data, field.begin, field.end)

  /** A record of any form in the form that writers give it: the same features and values.
    *
    * @throws WireError
    *   it is neither an Example nor a SequenceExample
    */
  def usual(data: Array[Byte]): Array[Byte] = {
    val (features, lists) = parse(data)
    val out = new ByteArrayOutputStream
    def entry(number: Int, key: String, value: Array[Byte]): Unit = {
      val name = delimited(1, key.getBytes("ISO-8859-1"))
      out.write(delimited(number, delimited(1, name ++ delimited(2, value))))
    }
    for ((key, values) <- features) entry(1, key, made(values))
    for ((key, inner) <- lists) entry(2, key, joined(inner.map(made)))
    out.toByteArray
  }

  /** A Feature. */
  private def made(values: Values): Array[Byte] = values match {
    case Values(0, _) => Array.emptyByteArray
    case Values(Kind.bytes, all) => delimited(1, joined(all.map(_.asInstanceOf[Array[Byte]])))
    case Values(kind, all) =>
      val packed = new ByteArrayOutputStream
      all.foreach {
        case value: Float =>
          val word = ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putFloat(value)
          packed.write(word.array)
        case value: Long => packed.write(one(value))
        case other => throw new IllegalArgumentException(s"a value $other")
      }
      delimited(kind >> 3, delimited(1, packed.toByteArray))
  }

  private def joined(pieces: Seq[Array[Byte]]): Array[Byte] =
    pieces.flatMap(delimited(1, _)).toArray

  private def delimited(number: Int, content: Array[Byte]): Array[Byte] =
    one(number.toLong << 3 | 2) ++ one(content.length.toLong) ++ content

  /** A varint. */
  def one(number: Long): Array[Byte] = {
    val out = new ByteArrayOutputStream
    var left = number
    while ((left & ~127L) != 0) {
      out.write((left & 127 | 128).toInt)
      left >>>= 7
    }
    out.write(left.toInt)
    out.toByteArray
  }
}
