package tfspark.job

import java.time.LocalDate
import org.apache.spark.sql.classic.SparkSession
import tfspark.ConfigError

/** Settings → one day of the scored table: `score` of `tfspark/run.py`, and `score_table`.
  *
  * pin the source → count it → score every row once → count that → quarantine the bad rows → stop
  * if they are too many → replace the day
  */
private[tfspark] object Score {
  private val Plans = Seq("auto", "scan", "arrow", "pandas", "jvm")

  /** What was done, for people: name → value.
    *
    * @throws TfsparkException
    *   see `score_table`; the target is unchanged
    */
  def apply(settings: Settings, steps: Steps): Seq[(String, Any)] = {
    val day = Settings.requireDate(settings)
    def refuse(what: String) = throw new ConfigError(s"score: $what")
    if (settings.input.isEmpty && settings.source == Source())
      refuse("no table: give --input TABLE, or a source with --config FILE")
    if (settings.model == "" && settings.name.isEmpty)
      refuse("no model: give --model FOLDER or models:/name@alias")
    if (settings.output.isEmpty && settings.name.isEmpty)
      refuse("no output: give --output TABLE")
    val conf = new org.apache.hadoop.conf.Configuration()
    val contract = Option.when(settings.contract.nonEmpty)(Contract.load(settings.contract, conf))
    val model = settings.model match {
      case _: Map[_, _] =>
        refuse(
          "score.model: several models in one pass are scored by Python (jobs/score.py); name one " +
            "model here"
        )
      case "" => s"models:/${settings.name}@champion"
      case one => one.toString
    }
    if (settings.segmentColumn.nonEmpty)
      throw new ConfigError("score.segment_column: score.model must be a mapping, value: model")
    val spark = steps.step("start Spark") { _ =>
      Session.start(s"tfspark score ${settings.name}".trim, settings.spark)
    }
    checkPlan(settings.plan)
    for (name <- settings.onlyPython)
      throw new ConfigError(
        s"score.$name: is of the job in Python alone: use jobs/score.py"
      )
    val source =
      if (settings.input.isEmpty) settings.source
      else Tables.inPlaceOf(spark, settings.source, settings.input)
    Places.refuseLost(spark, settings.scored)
    table(spark, settings, source, model, day, contract, steps)
  }

  private def table(
      spark: SparkSession,
      settings: Settings,
      source: Source,
      named: String,
      day: LocalDate,
      contract: Option[Contract],
      steps: Steps
  ): Seq[(String, Any)] = {
    val started = System.nanoTime()
    val target = settings.scored
    val conf = spark.sparkContext.hadoopConfiguration
    val model = Registry.resolve(
      named,
      settings.trackingUri,
      spark.sessionState.newHadoopConf(),
      settings.signature
    ).withOutputs(settings.outputs)
    val quarantine =
      if (settings.name.nonEmpty) settings.quarantine
      else s"${target.replaceAll("/+$", "")}_quarantine"
    Places.check(spark, target, quarantine, source, day.toString, model.path)
    Tables.checkPartitions(spark, quarantine, Seq("day", "table", "job"))
    val run = new TableRun(spark, source, model, target, day, steps)
    val (parent, label) = Staging.place(spark, target)
    val staging = Staging.make(parent, label, conf)(Commit.sweep(spark, _))
    val (rows, version) =
      try {
        val keep = Option.when(settings.keep.nonEmpty)(settings.keep)
        val rows = run.stage(staging, contract, settings.inputs, keep)
        steps.step("quarantine") { info =>
          val name = contract.fold(source.path)(_.name)
          Quarantine.write(run.badRows, quarantine, name, day, steps.runId)
          info("rows") = run.bad
        }
        val limit = settings.limit.getOrElse(contract.fold(Limit(Some(0.01), None))(_.limit))
        Quarantine.refuseAbove(limit, run.badRows, source.place(day), rows, run.bad, quarantine)
        Quarantine.refuseCount(limit, source.place(day), rows)
        val version = steps.step("commit") { info =>
          val version = run.commit()
          info("version") = version
          version
        }
        (rows, version)
      } finally Staging.end(staging, conf)(Commit.sweep(spark, _))
    val seconds = (System.nanoTime() - started) / 1e9
    Seq(
      "rows_in" -> rows,
      "scored" -> (rows - run.bad),
      "quarantined" -> run.bad,
      "table" -> target,
      "table_version" -> version,
      "day" -> day.toString,
      "model" -> model.name,
      "model_version" -> model.version,
      "model_digest" -> model.digest,
      "plan" -> "jvm",
      "plan_reason" -> run.why,
      "run_id" -> steps.runId,
      "seconds" -> steps.seconds,
      "rows_per_second" -> Steps.round(rows / seconds, 1)
    )
  }

  private def checkPlan(plan: String): Unit = plan match {
    case "auto" | "jvm" =>
    case known if Plans.contains(known) =>
      throw new ConfigError(
        s"plan '$known': is Python's; this job scores in the JVM: use plan 'jvm' or 'auto', or " +
          "run jobs/score.py"
      )
    case other =>
      throw new ConfigError(
        s"unknown plan '$other'; use one of ${Plans.mkString(", ")}"
      )
  }
}
