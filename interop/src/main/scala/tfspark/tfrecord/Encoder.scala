package tfspark.tfrecord

import java.nio.{ByteBuffer, ByteOrder}
import org.apache.spark.sql.catalyst.expressions.{
  SpecializedGetters,
  UnsafeArrayData,
  UnsafeProjection,
  UnsafeRow
}
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.types._

/** No record holds the value.
  *
  * @param column
  *   null: it is the whole record
  * @param what
  *   what its row has, or is
  */
private[tfrecord] final class RefusedError(val column: String, val what: String)
    extends RuntimeException(what)

/** Spark's rows as framed records: of each, sizes are added up first, then it is written once.
  *
  * @param schema
  *   of the rows; has all columns of the layout
  */
private[tfrecord] final class Encoder(layout: Layout, schema: StructType) {
  import Frame._

  /** Framed records, data[0:used]; who takes them sets `used` to 0. */
  var data = new Array[Byte](1 << 16)
  var used = 0

  /** The column that is the whole record; -1: there is none. */
  private val whole =
    if (layout.raw) schema.fieldIndex(layout.features.head.path.head) else -1
  private val (single, nested) = {
    val features = if (whole >= 0) Nil else layout.features
    val columns = features.map(feature => new EncodedFeature(feature, schema))
    val (lists, others) = columns.partition(_.nested)
    (others.toArray, lists.toArray)
  }
  private val unsafe = UnsafeProjection.create(schema)
  private val sum = new Sums

  /** Append a row's record.
    *
    * @throws RefusedError
    *   a value that the file cannot hold, or a record that is too long (column)
    */
  def add(row: InternalRow): Unit = {
    val from = row match {
      case one: UnsafeRow => one
      case other => unsafe(other)
    }
    if (whole >= 0) return addWhole(from)
    val features = sizes(single, from)
    var size = 1 + Varint.width(features) + features
    var lists = 0L
    if (nested.length > 0) {
      lists = sizes(nested, from)
      size += 1 + Varint.width(lists) + lists
    }
    if (size > Longest)
      throw new RefusedError(
        null,
        s"a record of $size bytes, the longest has $Longest: leave columns out or split the row"
      )
    room(Header + size + Trailer)
    val at = put(used + Header, 0x0a, features, single)
    if (nested.length > 0) put(at, 0x12, lists, nested)
    frame(size)
  }

  private def addWhole(row: UnsafeRow): Unit = {
    if (row.isNullAt(whole)) throw new RefusedError(null, "null, and a record cannot be")
    val record = row.getBinary(whole)
    room(Header + record.length.toLong + Trailer)
    System.arraycopy(record, 0, data, used + Header, record.length)
    frame(record.length.toLong)
  }

  /** Write what stands around a record of so many bytes. */
  private def frame(size: Long): Unit = {
    val (words, end) = (ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN), used + Header + size)
    words.putLong(used, size)
    words.putInt(used + 8, sum(data, used, 8))
    words.putInt(end.toInt, sum(data, used + Header, size.toInt))
    used = end.toInt + Trailer
  }

  private def sizes(columns: Array[EncodedFeature], row: UnsafeRow): Long = {
    var (total, at) = (0L, 0)
    while (at < columns.length) {
      total += columns(at).measure(row)
      at += 1
    }
    total
  }

  private def put(start: Int, tag: Byte, size: Long, columns: Array[EncodedFeature]): Int = {
    data(start) = tag
    var at = Varint.put(data, start + 1, size)
    var column = 0
    while (column < columns.length) {
      at = columns(column).put(data, at)
      column += 1
    }
    at
  }

  private def room(more: Long): Unit = {
    val needed = used + more
    if (needed > LongestArray)
      throw new RefusedError(
        null,
        s"a record of $more bytes, Java's longest array has $LongestArray: leave columns out or " +
          "split the row"
      )
    if (needed > data.length) {
      val length = math.max(needed, math.min(2L * data.length, LongestArray.toLong))
      data = java.util.Arrays.copyOf(data, length.toInt)
    }
  }
}

/** Protocol buffers' variable-length integers: seven bits a byte, the lowest first. */
private[tfrecord] object Varint {
  def width(number: Long): Int =
    ((64 - java.lang.Long.numberOfLeadingZeros(number | 1)) * 9 + 64) >> 6

  /** Write it; where it ends. */
  def put(data: Array[Byte], start: Int, number: Long): Int = {
    var (left, at) = (number, start)
    while ((left & ~127L) != 0) {
      data(at) = (left | 128).toByte
      left >>>= 7
      at += 1
    }
    data(at) = left.toByte
    at + 1
  }
}

/** One feature of the rows: `measure` looks at a row, `put` writes what it found. */
private final class EncodedFeature(feature: Feature, schema: StructType) {
  val nested: Boolean = feature.depth == 2

