package tfspark

import java.io.IOException
import java.nio.charset.StandardCharsets.UTF_8
import java.time.Instant
import java.time.temporal.ChronoUnit
import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.{FileSystem, LocalFileSystem, Path}
import org.apache.parquet.bytes.{BytesInput, BytesUtils, HeapByteBufferAllocator}
import org.apache.parquet.column.page.DictionaryPage
import org.apache.parquet.column.statistics.Statistics
import org.apache.parquet.column.{ColumnDescriptor, ColumnWriteStore, Encoding, ParquetProperties}
import org.apache.parquet.compression.CompressionCodecFactory.BytesInputCompressor
import org.apache.parquet.hadoop.metadata.{CompressionCodecName, ParquetMetadata}
import org.apache.parquet.hadoop.util.HadoopStreams
import org.apache.parquet.hadoop.{
  CodecFactory, ColumnChunkPageWriteStore, ParquetFileWriter, ParquetWriter
}
import org.apache.parquet.io.{OutputFile, PositionOutputStream}
import org.apache.parquet.io.api.Binary
import org.apache.spark.sql.catalyst.expressions.SpecializedGetters
import org.apache.spark.sql.execution.datasources.parquet.SparkToParquetSchemaConverter
import org.apache.spark.sql.internal.SQLConf.ParquetOutputTimestampType
import org.apache.spark.sql.types._
import scala.jdk.CollectionConverters._

/** A Parquet file of a table, made when its first row comes: columns of rows, then columns of one
  * value each.
  *
  * Values go to Parquet's column writers without a record between; a column of one value is a
  * dictionary of one entry and one run, so it costs nothing a row.
  */
