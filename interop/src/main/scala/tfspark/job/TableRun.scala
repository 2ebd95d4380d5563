package tfspark.job

import java.time.{Instant, LocalDate}
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.classic.SparkSession
import org.apache.spark.sql.functions._
import org.apache.spark.sql.tfspark.Frames
import org.apache.spark.sql.types._
import tfspark.job.Tables.{Corrupt, Raw, Reasons}
import tfspark.model.{Binding, ModelFolder}
import tfspark.plans.Scoring
import tfspark.table.TableFile
import tfspark.tensors.OutputColumn
import tfspark.{ConfigError, StorageError}

/** One run of the job: what it reads, what it has staged, and its commit, as
  * `tfspark/scoring/table/run.py` does. Scored by `stage`, then committed or dropped.
  */
private[tfspark] final class TableRun(
    spark: SparkSession,
    source: Source,
    model: ModelFolder,
    target: String,
    day: LocalDate,
    steps: Steps
) {
  private val where = source.place(day)
  private val scoredAt = Instant.now()
  private var way: Way = _

  /** Rows that were refused. */
  var bad = 0L

  /** Who writes the table. */
  var why = ""

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
    // What the checks add stands behind the table's columns.
    val there = StructType(checked.schema.filterNot(f => f.name == Reasons || f.name == Raw))
    val bound = Scoring.bind(spark, model, there, inputs)
    val taken = bound.flatMap(_.columns).map(checked.columns(_))
    val names = Kept.columns(checked.schema, keep, contract, model, taken)
    val kept = names.map(checked.schema(_))
    checkTarget(kept)
    val used = (names ++ taken).distinct
    val asked = Asked(
      where,
      model,
      bound,
      used,
      kept,
      about,
      Frames.nullable(schema(kept)),
      target,
      day,
      steps.runId
    )
    way = steps.step("plan") { info =>
      val not = Target.why(spark, target, schema(kept))
      why = not.fold("tasks write the table's files")(reason => s"Spark writes: $reason")
      info("plan") = "jvm"
      info("why") = why
      if (not.isEmpty) {
        val hasReasons = contract.isDefined || source.dayColumn.isDefined
        new FilesRun(spark, asked, staging, hasReasons)
      } else new StagedRun(asked, staging)
    }
    val rows = steps.step("count rows") { info =>
      val rows = SparkErrors.reading(where)(df.count())
      info("rows") = rows
      rows
    }
    if (rows == 0) Quarantine.refuseEmpty(source, day)
    val found = steps.step("score", rate = true) { info =>
      val (found, refused) = way.score(checked)
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
        RowChecks.check(
          df,
          contract.forScoring(keep, df.columns.toSeq),
          where,
          source.dayColumn
        )
      )
    case None if source.format == "json" =>
      throw new ConfigError(s"$where: JSON lines need a contract, for their columns")
    case None =>
      val cut = df.columns.contains(Corrupt)
      val broken = lit("the line does not have the fields of the table")
      val rows = df.drop(Corrupt)
      val why = Seq(
        Option.when(cut)(when(col(Corrupt).isNotNull, broken)),
        source.dayColumn.map(DayColumn.reason(rows, _))
      ).flatten
      val reasons =
        if (why.isEmpty) array().cast("array<string>") else array_compact(array(why: _*))
      val text = Quarantine.text(rows.schema, rows.columns.toSeq, identity)
      val said = if (cut) coalesce(make_valid_utf8(col(Corrupt)), text) else text
      df.withColumn(Reasons, reasons)
        .withColumn(Raw, when(size(col(Reasons)) > 0, said))
        .drop(Corrupt)
  }

  /** The bad rows, with their reasons and their text. */
  def badRows: DataFrame = way.badRows

  /** Replace the day by the good rows; the table's new version. */
  def commit(): Long = way.commit()

  /** The target's. */
  private def schema(kept: Seq[StructField]): StructType = {
    val made = model.signature.outputs.map(o => StructField(o.name, OutputColumn.kindOf(o)))
    StructType((kept ++ made ++ TableFile.alike(about)) :+ StructField("day", DateType))
  }

  /** Refuse names that are taken and a target of other columns, before anything is scored. */
  private def checkTarget(kept: Seq[StructField]): Unit = {
    val own = (about.map(_._1) :+ "day").map(_.toLowerCase).toSet
    val names = kept.map(_.name) ++ model.signature.outputs.map(_.name)
    val taken = names.filter(name => own(name.toLowerCase))
    if (taken.nonEmpty)
      throw new ConfigError(
        s"$where: ${taken.mkString(", ")}: the scored table has its own column of that name; name " +
          "the columns to keep without it (keep, --keep), or rename it"
      )
    Binding.checkOutputs(model, kept.map(_.name))
    Tables.checkColumns(Tables.schema(spark, target), schema(kept), target)
    Tables.checkPartitions(spark, target, Seq("day"))
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
