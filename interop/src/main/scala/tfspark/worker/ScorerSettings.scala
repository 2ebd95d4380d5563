package tfspark.worker

import org.apache.spark.sql.classic.SparkSession
import org.slf4j.LoggerFactory
import scala.util.Try
import tfspark.ConfigError

/** Spark settings of scoring, read and checked on the driver.
  *
  * @param threads
  *   of TensorFlow for one op
  * @param batchRows
  *   the most rows of one call of the model
  * @param batchBytes
  *   how large the tensors of one call may be together
  */
private[tfspark] final case class ScorerSettings(threads: Int, batchRows: Int, batchBytes: Long)

private[tfspark] object ScorerSettings {
  private val Prefix = "spark.tfspark."
  private val Records = "spark.sql.execution.arrow.maxRecordsPerBatch"
  private val Number = raw"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?".r

  /** The settings of a session.
    *
    * @throws ConfigError
    *   a value that is no such number or word; it is named. A wall is asked for in any case: there
    *   is none around a thread of Spark's own process
    */
  def of(spark: SparkSession): ScorerSettings = {
    spark.conf.get(s"${Prefix}wall", "auto") match {
      case "auto" | "" => tellOnce()
      case "never" =>
      case "always" =>
        throw new ConfigError(
          s"${Prefix}wall: is always, and there is no wall around models in Spark's own process; " +
            "set it to auto, or use plan 'auto', 'scan', 'arrow' or 'pandas'"
        )
      case word =>
        throw new ConfigError(s"${Prefix}wall: '$word' is none of auto, always, never")
    }
    val cpus = spark.sparkContext.getConf.get("spark.task.cpus", "1")
    val rows = number(spark, "batchRows", "0", 0).toInt
    // As many as Spark would hand to Python at a time.
    val most = Some(spark.conf.get(Records, "10000").toInt).filter(_ > 0).getOrElse(10000)
    ScorerSettings(
      number(spark, "threads", cpus, 1).toInt,
      if (rows > 0) math.min(rows, most) else most,
      number(spark, "batchBytes", (32L << 20).toString, 1).toLong
    )
  }

  private lazy val told = LoggerFactory
    .getLogger(getClass.getName.stripSuffix("$"))
    .warn(
      s"no whole wall around models (${Prefix}wall): they are opened in Spark's own process, which " +
        "cannot give up files; `always` refuses to open them, `never` leaves this line out"
    )

  /** Of the process, as on the Python side. */
  private def tellOnce(): Unit = told

  private def number(spark: SparkSession, name: String, default: String, least: Int): Double = {
    val text = Some(spark.conf.get(Prefix + name, default)).filter(_.nonEmpty).getOrElse(default)
    val value = Some(text.trim.toLowerCase)
      .filter(Number.matches)
      .flatMap(digits => Try(digits.toDouble).toOption)
      .filter(found => found >= least && !found.isInfinite)
    value.getOrElse(
      throw new ConfigError(s"$Prefix$name: must be a number of at least $least, not '$text'")
    )
  }
}