  // The ordinals of the structs around the value, how many fields those have, and its own.
  private val (path, widths, leaf) = {
    var kind: DataType = schema
    val steps = feature.path.map { name =>
      val struct = kind.asInstanceOf[StructType]
      val at = struct.fieldIndex(name)
      kind = struct(at).dataType
      (
        at,
        kind match {
          case inner: StructType => inner.length
          case _ => 0
        }
      )
    }
    val value = if (feature.marker) kind else EncodedFeature.item(kind, feature.depth)
    (steps.map(_._1).toArray, steps.map(_._2).toArray, value)
  }
  private val value = if (feature.marker) null else EncodedValue(feature, leaf)
  private val prefix = {
    val key = feature.key
    Array[Byte](0x0a) ++ Wire.one(key.length.toLong) ++ key :+ 0x12.toByte
  }

  private var list: UnsafeArrayData = _ // of depth 1 and 2
  private var from: SpecializedGetters = _
  private var ordinal = 0
  private var here = false
  private var payload = 0L // bytes of the values, of lists of lists with Features around them

  /** Bytes of the feature's entry in the map; 0 where the value is null. */
  def measure(row: UnsafeRow): Long = {
    here = locate(row)
    if (!here) return 0
    payload =
      if (feature.marker) 0
      else if (feature.depth == 0) value.size(from, ordinal)
      else {
        list = from.getArray(ordinal).asInstanceOf[UnsafeArrayData]
        if (nested) innerSizes() else valuesSize(list)
      }
    val size = entrySize
    1 + Varint.width(size) + size
  }

  private def entrySize: Long = {
    val size = featureSize
    prefix.length + Varint.width(size) + size
  }

  private def featureSize: Long = if (nested) payload else wrapped(payload)

  /** Bytes of a Feature message that holds so many bytes of values. */
  private def wrapped(values: Long): Long = {
    val size = 1 + Varint.width(values) + values
    if (feature.kind == Kind.bytes) size
    else if (values == 0) 2
    else 1 + Varint.width(size) + size
  }

  def put(data: Array[Byte], start: Int): Int = {
    if (!here) return start
    data(start) = 0x0a
    var at = Varint.put(data, start + 1, entrySize)
    System.arraycopy(prefix, 0, data, at, prefix.length)
    at = Varint.put(data, at + prefix.length, featureSize)
    if (nested) putLists(data, at)
    else {
      at = putFeature(data, at, payload)
      if (feature.marker) at
      else if (feature.depth == 0) value.put(from, ordinal, data, at)
      else value.putAll(list, data, at)
    }
  }

  /** What stands in a Feature before its values. */
  private def putFeature(data: Array[Byte], start: Int, values: Long): Int = {
    data(start) = feature.kind.toByte
    var at = start + 1
    if (feature.kind != Kind.bytes) {
      if (values == 0) {
        data(at) = 0
        return at + 1
      }
      at = Varint.put(data, at, 1 + Varint.width(values) + values)
      data(at) = 0x0a
      at += 1
    }
    Varint.put(data, at, values)
  }

  private def locate(row: UnsafeRow): Boolean = {
    from = row
    var step = 0
    while (step < path.length - 1) {
      if (from.isNullAt(path(step))) return false
      from = from.getStruct(path(step), widths(step))
      step += 1
    }
    ordinal = path(step)
    if (from.isNullAt(ordinal)) false
    else if (feature.marker) allNull(from.getStruct(ordinal, widths(step)))
    else true
  }

  private def allNull(struct: InternalRow): Boolean = {
    var at = 0
    while (at < struct.numFields) {
      if (!struct.isNullAt(at)) return false
      at += 1
    }
    true
  }

  private def valuesSize(values: UnsafeArrayData): Long = {
    val count = values.numElements
    var at = 0
    while (at < count) {
      if (values.isNullAt(at))
        throw new RefusedError(
          feature.name,
          "a null inside its list, which a feature cannot hold: fill it or take it out"
        )
      at += 1
    }
    value.sizeAll(values)
  }

  private def innerSizes(): Long = {
    var (size, at) = (0L, 0)
    while (at < list.numElements) {
      val inner = if (list.isNullAt(at)) 0L else wrapped(valuesSize(list.getArray(at)))
      size += 1 + Varint.width(inner) + inner
      at += 1
    }
    size
  }

  private def putLists(data: Array[Byte], start: Int): Int = {
    var (at, inner) = (start, 0)
    while (inner < list.numElements) {
      data(at) = 0x0a
      at += 1
      if (list.isNullAt(inner)) at = Varint.put(data, at, 0)
      else {
        val values = list.getArray(inner)
        val size = value.sizeAll(values)
        at = putFeature(data, Varint.put(data, at, wrapped(size)), size)
        at = value.putAll(values, data, at)
      }
      inner += 1
    }
    at
  }
}

private object EncodedFeature {
  def item(kind: DataType, depth: Int): DataType = kind match {
    case ArrayType(inner, _) if depth > 0 => item(inner, depth - 1)
    case other => other
  }
}
