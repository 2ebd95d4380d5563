package tfspark.numbers

import java.io.IOException
import org.apache.parquet.bytes.{BytesInput, BytesUtils}
import org.apache.parquet.column.page.{DataPage, DataPageV1, DataPageV2, PageReader}
import org.apache.parquet.column.{ColumnDescriptor, Encoding}
import org.apache.parquet.schema.PrimitiveType.PrimitiveTypeName._
import org.apache.spark.sql.execution.vectorized.WritableColumnVector
import org.apache.spark.unsafe.Platform

/** The numbers of one column of a row group, read many at a time from its pages.
  *
  * Spark's own reader reads a dictionary byte by byte and looks a value up by three calls, so that
  * floats that came with one (pyarrow writes it for all columns) take longer to read than to score.
  *
  * @param column
  *   of int32, int64, float or double; not within another one
  * @param number
  *   of the column, for `memory`
  */
private[numbers] final class NumberChunk(
    column: ColumnDescriptor,
    pages: PageReader,
    memory: PageMemory,
    number: Int
) {
  private val kind = column.getPrimitiveType.getPrimitiveTypeName
  private val size = if (kind == INT32 || kind == FLOAT) 4 else 8
  private val optional = column.getMaxDefinitionLevel == 1

  private val dictionary: Bytes = {
    memory.use(number, dictionary = true)
    Option(pages.readDictionaryPage()) match {
      case None => Bytes(Array.emptyByteArray, 0, 0)
      case Some(page) => Bytes.of(page.getBytes).part(0, page.getDictionarySize * size)
    }
  }

  private var left = 0 // rows of the page
  private var levels: HybridInts = _ // 1: there is a value; null: in all rows
  private var indices: HybridInts = _ // null: the values are in the page itself
  private var values: Bytes = _
  private var at = 0 // the next value in `values`

  private var scratch = new Array[Byte](0)
  private var ints = new Array[Int](0)
  private var defined = new Array[Int](0)

  /** Put the values of the next rows into a vector, from its first place on.
    *
    * @throws IOException
    *   the pages are not what they say
    */
  def read(to: WritableColumnVector, rows: Int): Unit = {
    if (ints.length < rows) {
      ints = new Array[Int](rows)
      defined = new Array[Int](rows)
      scratch = new Array[Byte](rows * size)
    }
    var row = 0
    while (row < rows) {
      if (left == 0) nextPage()
      val some = math.min(left, rows - row)
      if (levels == null) put(to, row, some) else putDefined(to, row, some)
      left -= some
      row += some
    }
  }

  /** Some have no value: runs of those that have one, and runs of those that have none. */
  private def putDefined(to: WritableColumnVector, row: Int, rows: Int): Unit = {
    levels.take(defined, rows)
    var from = 0
    while (from < rows) {
      val level = defined(from)
      var until = from + 1
      while (until < rows && defined(until) == level) until += 1
      if (level == 1) put(to, row + from, until - from)
      else to.putNulls(row + from, until - from)
      from = until
    }
  }

  private def put(to: WritableColumnVector, row: Int, count: Int): Unit =
    if (indices == null) {
      val bytes = values.take(at, count * size)
      copy(to, row, count, values.array, bytes)
      at += count * size
    } else {
      indices.take(ints, count)
      lookUp(count)
      copy(to, row, count, scratch, 0)
    }

  /** The values of `ints` in the dictionary. */
  private def lookUp(count: Int): Unit = {
    val known = dictionary.length / size
    val from = Platform.BYTE_ARRAY_OFFSET.toLong + dictionary.from
    val to = Platform.BYTE_ARRAY_OFFSET.toLong
    var i = 0
    while (i < count) {
      val index = ints(i)
      if (Integer.compareUnsigned(index, known) >= 0) throw unknown(index)
      if (size == 4)
        Platform.putInt(scratch, to + i * 4L, Platform.getInt(dictionary.array, from + index * 4L))
      else
        Platform.putLong(
          scratch,
          to + i * 8L,
          Platform.getLong(dictionary.array, from + index * 8L)
        )
      i += 1
    }
  }

  private def unknown(index: Int) =
    new IOException(s"column $name: no value ${Integer.toUnsignedString(index)} in its dictionary")

  private def copy(to: WritableColumnVector, row: Int, count: Int, from: Array[Byte], at: Int) =
    kind match {
      case INT32 => to.putIntsLittleEndian(row, count, from, at)
      case INT64 => to.putLongsLittleEndian(row, count, from, at)
      case FLOAT => to.putFloatsLittleEndian(row, count, from, at)
      case _ => to.putDoublesLittleEndian(row, count, from, at)
    }

  private def nextPage(): Unit = {
    memory.use(number, dictionary = false)
    open(pages.readPage())
  }

  private def open(page: DataPage): Unit = page match {
    case page: DataPageV1 =>
      val bytes = Bytes.of(page.getBytes)
      left = page.getValueCount
      val length = if (optional) bytes.int else -4
      if (optional && page.getDlEncoding != Encoding.RLE)
        throw new IOException(s"column $name: levels in ${page.getDlEncoding}")
      levels = if (optional) levelsOf(bytes.part(4, length)) else null
      open(bytes.after(4 + length), page.getValueEncoding)
    case page: DataPageV2 =>
      left = page.getValueCount
      levels = if (optional) levelsOf(Bytes.of(page.getDefinitionLevels)) else null
      open(Bytes.of(page.getData), page.getDataEncoding)
    case _ => throw new IOException(s"column $name: its pages end before the row group does")
  }

  private def levelsOf(bytes: Bytes): HybridInts = {
    val levels = new HybridInts(bytes.array, bytes.from, bytes.end, 1)
    if (left == 0 || levels.startsWith(1, left)) null else levels
  }

  private def open(bytes: Bytes, encoding: Encoding): Unit = {
    values = bytes
    at = 0
    // A page without a value has no width either.
    indices =
      if (!encoding.usesDictionary || bytes.end == bytes.from) null
      else {
        val width = bytes.array(bytes.from) & 0xff
        if (width > 32) throw new IOException(s"column $name: indices of $width bits")
        new HybridInts(bytes.array, bytes.from + 1, bytes.end, width)
      }
    if (indices == null && encoding != Encoding.PLAIN && !encoding.usesDictionary)
      throw new IOException(s"column $name: values in $encoding")
  }

  private def name = column.getPath.mkString(".")
}

/** A part of an array. */
private[numbers] final case class Bytes(array: Array[Byte], from: Int, end: Int) {
  def part(at: Int, length: Int): Bytes = {
    val start = take(at, length)
    Bytes(array, start, start + length)
  }
  def after(at: Int): Bytes = Bytes(array, take(at, 0), end)

  def length: Int = end - from

  /** The first four bytes. */
  def int: Int = BytesUtils.readIntLittleEndian(array, take(0, 4))

  /** Where in the array so many bytes are. */
  def take(at: Int, length: Int): Int = {
    if (length < 0 || at < 0 || length > end - from - at)
      throw new IOException("a page has fewer bytes than its values need")
    from + at
  }
}

private[numbers] object Bytes {
  def of(input: BytesInput): Bytes = {
    val buffer = input.toInputStream.slice(input.size.toInt)
    if (buffer.hasArray) {
      val from = buffer.arrayOffset + buffer.position()
      Bytes(buffer.array, from, from + buffer.remaining)
    } else {
      val copy = new Array[Byte](buffer.remaining)
      buffer.get(copy)
      Bytes(copy, 0, copy.length)
    }
  }
}
