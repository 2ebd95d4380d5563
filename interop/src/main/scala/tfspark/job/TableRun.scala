package tfspark.job

import java.time.{Instant, LocalDate}
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.classic.SparkSession
import org.apache.spark.sql.functions._
import org.apache.spark.sql.types._
import tfspark._
import tfspark.job.Tables.{quote, Corrupt, Raw, Reasons}

/** One run of the job: what it reads, what it has staged, and its commit, as
  * `tfspark/scoring/tablerun.py` does. Scored by `stage`, then committed or dropped.
  */
private[tfspark] final class TableRun(
    spark: SparkSession,
    source: Source,
    model: ModelFolder,
    target: String,
    day: LocalDate,
    steps: Steps
) {
  private val where = source.path
  private val scoredAt = Instant.now()
  private var staged: DataFrame = _
  private var kept: Seq[StructField] = Nil

  /** Rows that were refused. */
  var bad = 0L

  /** The columns that every row of the run has alike. */
  private val about: Seq[(String, Any)] = Seq(
    "model_name" -> model.name,
    "model_version" -> model.version,
    "model_digest" -> model.digest,
    "run_id" -> steps.runId,
    "scored_at" -> scoredAt
  )

  /** Score every row once into Parquet files, and count that none was lost.
    *
    * @return
    *   the rows that came in
    */
  def stage(
      staging: String,
      contract: Option[Contract],
      inputs: Map[String, Seq[String]],
      keep: Option[Seq[String]]
  ): Long = {
    val df = Tables.read(spark, Tables.pinned(spark, source, day), day)
    val checked = check(df, contract, keep)
    val caseSensitive = spark.sessionState.conf.caseSensitiveAnalysis
    val bound = Binding.bind(model, checked.schema, inputs, caseSensitive)
    val taken = bound.flatMap(_.columns).map(checked.columns(_))
    val names = Kept.columns(checked.schema, keep, contract, model, taken)
    kept = names.map(checked.schema(_))
    checkTarget()
    val used = (names ++ taken).distinct
    val rows = steps.step("count rows") { info =>
      val rows = SparkErrors.reading(where)(df.count())
      info("rows") = rows
      rows
    }
    if (rows == 0) Quarantine.refuseEmpty(source, day)
    val found = steps.step("score") { info =>
      val (found, refused) = write(checked, bound, used, s"$staging/rows")
      bad = refused
      info("rows") = found
      info("bad") = refused
      found
    }
    if (found != rows)
      throw new StorageError(
        s"$where: $rows rows came in, $found were scored or refused; $target is unchanged. The " +
          "source changed while it was read: run again"
      )
    rows
  }

  /** The table with its typed columns, its reasons and its raw text. */
  private def check(
      df: DataFrame,
      contract: Option[Contract],
      keep: Option[Seq[String]]
  ): DataFrame = contract match {
    case Some(contract) =>
      SparkErrors.reading(where)(
        RowChecks.check(df, contract.forScoring(keep, df.columns.toSeq), where)
      )
    case None if source.format == "json" =>
      throw new ConfigError(s"$where: JSON lines need a contract, for their columns")
    case None =>
      val none = array().cast("array<string>").as(Reasons)
      df.drop(Corrupt).select(col("*"), none, lit(null).cast("string").as(Raw))
  }

  private def write(
      checked: DataFrame,
      bound: Seq[Binding.Bound],
      used: Seq[String],
      to: String
  ): (Long, Long) = {
    // By number: Parquet's names are Spark's business, and ours may have any character.
    val numbered = used.indices.map(i => s"u$i")
    val outputs = model.signature.outputs.indices.map(i => s"o$i")
    val columns = (used ++ Seq(Reasons, Raw)).map(name => col(quote(name)))
    val rows = checked.select(columns: _*).toDF(numbered ++ Seq(Reasons, Raw): _*)
    val moved = bound.map { input =>
      input.copy(columns = input.columns.map(i => used.indexOf(checked.columns(i))))
    }
    val why = "why"
    val scored =
      Scoring.scored(rows, model, moved).toDF(numbered ++ Seq(Reasons, Raw) ++ outputs :+ why: _*)
    val reasons = when(size(col(Reasons)) > 0, col(Reasons))
      .when(col(why).isNotNull, array(col(why)))
      .otherwise(col(Reasons))
    val isBad = size(col(Reasons)) > 0 || col(why).isNotNull
    val stands = used.zip(numbered).toMap
    val text = coalesce(col(Raw), Quarantine.text(checked.schema, used, stands))
    val result = scored.select(
      kept.indices.map(i => col(numbered(i)).as(s"k$i")) ++
        outputs.map(name => when(!isBad, col(name)).as(name)) ++
        Seq(
          when(isBad, reasons).as(Reasons),
          when(isBad, text).as(Raw),
          when(isBad, lit(1)).as(StagedRows.Bad)
        ): _*
    )
    SparkErrors.running(s"scoring $where with ${model.path}", target)(result.write.parquet(to))
    staged = spark.read.schema(result.schema).parquet(to)
    StagedRows.count(to, spark.sparkContext.hadoopConfiguration)
  }

  /** The bad rows, with their reasons and their text. */
  def badRows: DataFrame =
    staged.where(col(StagedRows.Bad).isNotNull).select(col(Reasons), col(Raw))

  /** Replace the day by the good rows that are staged; the table's new version. */
  def commit(): Long = {
    val rows = staged.where(col(StagedRows.Bad).isNull).select(
      kept.zipWithIndex.map { case (field, i) => col(s"k$i").as(field.name) } ++
        model.signature.outputs.zipWithIndex.map { case (o, i) => col(s"o$i").as(o.name) } ++
        about.map { case (name, value) => lit(value).as(name) }: _*
    )
    Tables.writeDay(rows, target, day, steps.runId)
  }

  /** The target's. */
  private def schema: StructType = {
    val made = model.signature.outputs.map(o => StructField(o.name, OutputColumn.kindOf(o)))
    val alike = about.map {
      case (name, _: String) => StructField(name, StringType)
      case (name, _) => StructField(name, TimestampType)
    }
    StructType((kept ++ made ++ alike) :+ StructField("day", DateType))
  }

  /** Refuse names that are taken and a target of other columns, before anything is scored. */
  private def checkTarget(): Unit = {
    val own = (about.map(_._1) :+ "day").map(_.toLowerCase).toSet
    val names = kept.map(_.name) ++ model.signature.outputs.map(_.name)
    val taken = names.filter(name => own(name.toLowerCase))
    if (taken.nonEmpty)
      throw new ConfigError(
        s"$where: ${taken.mkString(", ")}: the scored table has its own column of that name; name " +
          "the columns to keep without it (keep, --keep), or rename it"
      )
    Binding.checkOutputs(model, kept.map(_.name))
    Tables.checkColumns(Tables.schema(spark, target), schema, target)
  }
}

/** Which columns stand beside the predictions. */
private[tfspark] object Kept {

  /** Those that are asked for; else the keys of the contract or of the model's manifest; else what
    * the model does not take; else all.
    */
  def columns(
      schema: StructType,
      keep: Option[Seq[String]],
      contract: Option[Contract],
      model: ModelFolder,
      taken: Seq[String]
  ): Seq[String] = {
    val own = Set(Reasons, Raw)
    val there = StructType(schema.filterNot(field => own(field.name)))
    val names = there.fieldNames.toSeq
    val wanted = keep.getOrElse {
      val keys = contract.fold(model.keys)(_.keys)
      if (keys.nonEmpty && keys.forall(names.contains)) keys
      else {
        // The source's own `day` would stand in the way of the scored table's.
        val rest = names.filter(!_.equalsIgnoreCase("day"))
        val free = rest.filterNot(taken.contains)
        if (free.isEmpty) rest else free
      }
    }
    Scoring.keptColumns(there, Some(wanted)).map(names(_))
  }
}
