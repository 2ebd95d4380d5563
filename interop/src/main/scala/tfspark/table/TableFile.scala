package tfspark.table

import java.io.IOException
import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.Path
import org.apache.parquet.column.ParquetProperties
import org.apache.parquet.compression.CompressionCodecFactory.BytesInputCompressor
import org.apache.parquet.hadoop.metadata.{CompressionCodecName, ParquetMetadata}
import org.apache.parquet.hadoop.util.HadoopStreams
import org.apache.parquet.hadoop.{CodecFactory, ParquetFileWriter, ParquetWriter}
import org.apache.parquet.io.{OutputFile, PositionOutputStream}
import org.apache.spark.sql.catalyst.expressions.SpecializedGetters
import org.apache.spark.sql.execution.datasources.parquet.SparkToParquetSchemaConverter
import org.apache.spark.sql.internal.SQLConf.ParquetOutputTimestampType
import org.apache.spark.sql.types._
import tfspark.StorageError
import tfspark.storage.Storage

/** A Parquet file of a table, made when its first row comes: columns of rows, then columns of one
  * value each, a String or an Instant. No record is built between.
  *
  * @param fields
  *   all take nulls
  * @param check
  *   called just before the file is made and just after
  */
private[tfspark] final class TableFile(
    val path: Path,
    fields: StructType,
    about: Seq[(String, Any)],
    conf: Configuration,
    check: () => Unit = () => ()
) {
  private val alike = TableFile.alike(about)
  private val codecs = new CodecFactory(conf, TableColumn.PageBytes)
  private val compressor: BytesInputCompressor = codecs.getCompressor(TableFile.Codec)
  private val columns: Array[TableColumn] = {
    val ofRows = fields.map(field => TableColumn(schema(Seq(field)), field, compressor))
    val ofAll = alike.zip(about).map { case (field, (_, value)) =>
      new AlikeColumn(schema(Seq(field)).getColumns.get(0), value, compressor)
    }
    (ofRows ++ ofAll).toArray
  }

  private var out: ParquetFileWriter = _
  private var inGroup = 0
  var rows = 0L
  var bytes = 0L

  /** Put one field of the row that is next; every field, then `end`. */
  def put(field: Int, from: SpecializedGetters, at: Int): Unit = columns(field).put(from, at)

  /** Put one field of the next rows: see `TableColumn.putBlock`. */
  def putBlock(field: Int, values: AnyRef): Boolean = columns(field).putBlock(values)

  /** So many rows have all their fields. */
  def end(more: Int): Unit = {
    val before = inGroup
    inGroup += more
    rows += more
    // Sizes are looked at now and then.
    if (
      inGroup / 4096 > before / 4096 &&
      (inGroup >= TableFile.GroupRows || columns.map(_.held).sum >= TableFile.GroupBytes)
    ) endGroup()
  }

  /** The footer; null if there was no row, and so no file is.
    *
    * @throws StorageError
    *   the file cannot be written
    */
  def close(): ParquetMetadata = writing {
    if (inGroup > 0) endGroup()
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
      if (out != null) out.abort()
    } catch { case _: IOException => () } // the attempt's own error is the one to tell
    finally if (out != null) Storage.fileSystem(path, conf).delete(path, false): Unit

  /** Every column with the nulls in it. */
  def nulls: Seq[(StructField, Long)] = (fields ++ alike).zip(columns.toSeq.map(_.nulls))

  private def endGroup(): Unit = writing {
    if (out == null) {
      check()
      out = new ParquetFileWriter(
        new TableFile.Output(path, conf),
        schema(fields ++ alike),
        ParquetFileWriter.Mode.CREATE,
        ParquetWriter.DEFAULT_BLOCK_SIZE.toLong,
        ParquetWriter.MAX_PADDING_SIZE_DEFAULT,
        null,
        ParquetProperties.builder().build()
      )
      out.start()
      check()
    }
    out.startBlock(inGroup.toLong)
    columns.foreach(_.flush(out, inGroup))
    out.endBlock()
    inGroup = 0
  }

  private def schema(fields: Seq[StructField]) = {
    val timestamps = ParquetOutputTimestampType.TIMESTAMP_MICROS
    new SparkToParquetSchemaConverter(false, timestamps, false, false).convert(StructType(fields))
  }

  private def writing[T](write: => T): T =
    try write
    catch {
      case error: IOException =>
        throw StorageError.of(s"cannot write ${Storage.shown(path)}: ${error.getMessage}", error)
    }
}

private[tfspark] object TableFile {
  val Codec: CompressionCodecName = CompressionCodecName.SNAPPY
  private val GroupRows: Int = 1 << 20
  private val GroupBytes: Long = 64L << 20

  /** The fields of columns of one value each. */
  def alike(about: Seq[(String, Any)]): Seq[StructField] = about.map { case (name, value) =>
    StructField(name, if (value.isInstanceOf[String]) StringType else TimestampType)
  }

  private final class Output(path: Path, conf: Configuration) extends OutputFile {
    override def create(block: Long): PositionOutputStream = {
      val fs = Storage.fileSystem(path, conf)
      fs.mkdirs(path.getParent)
      HadoopStreams.wrap(fs.create(path, false))
    }
    override def createOrOverwrite(block: Long): PositionOutputStream = create(block)
    override def supportsBlockSize(): Boolean = false
    override def defaultBlockSize(): Long = 0
    override def getPath: String = path.toString
  }
}
