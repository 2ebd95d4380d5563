package tfspark.job

import com.fasterxml.jackson.databind.ObjectMapper
import java.nio.charset.StandardCharsets.UTF_8
import java.util.UUID
import org.apache.hadoop.fs.Path
import org.apache.parquet.hadoop.ParquetFileReader
import org.apache.parquet.hadoop.util.HadoopInputFile
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.classic.SparkSession
import org.apache.spark.sql.functions._
import org.apache.spark.sql.types._
import scala.util.Using
import tfspark.StorageError
import tfspark.job.Tables.{Raw, Reasons}
import tfspark.storage.Storage
import tfspark.table.{Part, TableFiles}

/** Tasks write the table's own files, once; the driver commits them or removes them:
  * `tfspark/scoring/table/direct.py`.
  */
private[tfspark] final class FilesRun(
    spark: SparkSession,
    asked: Asked,
    staging: String,
    hasReasons: Boolean
) extends Way {
  import asked._

  private val conf = spark.sparkContext.hadoopConfiguration
  private val token = UUID.randomUUID().toString.replace("-", "")
  private val table = new Storage(target, conf).shown
  private val folder = s"$table/day=$day"
  private var parts: Seq[Part] = Nil
  private var source = new StructType()

  def score(checked: DataFrame): (Long, Long) = {
    claim()
    source = checked.schema
    val rows = if (hasReasons) checked else checked.drop(Reasons, Raw)
    parts = SparkErrors.running(doing, target) {
      TableFiles.write(
        rows,
        model,
        bound,
        used,
        kept.map(_.name),
        about,
        folder,
        staging,
        token
      )
    }
    for (part <- parts) {
      part.file.foreach(name => check(s"$folder/$name", part.rows))
      part.badFile.foreach(name => check(s"$staging/$name", part.bad))
    }
    val bad = parts.map(_.bad).sum
    (bad + parts.map(_.rows).sum, bad)
  }

  def badRows: DataFrame = {
    val names = used.indices.map(i => s"c$i")
    val fields = used.zip(names).map { case (u, name) => StructField(name, source(u).dataType) }
    val own = Seq(StructField(Reasons, ArrayType(StringType)), StructField(Raw, StringType))
    val schema = StructType(fields ++ own)
    val files = parts.flatMap(_.badFile).map(name => s"$staging/$name")
    val rows =
      if (files.isEmpty)
        spark.createDataFrame(new java.util.ArrayList[org.apache.spark.sql.Row], schema)
      else spark.read.options(Tables.Literal).schema(schema).parquet(files: _*)
    val text = coalesce(col(Raw), Quarantine.text(source, used, used.zip(names).toMap))
    rows.select(col(Reasons), text.as(Raw))
  }

  def commit(): Long = Commit.day(spark, table, schema, parts, day, runId, token)

  /** Note in the staging folder which files this run may leave, before the first is written. */
  private def claim(): Unit = {
    val about = new ObjectMapper().createObjectNode()
    about.put("target", table).put("folder", folder).put("token", token)
    val here = new Storage(staging, conf)
    here.write(Commit.Claim, about.toString.getBytes(UTF_8))
    here.write(TableFiles.Open, Array.emptyByteArray)
  }

  /** Whether a file holds the rows that its task counted. */
  private def check(file: String, rows: Long): Unit = {
    val input = HadoopInputFile.fromPath(new Path(file), conf)
    val found = Using.resource(ParquetFileReader.open(input))(_.getRecordCount)
    if (found != rows)
      throw new StorageError(s"$file: holds $found rows, its task wrote $rows; run again")
  }
}
