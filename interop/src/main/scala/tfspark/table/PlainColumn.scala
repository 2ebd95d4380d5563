package tfspark.table

import org.apache.parquet.bytes.{BytesInput, HeapByteBufferAllocator}
import org.apache.parquet.column.statistics.Statistics
import org.apache.parquet.column.values.rle.RunLengthBitPackingHybridEncoder
import org.apache.parquet.column.{ColumnDescriptor, Encoding}
import org.apache.parquet.compression.CompressionCodecFactory.BytesInputCompressor
import org.apache.parquet.hadoop.ParquetFileWriter
import org.apache.spark.sql.catalyst.expressions.SpecializedGetters
import org.apache.spark.sql.types._
import org.apache.spark.unsafe.Platform

/** A column of numbers, which Parquet's PLAIN encoding holds as they are in memory: little endian,
  * end to end, nulls left out. Numbers seldom repeat, so no dictionary is tried.
  *
  * @param column
  *   optional, of INT32, INT64, FLOAT or DOUBLE
  */
private[tfspark] final class PlainColumn(
    column: ColumnDescriptor,
    kind: DataType,
    compressor: BytesInputCompressor
) extends TableColumn {
  private val width = kind match {
    case LongType | TimestampType | TimestampNTZType | DoubleType => 8
    case _ => 4
  }
  private var values = new Array[Byte](4096 * width)
  private var count = 0 // of rows
  private var filled = 0 // bytes of `values`
  // A bit a row, set where there is no value; null as long as every row has one.
  private var missing: java.util.BitSet = _
  private var allNulls = 0L

  override def nulls: Long = allNulls
  override def held: Long = filled.toLong

  override def put(from: SpecializedGetters, at: Int): Unit = {
    if (from.isNullAt(at)) {
      if (missing == null) missing = new java.util.BitSet
      missing.set(count)
      allNulls += 1
    } else {
      if (filled == values.length) values = java.util.Arrays.copyOf(values, filled * 2)
      write(from, at, Platform.BYTE_ARRAY_OFFSET.toLong + filled)
      filled += width
    }
    count += 1
  }

  override def putBlock(block: AnyRef): Boolean = (block, kind) match {
    case (block: Array[Float], FloatType) => copy(block, Platform.FLOAT_ARRAY_OFFSET, block.length)
    case (block: Array[Double], DoubleType) =>
      copy(block, Platform.DOUBLE_ARRAY_OFFSET, block.length)
    case (block: Array[Long], LongType | TimestampType | TimestampNTZType) =>
      copy(block, Platform.LONG_ARRAY_OFFSET, block.length)
    case (block: Array[Int], IntegerType | DateType) =>
      copy(block, Platform.INT_ARRAY_OFFSET, block.length)
    case _ => false
  }

  private def copy(block: AnyRef, offset: Int, rows: Int): Boolean = {
    val bytes = rows * width
    if (filled + bytes > values.length)
      values = java.util.Arrays.copyOf(values, math.max(filled + bytes, filled * 2))
    val to = Platform.BYTE_ARRAY_OFFSET.toLong + filled
    Platform.copyMemory(block, offset.toLong, values, to, bytes.toLong)
    filled += bytes
    count += rows
    true
  }

  private def write(from: SpecializedGetters, at: Int, to: Long): Unit = kind match {
    case FloatType => Platform.putFloat(values, to, from.getFloat(at))
    case LongType | TimestampType | TimestampNTZType =>
      Platform.putLong(values, to, from.getLong(at))
    case DoubleType => Platform.putDouble(values, to, from.getDouble(at))
    case ByteType => Platform.putInt(values, to, from.getByte(at).toInt)
    case ShortType => Platform.putInt(values, to, from.getShort(at).toInt)
    case _ => Platform.putInt(values, to, from.getInt(at))
  }

  override def flush(out: ParquetFileWriter, rows: Int): Unit = {
    out.startColumn(column, rows.toLong, TableFile.Codec)
    var row = 0
    var from = 0
    while (row < rows) {
      val end = math.min(rows, row + TableColumn.PageBytes / width)
      val none = if (missing == null) 0 else missing.get(row, end).cardinality()
      val bytes = (end - row - none) * width
      val levels = if (none == 0) TableColumn.allDefined(end - row) else encodedLevels(row, end)
      val page = BytesInput.concat(levels, BytesInput.from(values, from, bytes))
      out.writeDataPage(
        end - row,
        page.size.toInt,
        compressor.compress(page),
        statistics(from, from + bytes, none),
        (end - row).toLong,
        Encoding.RLE,
        Encoding.RLE,
        Encoding.PLAIN
      )
      row = end
      from += bytes
    }
    out.endColumn()
    count = 0
    filled = 0
    missing = null
  }

  private def encodedLevels(from: Int, to: Int): BytesInput = {
    val size = (to - from) / 8 + 64
    val encoder =
      new RunLengthBitPackingHybridEncoder(1, size, size * 2, new HeapByteBufferAllocator)
    try {
      for (row <- from until to) encoder.writeInt(if (missing.get(row)) 0 else 1)
      val levels = encoder.toBytes.toInputStream.readAllBytes()
      BytesInput.concat(BytesInput.fromInt(levels.length), BytesInput.from(levels))
    } finally encoder.close()
  }

  private def statistics(from: Int, to: Int, none: Int): Statistics[_] = {
    val found: Statistics[_] = Statistics.createStats(column.getPrimitiveType)
    found.incrementNumNulls(none.toLong)
    var at = Platform.BYTE_ARRAY_OFFSET.toLong + from
    val end = Platform.BYTE_ARRAY_OFFSET.toLong + to
    kind match {
      case FloatType =>
        while (at < end) { found.updateStats(Platform.getFloat(values, at)); at += 4 }
      case DoubleType =>
        while (at < end) { found.updateStats(Platform.getDouble(values, at)); at += 8 }
      case _ if width == 8 =>
        while (at < end) { found.updateStats(Platform.getLong(values, at)); at += 8 }
      case _ =>
        while (at < end) { found.updateStats(Platform.getInt(values, at)); at += 4 }
    }
    found
  }
}
