package tfspark.tfrecord

import com.fasterxml.jackson.databind.node.JsonNodeFactory
import java.nio.charset.StandardCharsets.UTF_8
import java.security.MessageDigest
import org.apache.hadoop.conf.Configuration
import org.apache.spark.broadcast.Broadcast
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.connector.metric.CustomTaskMetric
import org.apache.spark.sql.connector.read.{InputPartition, PartitionReader, PartitionReaderFactory}
import org.apache.spark.sql.execution.vectorized.{
  ColumnVectorUtils,
  ConstantColumnVector,
  OnHeapColumnVector,
  WritableColumnVector
}
import org.apache.spark.sql.types.StructType
import org.apache.spark.sql.vectorized.{ColumnVector, ColumnarBatch}
import org.apache.spark.util.SerializableConfiguration
import org.slf4j.LoggerFactory
import tfspark.shared.Shared
import tfspark.storage.Hex
import tfspark.{IntegrityError, StorageError}

/** @param found
  *   what the files give of the columns
  * @param schema
  *   what Spark asks for; columnar where it is the same
  */
private final class ReaderFactory(
    layout: Layout,
    found: StructType,
    schema: StructType,
    partitionBy: Seq[ArrowField],
    options: Options,
    conf: Broadcast[SerializableConfiguration]
) extends PartitionReaderFactory {

  private val casts = found.map(_.dataType) != schema.map(_.dataType)
  private val strict = NotNull.says(schema)

  override def supportColumnarReads(partition: InputPartition): Boolean = !casts && !strict

  override def createColumnarReader(partition: InputPartition): PartitionReader[ColumnarBatch] =
    new TFRecordReader(
      partition.asInstanceOf[Files].entries,
      layout,
      found,
      partitionBy,
      options,
      conf.value.value
    )

  override def createReader(partition: InputPartition): PartitionReader[InternalRow] =
    new PartitionReader[InternalRow] {
      private val batches = createColumnarReader(partition).asInstanceOf[TFRecordReader]
      private val cast = new LosslessCast(found, schema)
      private var rows: java.util.Iterator[InternalRow] = java.util.Collections.emptyIterator()
      private var row: InternalRow = _

      def next(): Boolean = {
        while (!rows.hasNext && batches.next()) rows = batches.get().rowIterator()
        val more = rows.hasNext
        if (more) {
          row = try cast(rows.next())
          catch { case error: LossError => throw batches.lost(error) }
          if (strict) for (name <- NotNull.missing(schema, row))
            throw batches.lost(new LossError(Shared.say("null_refused", "name" -> name)))
        }
        more
      }

      def get(): InternalRow = row
      def close(): Unit = batches.close()
      override def currentMetricsValues(): Array[CustomTaskMetric] = batches.currentMetricsValues()
    }
}

