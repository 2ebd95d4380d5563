package tfspark.numbers

import java.io.Closeable
import java.nio.ByteOrder
import org.apache.hadoop.conf.Configuration
import org.apache.parquet.HadoopReadOptions
import org.apache.parquet.column.Encoding
import org.apache.parquet.column.page.PageReadStore
import org.apache.parquet.hadoop.ParquetFileReader
import org.apache.parquet.hadoop.util.HadoopInputFile
import org.apache.parquet.schema.PrimitiveType.PrimitiveTypeName
import org.apache.parquet.schema.{LogicalTypeAnnotation, MessageType, PrimitiveType, Type}
import org.apache.spark.TaskContext
import org.apache.spark.broadcast.Broadcast
import org.apache.spark.sql.SparkSession
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan
import org.apache.spark.sql.catalyst.rules.Rule
import org.apache.spark.sql.execution.datasources.parquet.ParquetFileFormat
import org.apache.spark.sql.execution.datasources.{
  FileFormat,
  HadoopFsRelation,
  LogicalRelation,
  PartitionedFile
}
import org.apache.spark.sql.execution.vectorized.{
  ColumnVectorUtils,
  ConstantColumnVector,
  OnHeapColumnVector
}
import org.apache.spark.sql.sources.Filter
import org.apache.spark.sql.tfspark.{Frames, SendableConfiguration}
import org.apache.spark.sql.types._
import org.apache.spark.sql.vectorized.{ColumnVector, ColumnarBatch}
import scala.jdk.CollectionConverters._
import scala.util.control.NonFatal

/** Parquet whose columns are plain numbers is read by `NumberChunk`; what is anything else, by
  * Spark's own reader, a file at a time.
  */
private[tfspark] final class NumbersFormat extends ParquetFileFormat {

  override def buildReaderWithPartitionValues(
      session: SparkSession,
      data: StructType,
      partition: StructType,
      required: StructType,
      filters: Seq[Filter],
      options: Map[String, String],
      conf: Configuration
  ): PartitionedFile => Iterator[InternalRow] = {
    val theirs = super.buildReaderWithPartitionValues(
      session,
      data,
      partition,
      required,
      filters,
      options,
      conf
    )
    val settings = getSqlConf(session)
    val ours = ByteOrder.nativeOrder == ByteOrder.LITTLE_ENDIAN &&
      options.get(FileFormat.OPTION_RETURNING_BATCH).contains("true") &&
      !settings.offHeapColumnVectorEnabled && filters.isEmpty && required.nonEmpty &&
      required.forall(field => NumbersFormat.isNumber(field))
    if (!ours) theirs
    else {
      val sent = session.sparkContext.broadcast(Frames.send(conf))
      val rows = settings.parquetVectorizedReaderBatchSize
      new ReadNumbers(theirs, required, partition, rows, sent)
    }
  }
}

/** What reads a file within a task; each task has its own. */
private final class ReadNumbers(
    theirs: PartitionedFile => Iterator[InternalRow],
    required: StructType,
    partition: StructType,
    rows: Int,
    sent: Broadcast[SendableConfiguration]
) extends (PartitionedFile => Iterator[InternalRow])
    with Serializable {
  @transient private lazy val memories = new PageMemories(sent.value.value)

  override def apply(file: PartitionedFile): Iterator[InternalRow] = {
    val memory = memories.take()
    NumbersFormat.open(file, required, sent.value.value, memory) match {
      case None =>
        memories.give(memory)
        theirs(file)
      case Some((reader, columns)) =>
        val ended = () => memories.give(memory)
        val batches = new NumberBatches(reader, columns, required, rows, memory, ended)
        batches.alike(partition, file.partitionValues)
        Option(TaskContext.get()).foreach(_.addTaskCompletionListener[Unit](_ => batches.close()))
        batches.asInstanceOf[Iterator[InternalRow]] // as Spark's own: the plan knows it
    }
  }
}

