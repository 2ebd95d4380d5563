package tfspark.tfrecord

import java.util.{EnumSet, Map => JavaMap, Set => JavaSet}
import org.apache.hadoop.conf.Configuration
import org.apache.spark.rdd.RDD
import org.apache.spark.sql.classic.SparkSession
import org.apache.spark.sql.connector.catalog.TableCapability._
import org.apache.spark.sql.connector.catalog.{
  SupportsRead,
  SupportsWrite,
  Table,
  TableCapability,
  TableCatalog,
  TableProvider
}
import org.apache.spark.sql.connector.expressions.Transform
import org.apache.spark.sql.connector.read.ScanBuilder
import org.apache.spark.sql.connector.write.{
  LogicalWriteInfo,
  SupportsTruncate,
  V1Write,
  WriteBuilder
}
import org.apache.spark.sql.sources.{
  BaseRelation,
  CreatableRelationProvider,
  DataSourceRegister,
  InsertableRelation,
  PrunedScan,
  SchemaRelationProvider
}
import org.apache.spark.sql.types.{DataType, StructType}
import org.apache.spark.sql.util.CaseInsensitiveStringMap
import org.apache.spark.sql.{ColumnName, DataFrame, Row, SQLContext, SaveMode}
import scala.jdk.CollectionConverters._
import tfspark.ConfigError
import tfspark.shared.Shared

/** Folders of TFRecord files as a Spark source, the same folders as Python's:
  *
  * {{{
  * spark.read.format("tfspark_tfrecord_jvm").load("folder")
  * }}}
  *
  * The name is another than Python's two ("tfrecord", "tfspark_tfrecord"), so that one session has
  * both. It reads as a source of version 2 and writes as one of version 1: only those know all save
  * modes and `.partitionBy(...)` of `df.write`.
  */
final class TFRecordSource
    extends TableProvider
    with CreatableRelationProvider
    with SchemaRelationProvider
    with DataSourceRegister {

  private var inferred: Option[StructType] = None // by Spark's last question

  def shortName(): String = TFRecordSource.Name

  /** @throws tfspark.TfsparkException the folder cannot be read, an option is wrong */
  def inferSchema(options: CaseInsensitiveStringMap): StructType = {
    val (parsed, conf) = (TFRecordSource.parsed(options.asCaseSensitiveMap), TFRecordSource.conf)
    inferred = Some(TFRecordSource.schemaOf(Folder.of(parsed, conf), parsed, conf))
    inferred.get
  }

  /** A schema that is given picks columns, and casts where no value is lost. */
  override def supportsExternalMetadata(): Boolean = true

  def getTable(schema: StructType, by: Array[Transform], options: JavaMap[String, String]): Table =
    new TFRecordTable(schema, by, options, inferred.contains(schema))

  /** `df.write.format(...).save(folder)`.
    *
    * @throws tfspark.TfsparkException
    *   see [[Save]]
    */
  def createRelation(
      context: SQLContext,
      mode: SaveMode,
      options: Map[String, String],
      df: DataFrame
  ): BaseRelation = {
    Save(df, new Options(options), mode)
    new BaseRelation {
      def sqlContext: SQLContext = context
      def schema: StructType = df.schema
    }
  }

  /** A table of a catalog that takes such sources for ones of version 1, as Delta's does. */
  def createRelation(
      context: SQLContext,
      options: Map[String, String],
      schema: StructType
  ): BaseRelation = new TFRecordRelation(context, options, schema)

  /** All: [[SparkTypes]] refuses what no record holds, and says more. */
  override def supportsDataType(kind: DataType): Boolean = true
}

