package tfspark.job

import java.time.LocalDate
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.functions._
import org.apache.spark.sql.types.{StructField, StructType}
import tfspark.job.Tables.{quote, Raw, Reasons}
import tfspark.model.{Binding, ModelFolder}
import tfspark.plans.Scoring

/** What a run scores, and where it goes.
  *
  * @param bound
  *   to the columns of the rows, by number
  * @param used
  *   the columns that are kept or scored, the kept ones first
  * @param about
  *   columns of one value: a String or an Instant
  * @param schema
  *   of the target, with `day`
  */
private[tfspark] final case class Asked(
    where: String,
    model: ModelFolder,
    bound: Seq[Binding.Bound],
    used: Seq[String],
    kept: Seq[StructField],
    about: Seq[(String, Any)],
    schema: StructType,
    target: String,
    day: LocalDate,
    runId: String
) {
  def doing: String = s"scoring $where with ${model.path}"
}

/** How a run's rows are scored and become the day. */
private[tfspark] trait Way {

  /** Score every row once.
    *
    * @return
    *   the rows that were written, and how many of them are bad
    */
  def score(checked: DataFrame): (Long, Long)

  /** The bad rows, with their reasons and their text. */
  def badRows: DataFrame

  /** Replace the day by the good rows; the table's new version. */
  def commit(): Long
}

/** Spark writes: once into the staging folder, and from there into the table. */
private[tfspark] final class StagedRun(asked: Asked, staging: String) extends Way {
  import asked._

  private var staged: DataFrame = _
  private val outputs = model.signature.outputs

  def score(checked: DataFrame): (Long, Long) = {
    // By number: Parquet's names are Spark's business, and ours may have any character.
    val numbered = used.indices.map(i => s"u$i")
    val results = outputs.indices.map(i => s"o$i")
    val own = Seq(Reasons, Raw)
    val rows = checked.select((used ++ own).map(name => col(quote(name))): _*)
      .toDF(numbered ++ own: _*)
    val moved = bound.map { input =>
      input.copy(columns = input.columns.map(i => used.indexOf(checked.columns(i))))
    }
    val scored = Scoring.scored(rows, model, moved).toDF(numbered ++ own ++ results :+ "why": _*)
    val reasons = when(size(col(Reasons)) > 0, col(Reasons))
      .when(col("why").isNotNull, array(col("why")))
      .otherwise(col(Reasons))
    val isBad = size(col(Reasons)) > 0 || col("why").isNotNull
    val text = coalesce(col(Raw), Quarantine.text(checked.schema, used, used.zip(numbered).toMap))
    val result = scored.select(
      kept.indices.map(i => col(s"u$i").as(s"k$i")) ++
        results.map(name => when(!isBad, col(name)).as(name)) ++
        Seq(
          when(isBad, reasons).as(Reasons),
          when(isBad, text).as(Raw),
          when(isBad, lit(1)).as(StagedRows.Bad)
        ): _*
    )
    val spark = checked.sparkSession
    val to = s"$staging/rows"
    SparkErrors.running(doing, target)(result.write.parquet(to))
    staged = spark.read.options(Tables.Literal).schema(result.schema).parquet(to)
    StagedRows.count(to, spark.sparkContext.hadoopConfiguration)
  }

  def badRows: DataFrame =
    staged.where(col(StagedRows.Bad).isNotNull).select(col(Reasons), col(Raw))

  def commit(): Long = {
    val rows = staged.where(col(StagedRows.Bad).isNull).select(
      kept.zipWithIndex.map { case (field, i) => col(s"k$i").as(field.name) } ++
        outputs.zipWithIndex.map { case (output, i) => col(s"o$i").as(output.name) } ++
        about.map { case (name, value) => lit(value).as(name) }: _*
    )
    Tables.writeDay(rows, target, day, runId)
  }
}
