package tfspark.tfrecord

import java.util.OptionalLong
import org.apache.hadoop.conf.Configuration
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.{
  AttributeReference,
  Expression,
  Predicate,
  PythonUDF,
  SubqueryExpression
}
import org.apache.spark.sql.catalyst.types.DataTypeUtils.toAttributes
import org.apache.spark.sql.classic.SparkSession
import org.apache.spark.sql.connector.expressions.filter.{Predicate => PushedPredicate}
import org.apache.spark.sql.connector.metric.{CustomMetric, CustomSumMetric}
import org.apache.spark.sql.connector.read._
import org.apache.spark.sql.internal.connector.SupportsPushDownCatalystFilters
import org.apache.spark.sql.tfspark.Frames
import org.apache.spark.sql.types.StructType
import org.apache.spark.util.SerializableConfiguration
import tfspark.{ConfigError, StorageError}

/** Takes of a query the columns that it needs, and its conditions on partition columns. */
private final class TFRecordScanBuilder(
    folder: Folder,
    asked: StructType,
    options: Options,
    conf: Configuration,
    inferred: Boolean
) extends ScanBuilder
    with SupportsPushDownRequiredColumns
    with SupportsPushDownCatalystFilters {

  private val declared = TFRecordSource.declared(folder, options)
  for (layout <- declared) {
    val known = layout.names ++ folder.partitionBy.map(_.name)
    for (name <- asked.fieldNames.find(!known.contains(_)))
      throw new ConfigError(s"${folder.path} has no column $name; it has ${Repr.list(known)}")
  }

  private var schema = asked
  private var files = Prune(folder, options.where)

  override def pruneColumns(required: StructType): Unit =
    schema = StructType(required.map(field => asked(field.name)))

  /** Conditions that only partition columns decide choose the files; the others are Spark's. */
  override def pushFilters(filters: Seq[Expression]): Seq[Expression] = {
    val kinds = SparkTypes.toSpark(folder.partitionBy)
    // Of a column that is read as another type, Spark compares the values that it gets.
    val names = kinds.filter(one =>
      asked.exists(f => f.name == one.name && f.dataType == one.dataType)
    ).map(_.name).toSet
    val (ours, rest) = filters.partition { filter =>
      filter.deterministic && filter.references.nonEmpty &&
      filter.references.forall(one => names(one.name)) &&
      !SubqueryExpression.hasSubquery(filter) && !filter.exists(_.isInstanceOf[PythonUDF])
    }
    val attributes = toAttributes(kinds)
    for (filter <- ours) {
      val bound = filter.transform { case column: AttributeReference =>
        attributes.find(_.name == column.name).get
      }
      val test = Predicate.createInterpreted(
        org.apache.spark.sql.catalyst.expressions.BindReferences.bindReference(bound, attributes)
      )
      files = files.filter(entry => test.eval(Constants.row(entry, folder.partitionBy)))
    }
    rest
  }

  override def pushedFilters: Array[PushedPredicate] = Array.empty

  def build(): Scan = {
    val found = folder.copy(files = files, layout = declared)
    // What the user named is all that is wanted; of a sample nothing may be missing.
    val all = asked.fieldNames.toSet ++ folder.partitionBy.map(_.name)
    val known = if (inferred && options.columns.isEmpty) Some(all) else None
    new TFRecordScan(found, schema, options, conf, known)
  }
}

private[tfrecord] object Constants {

  /** The partition values of a file. */
  def row(entry: FileEntry, columns: Seq[ArrowField]): InternalRow =
    InternalRow.fromSeq(columns.map { column =>
      Partition.internal(entry.partition(column.name), column.kind)
    })
}

/** One scan: it gives the columns of `schema`, and decodes no others. */
private final class TFRecordScan(
    folder: Folder,
    schema: StructType,
    options: Options,
    conf: Configuration,
    sampled: Option[Set[String]]
) extends Scan
    with Batch
    with SupportsReportStatistics {

  private val constant = folder.partitionBy.map(_.name)
  private val columns = schema.fieldNames.toSeq.filterNot(constant.contains)

  private val layout = folder.layout.getOrElse {
    val fields = SparkTypes.toRead(StructType(columns.map(schema(_))))
    val record = if (columns.isEmpty) None else options.recordType
    Layout.toRead(fields, record).copy(sampled = sampled)
  }

  /** What the files give of these columns, before a schema that was given casts them. */
  private val found = {
    val fields = layout.fields.map(f => f.name -> f) ++ folder.partitionBy.map(f => f.name -> f)
    val known = fields.toMap
    StructType(SparkTypes.toSpark(schema.fieldNames.toSeq.map(known)).fields)
  }

  for (
    (from, to) <- found.zip(Frames.nullable(schema))
    if !LosslessCast.can(from.dataType, to.dataType)
  ) {
    val arrows = Seq(from, to).map(field => SparkTypes.toArrow(StructType(Seq(field))).head.kind)
    throw new StorageError(
      s"${folder.path}: column ${to.name} is ${arrows.head} and cannot be ${arrows.last}: read it " +
        "as what it is"
    )
  }

  override def readSchema(): StructType = schema

  override def description(): String =
    s"${TFRecordSource.Name} ${folder.path}, ${folder.files.size} files, columns " +
      schema.fieldNames.mkString("[", ", ", "]")

  override def toBatch: Batch = this

  override def planInputPartitions(): Array[InputPartition] =
    Files.grouped(folder.files, options.taskBytes).toArray

  override def createReaderFactory(): PartitionReaderFactory = {
    val shared = SparkSession.active.sparkContext.broadcast(new SerializableConfiguration(conf))
    new ReaderFactory(layout, found, schema, folder.partitionBy, options, shared)
  }

  /** Rows as the manifest counts them; without one, bytes alone. */
  override def estimateStatistics(): Statistics = new Statistics {
    private val rows = folder.files.map(_.rows)
    def sizeInBytes(): OptionalLong = OptionalLong.of(folder.files.map(_.bytes).sum)
    def numRows(): OptionalLong =
      if (rows.exists(_.isEmpty)) OptionalLong.empty else OptionalLong.of(rows.flatten.sum)
  }

  override def supportedCustomMetrics(): Array[CustomMetric] = Array(new CorruptRecords)
}

/** Records that were skipped, in Spark's page of the query. */
final class CorruptRecords extends CustomSumMetric {
  def name(): String = CorruptRecords.Name
  def description(): String = "corrupt records that were skipped"
}

private[tfrecord] object CorruptRecords {
  val Name = "corruptRecords"
}

/** The files of a task. */
private final case class Files(entries: Seq[FileEntry]) extends InputPartition

private object Files {
  private val Opening = 4L << 20 // bytes that opening a file costs as much as reading
  private val Tasks = 32 // so many at least where there are as many files

  /** Files to tasks, in their order: small ones together, up to a size. */
  def grouped(files: Seq[FileEntry], size: Long): Seq[Files] = {
    val limit =
      math.min(size, math.max(Opening, files.map(_.bytes + Opening).sum / Tasks))
    var room = 0L
    val groups = Seq.newBuilder[Files]
    var group = Vector.empty[FileEntry]
    for (entry <- files) {
      val cost = entry.bytes + Opening
      if (group.nonEmpty && cost > room) {
        groups += Files(group)
        group = Vector.empty
      }
      if (group.isEmpty) room = limit
      group :+= entry
      room -= cost
    }
    if (group.nonEmpty) groups += Files(group)
    groups.result()
  }
}