private[tfspark] final class TableFile(
    val path: Path,
    fields: StructType,
    about: Seq[(String, Any)],
    conf: Configuration
) {
  private val converter = new SparkToParquetSchemaConverter(
    false,
    ParquetOutputTimestampType.TIMESTAMP_MICROS,
    false,
    false
  )
  private val alike = about.map { case (name, value) =>
    StructField(name, if (value.isInstanceOf[String]) StringType else TimestampType)
  }
  private val ofRows = converter.convert(fields)
  private val schema = converter.convert(StructType(fields ++ alike))
  private val codec = CompressionCodecName.SNAPPY
  private val codecs = new CodecFactory(conf, TableFile.PageBytes)
  private val properties = {
    val made = ParquetProperties
      .builder()
      .withPageSize(TableFile.PageBytes)
      .withPageRowCountLimit(Int.MaxValue)
      .withAllocator(new HeapByteBufferAllocator)
    // Numbers seldom repeat: a dictionary of them is made only to be thrown away.
    for (column <- ofRows.getColumns.asScala) {
      val name = column.getPrimitiveType.getPrimitiveTypeName.name
      made.withDictionaryEncoding(column.getPath.mkString("."), name.contains("BINARY"))
    }
    made.build()
  }
  private val writers = fields.map(field => FieldWriter(ofRows, field)).toArray

  private var out: ParquetFileWriter = _
  private var pages: ColumnChunkPageWriteStore = _
  private var store: ColumnWriteStore = _
  private var inGroup = 0
  var rows = 0L
  var bytes = 0L

  /** Put one field of the row that is next; every field, then `endRow`. */
  def put(field: Int, from: SpecializedGetters, at: Int): Unit = {
    if (store == null) startGroup()
    writers(field).write(from, at)
  }

  def endRow(): Unit = {
    store.endRecord()
    inGroup += 1
    rows += 1
    if (
      inGroup % 4096 == 0 &&
      (inGroup >= TableFile.GroupRows || store.getBufferedSize >= TableFile.GroupBytes)
    ) endGroup()
  }

  /** The footer; null if there was no row, and so no file is.
    *
    * @throws StorageError
    *   the file cannot be written
    */
  def close(): ParquetMetadata = writing {
    if (store != null) endGroup()
    codecs.release()
    if (out == null) null
    else {
      out.end(java.util.Map.of())
      bytes = out.getPos
      val footer = out.getFooter
      out.close()
      footer
    }
  }

  /** Remove what was written. */
  def remove(): Unit =
    try {
      codecs.release()
      if (out != null) {
        out.abort()
        out.close()
      }
    } catch { case _: IOException => () } // the attempt's own error is the one to tell
    finally if (out != null) TableFile.fileSystem(path, conf).delete(path, false): Unit

  /** Nulls of each top-level field. */
  def nulls: Seq[Long] = writers.toSeq.map(_.nulls)

  private def startGroup(): Unit = writing {
    if (out == null) {
      out = new ParquetFileWriter(
        new TableFile.Output(path, conf),
        schema,
        ParquetFileWriter.Mode.CREATE,
        ParquetWriter.DEFAULT_BLOCK_SIZE.toLong,
        ParquetWriter.MAX_PADDING_SIZE_DEFAULT,
        null,
        properties
      )
      out.start()
    }
    val allocator = properties.getAllocator
    val compressor: BytesInputCompressor = codecs.getCompressor(codec)
    pages = new ColumnChunkPageWriteStore(compressor, ofRows, allocator, Int.MaxValue)
    store = properties.newColumnWriteStore(ofRows, pages)
    writers.foreach(_.bind(store))
    inGroup = 0
  }

  private def endGroup(): Unit = writing {
    out.startBlock(inGroup.toLong)
    store.flush()
    pages.flushToFileWriter(out)
    for ((column, (_, value)) <- schema.getColumns.asScala.takeRight(about.size).zip(about))
      writeAlike(column, value)
    out.endBlock()
    store.close()
    pages.close()
    store = null
  }

  /** A column in which every row has one value. */
  private def writeAlike(column: ColumnDescriptor, value: Any): Unit = {
    val statistics: Statistics[_] = Statistics.createStats(column.getPrimitiveType)
    val plain = TableFile.encoded(value, statistics)
    val compressor = codecs.getCompressor(codec)
    out.startColumn(column, inGroup.toLong, codec)
    out.writeDictionaryPage(
      new DictionaryPage(compressor.compress(plain), plain.size.toInt, 1, Encoding.PLAIN)
    )
    // Definition levels: one run of 1; indices: their width in bits, and one run of 0.
    val run = BytesInput.fromUnsignedVarInt(inGroup << 1).toInputStream.readAllBytes()
    val page = BytesInput.concat(
      BytesInput.fromInt(run.length + 1),
      BytesInput.from(run :+ 1.toByte),
      BytesInput.from(1.toByte +: run :+ 0.toByte)
    )
    out.writeDataPage(
      inGroup,
      page.size.toInt,
      compressor.compress(page),
      statistics,
      inGroup.toLong,
      Encoding.RLE,
      Encoding.RLE,
      Encoding.RLE_DICTIONARY
    )
    out.endColumn()
  }

  private def writing[T](write: => T): T =
    try write
    catch {
      case error: IOException =>
        throw new StorageError(s"cannot write ${Storage.shown(path)}: ${error.getMessage}", error)
    }
}

private[tfspark] object TableFile {
  val PageBytes: Int = 1 << 20
  val GroupRows: Int = 1 << 20
  val GroupBytes: Long = 64L << 20

  /** Local files without the checksum files that Hadoop puts beside them. */
  def fileSystem(path: Path, conf: Configuration): FileSystem =
    path.getFileSystem(conf) match {
      case local: LocalFileSystem => local.getRaw
      case other => other
    }

  private final class Output(path: Path, conf: Configuration) extends OutputFile {
    override def create(block: Long): PositionOutputStream = {
      val fs = fileSystem(path, conf)
      fs.mkdirs(path.getParent)
      HadoopStreams.wrap(fs.create(path, false))
    }
    override def createOrOverwrite(block: Long): PositionOutputStream = create(block)
    override def supportsBlockSize(): Boolean = false
    override def defaultBlockSize(): Long = 0
    override def getPath: String = path.toString
  }

  /** A value as PLAIN has it; it is the least and the greatest of the statistics. */
  private def encoded(value: Any, statistics: Statistics[_]): BytesInput = {
    value match {
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
  }
}
