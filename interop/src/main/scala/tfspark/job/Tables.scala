package tfspark.job

import io.delta.tables.DeltaTable
import java.time.LocalDate
import org.apache.hadoop.conf.Configuration
import org.apache.spark.sql.functions.{col, lit}
import org.apache.spark.sql.types.StructType
import org.apache.spark.sql.{AnalysisException, DataFrame, SparkSession}
import scala.util.control.NonFatal
import tfspark.storage.Storage
import tfspark.table.TableFiles
import tfspark.{ConfigError, ContractViolation, StorageError, TfsparkException}

/** Tables: raw ones read, Delta ones written a day at a time, as `tfspark/tables.py` does. */
private[tfspark] object Tables {
  val Corrupt = "_tfspark_corrupt"
  val Raw: String = TableFiles.Raw
  val Reasons: String = TableFiles.Reasons
  val Json = "_tfspark_json"
  private val Mapped = """[ ,;{}()\n\t=]""".r.unanchored

  private def conf(spark: SparkSession): Configuration = spark.sparkContext.hadoopConfiguration

  /** Whether a table is named by its folder; otherwise by its name in the catalog. */
  def isPath(spark: SparkSession, table: String): Boolean =
    table.contains("/") || new Storage(table, conf(spark)).exists()

  def isDelta(spark: SparkSession, path: String): Boolean =
    new Storage(path, conf(spark)).isDirectory("_delta_log")

  /** Whether there is a table of a name, or a Delta table in a folder. */
  def isThere(spark: SparkSession, table: String): Boolean =
    if (isPath(spark, table)) isDelta(spark, table) else spark.catalog.tableExists(table)

  def quote(name: String): String = "`" + name.replace("`", "``") + "`"

  /** A table that is named by a text: its format is what lies there. */
  def asSource(spark: SparkSession, table: String): Source =
    if (!isPath(spark, table)) Source("table", table)
    else Source(if (isDelta(spark, table)) "delta" else "parquet", table)

  /** The source at its version of now. */
  def pinned(spark: SparkSession, source: Source, day: LocalDate): Source = {
    val versioned = source.format == "delta" || source.format == "table"
    if (!versioned || source.options.contains("versionAsOf")) return source
    val path = source.path.replace("{date}", day.toString)
    try {
      val version = named(spark, path, source.format == "delta").history(1).select("version").head()
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
    val path = source.path.replace("{date}", day.toString)
    val df = SparkErrors.reading(path)(source.format match {
      case "csv" => TextFiles.csv(spark, path, TextOptions.of("csv", source.options))
      case "json" =>
        withDay(TextFiles.json(spark, path, TextOptions.of("json", source.options)), source)
      case format => readers(format)(spark, path, source.sparkOptions)
    })
    source.dayColumn.fold(df) { column =>
      if (!df.columns.contains(column))
        throw new ContractViolation(
          s"$path: no column $column (source.day_column); there are: ${df.columns.mkString(", ")}"
        )
      // A row whose day cannot be read is no day's: it stays, for the checks to refuse.
      val found = col(quote(column)).try_cast("date")
      df.where(found.isNull || found === lit(java.sql.Date.valueOf(day)))
    }
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
    if (!isPath(spark, target))
      Option.when(spark.catalog.tableExists(target))(spark.table(target).schema)
    else
      Option.when(isDelta(spark, target)) {
        SparkErrors.reading(target)(spark.read.format("delta").load(target).schema)
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
            "write to a new table, or migrate this one"
        )
    }

  /** Replace one day of a Delta table (made when it is not there) in one commit.
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
    checkColumns(schema(spark, target), rows.schema, target)
    val others = where.map { case (name, value) => s"${quote(name)} = ${text(value)}" }
    val writer = rows.write
      .format("delta")
      .mode("overwrite")
      .partitionBy("day" +: where.map(_._1): _*)
      .option("replaceWhere", (s"day = DATE'$day'" +: others).mkString(" AND "))
      .option("userMetadata", runId)
    // Delta's own names for Parquet columns, since Parquet's cannot hold these characters.
    if (rows.columns.exists(Mapped.matches)) writer.option("delta.columnMapping.mode", "name")
    try {
      val path = isPath(spark, target)
      if (path) writer.save(target) else writer.saveAsTable(target)
      val history = named(spark, target, path).history(50)
      def version(of: DataFrame) = of.select("version").take(1).headOption.map(_.getLong(0))
      version(history.where(col("userMetadata") === runId))
        // No rows in place of no rows: Delta commits nothing.
        .orElse(if (rows.isEmpty) version(history) else None)
        .getOrElse(
          throw new StorageError(
            s"$target: the commit of run $runId is not in the table's history"
          )
        )
    } catch {
      case error: TfsparkException => throw error
      case NonFatal(error) =>
        throw new StorageError(
          s"$target: the day $day could not be written, the table is unchanged: " +
            SparkErrors.line(error),
          error
        )
    }
  }

  private def named(spark: SparkSession, table: String, path: Boolean): DeltaTable =
    if (path) DeltaTable.forPath(spark, table) else DeltaTable.forName(spark, table)

  /** A text as a SQL literal. */
  private def text(value: String): String =
    "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
}