/** The files of a task, one after the other, as batches of columns. */
private final class TFRecordReader(
    entries: Seq[FileEntry],
    layout: Layout,
    schema: StructType,
    partitionBy: Seq[ArrowField],
    options: Options,
    conf: Configuration
) extends PartitionReader[ColumnarBatch] {
  import TFRecordReader._

  private val constant = partitionBy.map(_.name)
  private val names = schema.fieldNames.toSeq.filterNot(constant.contains)
  private val decoder = new Decoder(layout, names)
  private val vectors: Array[WritableColumnVector] =
    OnHeapColumnVector.allocateColumns(Rows, decoder.schema).map(vector => vector)
  private var left = entries.toList
  private var reading: Reading = _
  private var batch: ColumnarBatch = _
  private var allCorrupt = 0L

  def next(): Boolean = {
    var rows = 0
    while (rows == 0) {
      if (reading == null) {
        if (left.isEmpty) return false
        reading = new Reading(left.head)
        left = left.tail
      }
      rows = reading.fill()
      if (rows == 0) {
        reading.finish()
        reading = null
      }
    }
    batch.setNumRows(rows)
    true
  }

  def get(): ColumnarBatch = batch

  def close(): Unit = {
    if (reading != null) reading.close()
    vectors.foreach(_.close())
  }

  override def currentMetricsValues(): Array[CustomTaskMetric] = Array(new CustomTaskMetric {
    def name(): String = CorruptRecords.Name
    def value(): Long = allCorrupt
  })

  def lost(error: LossError): StorageError =
    new StorageError(s"${reading.path}: ${error.reason}")

  private final class Reading(entry: FileEntry) {
    val path: String = entry.path
    private val file = Store(path, conf)
    if (!file.exists)
      throw new StorageError(
        s"$path was there when the folder was listed and is gone: the folder was overwritten; load " +
          "it again"
      )
    private val source = new Source(file, options.compression)
    private val frames = new Frames(source)
    private var rows, corrupt = 0L
    private var lost: Option[Long] = None
    private var ended = false
    batch = new ColumnarBatch(columns())

    /** Rows that were put into the vectors; 0 at the end. */
    def fill(): Int = {
      vectors.foreach(_.reset())
      var (row, bytes) = (0, 0L)
      while (row < Rows && bytes < Bytes && !ended)
        if (!frames.next()) {
          ended = true
          if (frames.broken != null) {
            bad(frames.said)
            lost = Some(frames.offset)
          }
        } else if (!frames.good) bad("the sum of its data is wrong")
        else if (!decoded(row)) bad("it is no Example")
        else {
          row += 1
          bytes += frames.end - frames.begin
        }
      rows += row
      row
    }

    private def decoded(row: Int): Boolean =
      try names.isEmpty || decoder.decode(frames.data, frames.begin, frames.end, vectors, row)
      catch {
        case error: MisfitError =>
          throw new StorageError(
            s"$path: record ${frames.record} at byte ${frames.offset} ${error.reason}: read it " +
              "with the schema that it was written with"
          )
        case error: LossError => throw new StorageError(s"$path: ${error.reason}")
      }

    private def bad(reason: String): Unit = {
      if (!options.skips)
        throw new IntegrityError(
          s"$path: record ${frames.record} at byte ${frames.offset} is damaged: $reason; get the " +
            "file again from where it came, or skip corrupt records"
        )
      corrupt += 1
      allCorrupt += 1
    }

    /** Compare with the manifest, and tell what was skipped. */
    def finish(): Unit = {
      close()
      val other = entry.rows.filter(_ != rows)
      if (!options.skips) for (expected <- other)
        throw new IntegrityError(
          s"$path has $rows records, the manifest says $expected: it was cut off or replaced; " +
            "bring it back or write the folder again"
        )
      else if (corrupt > 0 || other.isDefined) tell()
    }

    def close(): Unit = source.close()

    private def tell(): Unit = {
      val said = JsonNodeFactory.instance.objectNode().put("file", path).put("rows", rows)
      entry.rows.fold(said.putNull("expected"))(said.put("expected", _))
      said.put("corrupt", corrupt)
      lost.fold(said.putNull("lost_from_byte"))(said.put("lost_from_byte", _))
      log.warn("corrupt records were skipped: {}", said)
      for (folder <- options.corruptPath) {
        // Named by the file: a second attempt of the task says the same again.
        val digest = MessageDigest.getInstance("SHA-256")
        digest.update(path.getBytes(UTF_8))
        (Store(folder, conf) / s"${Hex(digest).take(32)}.json").writeJson(said)
      }
    }

    private def columns(): Array[ColumnVector] = {
      val values = Constants.row(entry, partitionBy)
      schema.fields.map { field =>
        constant.indexOf(field.name) match {
          case -1 => vectors(names.indexOf(field.name))
          case at =>
            val vector = new ConstantColumnVector(Rows, field.dataType)
            ColumnVectorUtils.populate(vector, values, at)
            vector
        }
      }
    }
  }
}

private object TFRecordReader {
  private val Rows = 4096 // of a batch
  private val Bytes = 8 << 20 // of its records
  private val log = LoggerFactory.getLogger("tfspark.tfrecord")
}
