package tfspark.job

import org.apache.spark.SparkConf
import org.apache.spark.sql.classic.SparkSession
import tfspark.shared.Mask

/** The SparkSession of the job, with what `tfspark/session.py` sets. */
private[tfspark] object Session {
  private val Always = Seq(
    "spark.sql.extensions" -> "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog" -> "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    // A day is a day: not the day of whoever started the driver.
    "spark.sql.session.timeZone" -> "UTC",
    // The default, INT96, is read as nanoseconds and overflows outside 1677 to 2262.
    "spark.sql.parquet.outputTimestampType" -> "TIMESTAMP_MICROS"
  )
  private val UnlessSet = Seq(
    "spark.log.level" -> "ERROR",
    "spark.ui.showConsoleProgress" -> "false",
    // Spark's own pages and logs hide what ours do.
    "spark.redaction.regex" -> Mask.Secret
  )
  // Delta reads its log in so many tasks; the default, 50, is for large tables on a cluster.
  private val Local = Seq("spark.databricks.delta.snapshotPartitions" -> "2")

  /** Started, or the running one with these settings added.
    *
    * @param asked
    *   settings of the job, which win over ours; what spark-submit was told wins over defaults of
    *   taste
    */
  def start(app: String, asked: Map[String, String]): SparkSession = {
    val told = new SparkConf()
    val master = Option.when(!told.contains("spark.master"))("spark.master" -> "local[*]")
    val at = asked.getOrElse("spark.master", told.get("spark.master", "local[*]"))
    val defaults = if (at.startsWith("local")) UnlessSet ++ Local else UnlessSet
    val taste = defaults.filterNot { case (key, _) => told.contains(key) }
    val builder = SparkSession.builder().appName(app)
    for ((key, value) <- taste ++ Always ++ master ++ asked) builder.config(key, value)
    builder.getOrCreate()
  }
}