private[tfrecord] object TFRecordSource {
  val Name = "tfspark_tfrecord_jvm"
  private val Sampled = 8 // files that a schema is taken from

  def conf: Configuration = SparkSession.active.sessionState.newHadoopConf()

  /** The one column of records of any kind, as spark-tfrecord names it. */
  private val Bytes = Seq(ArrowField("byteArray", ArrowType.Plain("binary"), nullable = true))

  /** The layout of the folder's own schema, if it has one and records are read by it.
    *
    * @throws ConfigError
    *   its records are not of the type that is asked for
    */
  def declared(folder: Folder, options: Options): Option[Layout] =
    folder.layout.filter { layout =>
      val asked = options.recordType.getOrElse(layout.recordType)
      val bytes = asked == "ByteArray" && !layout.raw
      // SequenceExamples without lists of lists are Examples.
      if (asked != layout.recordType && !bytes && (asked == "Example" || layout.raw))
        throw new ConfigError(
          Shared.say(
            "no_record_type",
            "path" -> folder.path,
            "found" -> layout.recordType,
            "given" -> asked
          )
        )
      !bytes
    }

  private def sampled(folder: Folder, options: Options, conf: Configuration): Seq[ArrowField] = {
    val full = folder.files.filter(_.bytes > 0).map(_.path)
    val some = if (full.isEmpty) folder.files.map(_.path) else full
    val step = options.inferRecords.fold(1)(_ => math.max(1, (some.size + Sampled - 1) / Sampled))
    val paths = some.indices.by(step).map(some)
    val found = Infer(paths, options.inferRecords, options.compression, conf, options.skips)
    Layout.of(found, recordType = options.recordType).fields
  }

  def parsed(options: JavaMap[String, String]): Options = new Options(options.asScala.toMap)

  /** The Spark schema of a folder: records' columns, then partition columns. */
  def schemaOf(folder: Folder, options: Options, conf: Configuration): StructType = {
    val fields = declared(folder, options).map(_.fields).getOrElse {
      if (options.recordType.contains("ByteArray")) Bytes else sampled(folder, options, conf)
    }
    val constant = folder.partitionBy.map(_.name)
    val records = fields.filterNot(field => constant.contains(field.name))
    val schema = SparkTypes.toSpark(records ++ folder.partitionBy)
    options.columns.fold(schema) { names =>
      for (name <- names.find(!schema.fieldNames.contains(_)))
        throw new ConfigError(
          s"${folder.path} has no column $name; it has ${Repr.list(schema.fieldNames.toSeq)}"
        )
      StructType(names.map(schema(_)))
    }
  }
}

/** Reads and writes as the source does, a row at a time. */
private final class TFRecordRelation(
    val sqlContext: SQLContext,
    options: Map[String, String],
    val schema: StructType
) extends BaseRelation
    with PrunedScan
    with InsertableRelation {

  def buildScan(columns: Array[String]): RDD[Row] = {
    val read = sqlContext.sparkSession.read.format(TFRecordSource.Name).options(options)
    read.schema(schema).load().select(columns.toIndexedSeq.map(quoted): _*).rdd
  }

  private def quoted(name: String) = new ColumnName(s"`${name.replace("`", "``")}`")

  def insert(df: DataFrame, overwrite: Boolean): Unit =
    Save(df, new Options(options), if (overwrite) SaveMode.Overwrite else SaveMode.Append)
}

/** A folder, or several of the same columns. It is listed when a query is planned. */
private final class TFRecordTable(
    asked: StructType,
    by: Array[Transform],
    properties: JavaMap[String, String],
    inferred: Boolean
) extends Table
    with SupportsRead
    with SupportsWrite {

  /** Without what a catalog keeps beside them. */
  private val options = {
    import TableCatalog._
    properties.asScala.toMap -- Seq(PROP_COMMENT, PROP_COLLATION, PROP_EXTERNAL, PROP_LOCATION) --
      Seq(PROP_IS_MANAGED_LOCATION, PROP_OWNER, PROP_PROVIDER)
  }

  def name(): String = s"${TFRecordSource.Name} ${options.getOrElse("path", "")}".trim

  @deprecated("Spark's own", "4.2")
  override def schema(): StructType = asked

  override def partitioning(): Array[Transform] = by

  def capabilities(): JavaSet[TableCapability] =
    EnumSet.of(BATCH_READ, V1_BATCH_WRITE, TRUNCATE)

  /** `INSERT INTO` and `INSERT OVERWRITE` of SQL. */
  def newWriteBuilder(info: LogicalWriteInfo): WriteBuilder = new SupportsTruncate {
    private var mode = SaveMode.Append

    def truncate(): WriteBuilder = {
      mode = SaveMode.Overwrite
      this
    }

    override def build(): V1Write = new V1Write {
      def toInsertableRelation: InsertableRelation = (df, _) => {
        val columns = by.map(_.references.head.fieldNames.mkString(".")).mkString(",")
        val named = if (columns.isEmpty) Map.empty else Map("partitionBy" -> columns)
        val more = info.options.asCaseSensitiveMap.asScala
        Save(df, new Options(options ++ named ++ more), mode)
      }
    }
  }

  def newScanBuilder(more: CaseInsensitiveStringMap): ScanBuilder = {
    val all = options ++ more.asCaseSensitiveMap.asScala
    val (parsed, conf) = (new Options(all), TFRecordSource.conf)
    for (names <- parsed.columns if names != asked.fieldNames.toSeq)
      throw new ConfigError(
        s"${parsed.paths.head}: the schema has the columns ${Repr.list(asked.fieldNames.toSeq)}, " +
          s"the option columns says ${Repr.list(names)}: give one of the two"
      )
    new TFRecordScanBuilder(Folder.of(parsed, conf), asked, parsed, conf, inferred)
  }
}
