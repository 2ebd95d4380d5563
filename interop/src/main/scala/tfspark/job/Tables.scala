package tfspark.job

import io.delta.tables.DeltaTable
import java.time.LocalDate
import org.apache.hadoop.conf.Configuration
import org.apache.spark.sql.functions.{col, lit}
import org.apache.spark.sql.types.StructType
import org.apache.spark.sql.{AnalysisException, DataFrame, SparkSession}
import scala.util.Try
import scala.util.control.NonFatal
import tfspark.storage.Storage
import tfspark.table.TableFiles
import tfspark.{ConfigError, SourceMissing, StorageError, TfsparkException}

/** Tables: raw ones read, Delta ones written a day at a time, as `tfspark/tables.py` does. */
private[tfspark] object Tables {
  val Corrupt = "_tfspark_corrupt"
  val Raw: String = TableFiles.Raw
  val Reasons: String = TableFiles.Reasons
  val Json = "_tfspark_json"

  /** Spark's own option to read a path as it is written, whatever characters it has. */
  val Literal: Map[String, String] = Map("__globPaths__" -> "false")
  private val Tries = 20
  // What Delta and the catalog say of two who write, or make a table, at once.
  private val Others =
    ("Concurrent\\w*Exception|(?:Protocol|Metadata)ChangedException|DELTA_CONCURRENT" +
      "|DELTA_PROTOCOL_CHANGED|DELTA_METADATA_CHANGED|DELTA_CREATE_TABLE_WITH_NON_EMPTY_LOCATION" +
      "|FileAlreadyExistsException|ALREADY_EXISTS|DELTA_LOG_\\w+EXIST|DELTA_TABLE_NOT_FOUND" +
      "|DELTA_SCHEMA_NOT_SET|already exists").r.unanchored
  private val Mapped = """[ ,;{}()\n\t=]""".r.unanchored

  private def conf(spark: SparkSession): Configuration = spark.sparkContext.hadoopConfiguration

  /** Whether a table is named by its folder; otherwise by its name in the catalog. */
  def isPath(spark: SparkSession, table: String): Boolean =
    table.contains("/") || new Storage(table, conf(spark)).exists()

  def isDelta(spark: SparkSession, path: String): Boolean =
    new Storage(path, conf(spark)).isDirectory("_delta_log")

  /** Whether there is a table of a name, or a Delta table in a folder. */
  def isThere(spark: SparkSession, table: String): Boolean =
    if (!isPath(spark, table)) spark.catalog.tableExists(table)
    else isDelta(spark, table) && new DeltaCommits(table, conf(spark)).latest >= 0

  def quote(name: String): String = "`" + name.replace("`", "``") + "`"

  /** A table that is named beside a source: read by the same column of days. Where the source names
    * no table itself, its format and options are those of this one.
    */
  def inPlaceOf(spark: SparkSession, source: Source, table: String): Source =
    if (source.path.isEmpty && source.format != "parquet") source.copy(path = table)
    else {
      val options = if (source.path.isEmpty) source.options else Map.empty[String, String]
      val kind = if (isPath(spark, table)) "parquet" else "table"
      Source(kind, table, options, source.dayColumn)
    }

  /** Of the format that lies there: a Delta table's Parquet files are not all of them its rows.
    *
    * @throws ConfigError
    *   the path is a part of a Delta table
    */
  private def asItIs(spark: SparkSession, source: Source, path: String): Source =
    if (source.format != "parquet") source
    else if (isDelta(spark, path)) source.copy(format = "delta")
    else {
      Places.refusePart(path, conf(spark))
      source
    }

  /** The source at its version of now. */
  def pinned(spark: SparkSession, named: Source, day: LocalDate): Source = {
    val path = named.place(day)
    val source = if (path.isEmpty) named else asItIs(spark, named, path)
    val versioned = source.format == "delta" || source.format == "table"
    if (!versioned || source.options.contains("versionAsOf")) return source
    try {
      val version =
        Tables.named(spark, path, source.format == "delta").history(1).select("version").head()
      source.copy(options = source.options + ("versionAsOf" -> version.getLong(0).toString))
    } catch {
      case _: AnalysisException => source // reading it says so where that is a fault
    }
  }

  /** The rows of one day. Text formats come as strings, so that the contract's checks see what is
    * there; a line that does not parse stands in the column `_tfspark_corrupt`.
    */
  def read(spark: SparkSession, source: Source, day: LocalDate): DataFrame = {
    if (source.path.isEmpty)
      throw new ConfigError(
        "source.path: names no table; set it in the file or with --source.path"
      )
    val path = source.place(day)
    if (source.format == "images" || source.images)
      throw new ConfigError(
        s"$path: files of images are read by tfspark score; here name a table that holds their " +
          "bytes"
      )
    val df = SparkErrors.reading(path)(source.format match {
      case "csv" => TextFiles.csv(spark, path, TextOptions.of("csv", source.options))
      case "json" =>
        withDay(TextFiles.json(spark, path, TextOptions.of("json", source.options)), source)
      case _ => readers(asItIs(spark, source, path).format)(spark, path, source.sparkOptions)
    })
    source.dayColumn.fold(df)(DayColumn(_, day).rows(df, path))
  }

  /** JSON with the field that holds the day. */
  private def withDay(df: DataFrame, source: Source): DataFrame =
    source.dayColumn.filterNot(df.columns.contains).fold(df) { column =>
      df.withColumn(column, RowChecks.field(column))
    }

  private val readers: Map[String, (SparkSession, String, Map[String, String]) => DataFrame] = Map(
    "parquet" -> ((spark, path, options) => spark.read.options(options).parquet(path)),
    "delta" -> ((spark, path, options) => spark.read.format("delta").options(options).load(path)),
    "jdbc" -> jdbc,
    "table" -> ((spark, path, options) => spark.read.options(options).table(path))
  )

  private def jdbc(spark: SparkSession, path: String, options: Map[String, String]): DataFrame = {
    if (!options.contains("url"))
      throw new ConfigError("source.options.url: a jdbc source needs its JDBC URL")
    val table = if (options.contains("query")) Map.empty else Map("dbtable" -> path)
    spark.read.format("jdbc").options(options ++ table).load()
  }

  /** The schema of an existing Delta table; None where there is none yet. */
  def schema(spark: SparkSession, target: String): Option[StructType] =
    Option.when(isThere(spark, target)) {
      SparkErrors.reading(target) {
        if (!isPath(spark, target)) spark.table(target).schema
        else spark.read.format("delta").load(target).schema
      }
    }

  /** Refuse to write to a table of other columns.
    *
    * @throws StorageError
    *   they differ
    */
  def checkColumns(old: Option[StructType], now: StructType, target: String): Unit =
    for (there <- old) {
      def types(schema: StructType) = schema.map(f => f.name -> f.dataType.simpleString).toMap
      val (before, after) = (types(there), types(now))
      val differ = (before.keySet ++ after.keySet).toSeq.sorted
        .filter(name => before.get(name) != after.get(name))
        .map { name =>
          s"$name: ${before.getOrElse(name, "not there")} in the table, " +
            s"${after.getOrElse(name, "not there")} now"
        }
      if (differ.nonEmpty)
        throw new StorageError(
          s"$target: the table has other columns than this run (${differ.mkString("; ")}); " +
            "write to a new table, migrate this one, or let it grow: --evolve (score.evolve: true)"
        )
    }

  /** Refuse to write to a table that is partitioned otherwise; one that is not there is not.
    *
    * @throws StorageError
    *   it is
    */
  def checkPartitions(spark: SparkSession, target: String, by: Seq[String]): Unit =
    if (isThere(spark, target)) {
      val detail = SparkErrors.reading(target) {
        named(spark, target, isPath(spark, target)).detail().head()
      }
      val there = detail.getAs[scala.collection.Seq[String]]("partitionColumns").toSeq
      if (there != by) {
        val clustered =
          if (!detail.schema.fieldNames.contains("clusteringColumns")) Nil
          else Option(detail.getAs[scala.collection.Seq[String]]("clusteringColumns")).toSeq.flatten
        val how =
          if (clustered.nonEmpty) s"clustered by ${clustered.mkString(", ")}"
          else if (there.nonEmpty) s"partitioned by ${there.mkString(", ")}"
          else "not partitioned"
        throw new StorageError(
          s"$target: the table is $how, and its days are replaced by partitions " +
            s"(${by.mkString(", ")}); write to a new table, or migrate this one"
        )
      }
    }

  /** Replace one day of a Delta table (made when it is not there) in one commit. Where others write
    * at once, it is tried again.
    *
    * @param df
    *   the day's rows, without the column `day`
    * @param runId
    *   recorded in the commit, as Delta's `userMetadata`
    * @param where
    *   further columns of `df` that are constant; only rows of the day that have these values are
    *   replaced, and the table is partitioned by them too
    * @return
    *   the version of the table that the commit made
    * @throws StorageError
    *   the table has other columns, or the write failed; the table is unchanged
    */
  def writeDay(
      df: DataFrame,
      target: String,
      day: LocalDate,
      runId: String,
      where: Seq[(String, String)] = Nil
  ): Long = {
    val spark = df.sparkSession
    val rows = df.withColumn("day", lit(java.sql.Date.valueOf(day)))
    val path = isPath(spark, target)
    val others = where.map { case (name, value) => s"${quote(name)} = ${text(value)}" }
    def save(): Unit = {
      checkColumns(schema(spark, target), rows.schema, target)
      val writer = rows.write
        .format("delta")
        .mode("overwrite")
        .partitionBy("day" +: where.map(_._1): _*)
        .option("replaceWhere", (s"day = DATE'$day'" +: others).mkString(" AND "))
        .option("userMetadata", runId)
      // Delta's own names for Parquet columns, since Parquet's cannot hold these characters.
      if (rows.columns.exists(Mapped.matches)) writer.option("delta.columnMapping.mode", "name")
      if (path) writer.save(target) else writer.saveAsTable(target)
    }
    val commits = (spark match {
      case _ if path => Some(target)
      case here: org.apache.spark.sql.classic.SparkSession => Places.location(here, target)
      case _ => None
    }).map(new DeltaCommits(_, conf(spark)))
    val since = commits.fold(-1L)(_.latest) + 1
    def version: Option[Long] = commits match {
      case Some(log) =>
        log.find(since, s"the day $day")(_.path("userMetadata").asText == runId)
      case None =>
        val history = named(spark, target, path).history(50)
        history.where(col("userMetadata") === runId).select("version").take(1).headOption
          .map(_.getLong(0))
    }
    val said = s"$target: the day $day could not be written, the table is unchanged: "
    def tried(number: Int): Long = {
      if (number > 0) Thread.sleep((math.random() * math.min(100L << number, 5000L)).toLong)
      val failed = Try(save()).failed.toOption
      // A try that failed may have committed all the same; and of no rows in place of no rows
      // Delta commits nothing.
      version.getOrElse(failed match {
        case None => commits.fold(-1L)(_.latest)
        // Another run makes the table, or has committed to it.
        case Some(error @ NonFatal(_))
            if error.isInstanceOf[SourceMissing] || Others.matches(SparkErrors.text(error)) =>
          if (number + 1 < Tries) tried(number + 1)
          else
            throw new StorageError(
              said + s"gave up after $Tries tries: other writers keep committing to this table: " +
                SparkErrors.line(error),
              error
            )
        case Some(error: TfsparkException) => throw error
        case Some(NonFatal(error)) => throw StorageError.of(said + SparkErrors.line(error), error)
        case Some(error) => throw error
      })
    }
    tried(0)
  }

  private def named(spark: SparkSession, table: String, path: Boolean): DeltaTable =
    if (path) DeltaTable.forPath(spark, table) else DeltaTable.forName(spark, table)

  /** A text as a SQL literal. */
  private def text(value: String): String =
    "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
}