private[tfspark] object NumbersFormat {

  /** Of values and of levels; Parquet for Java says BIT_PACKED of levels that are not there. */
  private def isKnown(encoding: Encoding) = encoding.usesDictionary ||
    Set("PLAIN", "RLE", "BIT_PACKED")(encoding.name)

  private def isNumber(field: StructField) =
    Seq(IntegerType, LongType, FloatType, DoubleType).contains(field.dataType) &&
      !field.metadata.contains("parquet.field.id")

  /** A file whose columns are all plain numbers, and these. */
  def open(
      file: PartitionedFile,
      required: StructType,
      conf: Configuration,
      memory: PageMemory
  ): Option[(ParquetFileReader, Seq[Type])] = {
    val range = HadoopReadOptions
      .builder(conf, file.toPath)
      .withRange(file.start, file.start + file.length)
      .withAllocator(memory)
      .withCodecFactory(memory)
    // It reads ranges side by side, which a local disk needs not, into buffers that it keeps.
    if (file.toPath.toUri.getScheme == "file") range.withUseHadoopVectoredIo(false)
    val reader = ParquetFileReader.open(HadoopInputFile.fromPath(file.toPath, conf), range.build())
    try {
      val schema = reader.getFileMetaData.getSchema
      val columns = required.fields.toSeq.flatMap(find(schema, _))
      val names = columns.map(_.getName).toSet
      val encoded = for {
        group <- reader.getRowGroups.asScala
        chunk <- group.getColumns.asScala
        if chunk.getPath.size == 1 && names(chunk.getPath.toArray.head)
        encoding <- chunk.getEncodings.asScala
      } yield encoding
      if (columns.size == required.size && encoded.forall(isKnown)) Some((reader, columns))
      else {
        reader.close()
        None
      }
    } catch {
      case NonFatal(error) =>
        reader.close()
        throw error
    }
  }

  /** The column of a file, if it is there once and just as Spark has it. */
  private def find(schema: MessageType, field: StructField): Option[Type] =
    schema.getFields.asScala.toSeq.filter(_.getName.equalsIgnoreCase(field.name)) match {
      case Seq(column: PrimitiveType)
          if column.getName == field.name && !column.isRepetition(Type.Repetition.REPEATED) &&
            plain(column).contains(field.dataType) =>
        Some(column)
      case _ => None
    }

  private def plain(column: PrimitiveType): Option[DataType] = {
    val whole = Option(column.getLogicalTypeAnnotation)
    def signed(bits: Int) = whole.forall(_ == LogicalTypeAnnotation.intType(bits, true))
    column.getPrimitiveTypeName match {
      case PrimitiveTypeName.INT32 if signed(32) => Some(IntegerType)
      case PrimitiveTypeName.INT64 if signed(64) => Some(LongType)
      case PrimitiveTypeName.FLOAT if whole.isEmpty => Some(FloatType)
      case PrimitiveTypeName.DOUBLE if whole.isEmpty => Some(DoubleType)
      case _ => None
    }
  }
}

/** The row groups of a file, so many rows at a time; the memory of a batch is used again. */
private final class NumberBatches(
    reader: ParquetFileReader,
    columns: Seq[Type],
    required: StructType,
    capacity: Int,
    memory: PageMemory,
    ended: () => Unit
) extends Iterator[ColumnarBatch]
    with Closeable {
  private val vectors = OnHeapColumnVector.allocateColumns(capacity, required)
  private var batch = new ColumnarBatch(vectors.map(vector => vector: ColumnVector))
  private val schema = new MessageType("numbers", columns.asJava)
  private var chunks: Seq[NumberChunk] = Nil
  private var group: PageReadStore = _
  private var left = 0L // rows of the group
  reader.setRequestedSchema(schema)

  /** Columns of one value, behind the others. */
  def alike(fields: StructType, values: InternalRow): Unit = {
    val more = fields.indices.map { i =>
      val vector = new ConstantColumnVector(capacity, fields(i).dataType)
      ColumnVectorUtils.populate(vector, values, i)
      vector
    }
    batch = new ColumnarBatch((vectors ++ more).toArray[ColumnVector])
  }

  override def hasNext: Boolean = {
    while (left == 0 && chunks != null) {
      if (group != null) group.close()
      group = reader.readNextRowGroup()
      if (group == null) close()
      else {
        left = group.getRowCount
        chunks = schema.getColumns.asScala.toSeq.zipWithIndex.map { case (column, i) =>
          new NumberChunk(column, group.getPageReader(column), memory, i)
        }
      }
    }
    left > 0
  }

  override def next(): ColumnarBatch = {
    if (!hasNext) throw new NoSuchElementException
    val rows = math.min(left, capacity.toLong).toInt
    for ((chunk, vector) <- chunks.zip(vectors)) {
      vector.reset()
      chunk.read(vector, rows)
    }
    left -= rows
    batch.setNumRows(rows)
    batch
  }

  override def close(): Unit = if (chunks != null) {
    chunks = null
    left = 0
    if (group != null) group.close()
    reader.close()
    ended()
  }
}

/** An operator under which tables of Parquet files are read by `NumbersFormat`. */
private[tfspark] trait OverNumbers

/** Scored tables of Parquet files are read by `NumbersFormat`. */
private[tfspark] object NumbersRule extends Rule[LogicalPlan] {
  override def apply(plan: LogicalPlan): LogicalPlan = plan.transformDown {
    case scored @ (_: OverNumbers) => scored.mapChildren(_.transformUp(faster))
  }

  val faster: PartialFunction[LogicalPlan, LogicalPlan] = {
    case table @ LogicalRelation(files: HadoopFsRelation, _, _, _, _)
        if files.fileFormat.getClass == classOf[ParquetFileFormat] =>
      // All formats of Parquet are equal to Spark, and it drops a change that leaves a plan equal.
      val options = files.options + (classOf[NumbersFormat].getName -> "true")
      val read = files.copy(fileFormat = new NumbersFormat, options = options)(files.sparkSession)
      table.copy(relation = read)
  }
}
