package tfspark.table

import java.nio.charset.StandardCharsets.UTF_8
import java.time.Instant
import java.time.temporal.ChronoUnit
import org.apache.parquet.bytes.{BytesInput, BytesUtils, HeapByteBufferAllocator}
import org.apache.parquet.column.page.DictionaryPage
import org.apache.parquet.column.statistics.Statistics
import org.apache.parquet.column.{ColumnDescriptor, ColumnWriteStore, Encoding, ParquetProperties}
import org.apache.parquet.compression.CompressionCodecFactory.BytesInputCompressor
import org.apache.parquet.hadoop.{ColumnChunkPageWriteStore, ParquetFileWriter}
import org.apache.parquet.io.api.Binary
import org.apache.parquet.schema.MessageType
import org.apache.spark.sql.catalyst.expressions.SpecializedGetters
import org.apache.spark.sql.types._

/** A top-level column of a Parquet file: holds a row group's values, then writes them. */
private[tfspark] trait TableColumn {

  /** Add the value of a row. */
  def put(from: SpecializedGetters, at: Int): Unit

  /** Add all values of an array of numbers; false, and none is added, where it takes no such array.
    */
  def putBlock(values: AnyRef): Boolean

  /** Nulls of all rows. */
  def nulls: Long

  /** Bytes that are held. */
  def held: Long

  /** Write the rows of the group that was started, and forget them. */
  def flush(out: ParquetFileWriter, rows: Int): Unit
}

private[tfspark] object TableColumn {
  val PageBytes: Int = 1 << 20

  /** The column of a field.
    *
    * @param schema
    *   of this field alone
    */
  def apply(schema: MessageType, field: StructField, to: BytesInputCompressor): TableColumn =
    field.dataType match {
      case ByteType | ShortType | IntegerType | DateType | LongType | TimestampType |
          TimestampNTZType | FloatType | DoubleType =>
        new PlainColumn(schema.getColumns.get(0), field.dataType, to)
      case _ => new StoredColumn(schema, field, to)
    }

  /** Definition levels of a page of an optional column without nulls: their length, one run of 1.
    */
  def allDefined(rows: Int): BytesInput = {
    val run = BytesInput.fromUnsignedVarInt(rows << 1)
    val length = BytesInput.fromInt(run.size.toInt + 1)
    BytesInput.concat(length, run, BytesInput.from(Array(1.toByte)))
  }
}

/** A column of any type, written by Parquet's own writers. */
private[tfspark] final class StoredColumn(
    schema: MessageType,
    field: StructField,
    compressor: BytesInputCompressor
) extends TableColumn {
  private val properties = ParquetProperties
    .builder()
    .withPageSize(TableColumn.PageBytes)
    .withPageRowCountLimit(Int.MaxValue)
    .withAllocator(new HeapByteBufferAllocator)
    .build()
  private val writer = FieldWriter(schema, field)
  private var pages: ColumnChunkPageWriteStore = _
  private var store: ColumnWriteStore = _

  override def putBlock(values: AnyRef): Boolean = false
  override def nulls: Long = writer.nulls
  override def held: Long = if (store == null) 0 else store.getBufferedSize

  override def put(from: SpecializedGetters, at: Int): Unit = {
    if (store == null) {
      val allocator = properties.getAllocator
      pages = new ColumnChunkPageWriteStore(compressor, schema, allocator, Int.MaxValue)
      store = properties.newColumnWriteStore(schema, pages)
      writer.bind(store)
    }
    writer.write(from, at)
    store.endRecord()
  }

  override def flush(out: ParquetFileWriter, rows: Int): Unit = {
    store.flush()
    pages.flushToFileWriter(out)
    store.close()
    pages.close()
    store = null
  }
}

/** A column in which every row has one value, a text or an `Instant`: a dictionary of one entry,
  * and one run, so that it costs nothing a row.
  */
private[tfspark] final class AlikeColumn(
    column: ColumnDescriptor,
    value: Any,
    compressor: BytesInputCompressor
) extends TableColumn {
  private val statistics: Statistics[_] = Statistics.createStats(column.getPrimitiveType)
  private val plain = value match {
    case text: String =>
      val bytes = text.getBytes(UTF_8)
      statistics.updateStats(Binary.fromConstantByteArray(bytes))
      BytesInput.concat(BytesInput.fromInt(bytes.length), BytesInput.from(bytes))
    case time: Instant =>
      val micros = ChronoUnit.MICROS.between(Instant.EPOCH, time)
      statistics.updateStats(micros)
      BytesInput.from(BytesUtils.longToBytes(micros))
    case other => throw new IllegalArgumentException(s"a column of ${other.getClass}")
  }

  override def put(from: SpecializedGetters, at: Int): Unit = ()
  override def putBlock(values: AnyRef): Boolean = false
  override def nulls: Long = 0
  override def held: Long = 0

  override def flush(out: ParquetFileWriter, rows: Int): Unit = {
    out.startColumn(column, rows.toLong, TableFile.Codec)
    val entry = compressor.compress(plain)
    out.writeDictionaryPage(new DictionaryPage(entry, plain.size.toInt, 1, Encoding.PLAIN))
    // Indices: their width in bits, and one run of 0.
    val run = BytesInput.fromUnsignedVarInt(rows << 1)
    val indices =
      BytesInput.concat(BytesInput.from(Array(1.toByte)), run, BytesInput.from(Array(0.toByte)))
    val page = BytesInput.concat(TableColumn.allDefined(rows), indices)
    out.writeDataPage(
      rows,
      page.size.toInt,
      compressor.compress(page),
      statistics,
      rows.toLong,
      Encoding.RLE,
      Encoding.RLE,
      Encoding.RLE_DICTIONARY
    )
    out.endColumn()
  }
}
