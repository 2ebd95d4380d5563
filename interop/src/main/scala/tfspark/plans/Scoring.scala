package tfspark.plans

import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.catalyst.expressions._
import org.apache.spark.sql.catalyst.plans.logical.{LogicalPlan, Project}
import org.apache.spark.sql.classic.SparkSession
import org.apache.spark.sql.tfspark.Frames
import org.apache.spark.sql.types._
import tfspark.SignatureError
import tfspark.model.{Binding, ModelFolder, Packed}
import tfspark.tensors.Feed
import tfspark.worker.{Scorer, ScorerSettings}

/** Models over DataFrames. */
private[tfspark] object Scoring {
  val Reason = "_tfspark_reason"
  val Advice: String = "leave such rows out, take null for them (on_bad_row='null'), or use " +
    "score_table, which puts them into a quarantine table"

  def resolve(spark: SparkSession, model: String, signature: Option[String]): ModelFolder =
    ModelFolder.resolve(model, spark.sessionState.newHadoopConf(), signature)

  /** Send the model out, and make what travels to the rows. */
  def scorer(spark: SparkSession, model: ModelFolder, feeds: Seq[Feed]): Scorer = {
    val settings = ScorerSettings.of(spark)
    Scorer(
      Packed.broadcast(spark.sparkContext, model),
      model.signature,
      feeds,
      settings.threads,
      settings.batchRows,
      settings.batchBytes
    )
  }

  /** New columns for the results of a model. */
  def results(scorer: Scorer): Seq[Attribute] = {
    val names = scorer.signature.outputs.map(_.name) :+ Reason
    names.zip(scorer.kinds).map { case (name, kind) => AttributeReference(name, kind)() }
  }

  /** The kept columns of a DataFrame and one column per output; or, with `reasons`, one more with
    * the reason why a row could not be scored, in place of an error.
    */
  def score(
      df: DataFrame,
      model: String,
      inputs: Map[String, Seq[String]],
      keep: Option[Seq[String]],
      signature: Option[String],
      reasons: Boolean
  ): DataFrame = {
    val spark = Frames.session(df)
    val found = resolve(spark, model, signature)
    val kept = keptColumns(df.schema, keep).map(Frames.plan(df).output(_))
    Binding.checkOutputs(found, kept.map(_.name) ++ (if (reasons) Seq(Reason) else Nil))
    val rows = over(df, found, bind(spark, found, df.schema, inputs), kept)
    val all = rows.results
    val outputs =
      if (reasons) all
      else
        all.init.map { output =>
          Alias(orFail(output, all.last, badRow(found, kept, all.last)), output.name)()
        }
    Frames.of(spark, Project(kept ++ outputs, rows))
  }

  /** The kept columns and one struct: the outputs by number (`o0`, `o1`...), null in a row that
    * could not be scored, and `error`, the reason of that.
    */
  def scoreNumbered(
      df: DataFrame,
      model: String,
      inputs: Map[String, Seq[String]],
      keep: Seq[String],
      signature: Option[String],
      name: String
  ): DataFrame = {
    val spark = Frames.session(df)
    val found = resolve(spark, model, signature)
    val kept = keptColumns(df.schema, Some(keep)).map(Frames.plan(df).output(_))
    Binding.checkOutputs(found, Nil)
    val rows = over(df, found, bind(spark, found, df.schema, inputs), kept)
    val fields = rows.results.init.indices.map(i => s"o$i") :+ "error"
    val struct = fields.zip(rows.results).flatMap { case (field, value) =>
      Seq(Literal(field), value)
    }
    Frames.of(spark, Project(kept :+ Alias(CreateNamedStruct(struct), name)(), rows))
  }

  def bind(
      spark: SparkSession,
      model: ModelFolder,
      schema: StructType,
      inputs: Map[String, Seq[String]]
  ): Seq[Binding.Bound] =
    Binding.bind(model, schema, inputs, spark.sessionState.conf.caseSensitiveAnalysis)

  /** All columns of a DataFrame, then one per output, then the reason why a row could not be
    * scored.
    *
    * @param bound
    *   to the columns of the DataFrame, by number
    */
  def scored(df: DataFrame, model: ModelFolder, bound: Seq[Binding.Bound]): DataFrame = {
    val kept = Frames.plan(df).output
    val rows = over(df, model, bound, kept)
    Frames.of(Frames.session(df), Project(kept ++ rows.results, rows))
  }

  private def over(
      df: DataFrame,
      model: ModelFolder,
      bound: Seq[Binding.Bound],
      kept: Seq[Attribute]
  ): ScoreRows = {
    val plan = Frames.plan(df)
    val columns = bound.flatMap(_.columns).map(plan.output(_))
    scoreRows(Frames.session(df), model, bound.map(_.feed), columns, kept, plan)
  }

  /** A step of a plan that scores the rows of the step below it. */
  def scoreRows(
      spark: SparkSession,
      model: ModelFolder,
      feeds: Seq[Feed],
      inputs: Seq[Attribute],
      kept: Seq[Attribute],
      child: LogicalPlan
  ): ScoreRows = {
    val made = scorer(spark, model, feeds)
    ScoreStrategy.install(spark)
    ScoreRows(made, inputs, kept.distinct, results(made), child)
  }

  /** A value, or an error for a row that has a reason. */
  def orFail(value: Expression, reason: Attribute, message: Expression): Expression =
    If(IsNull(reason), value, Cast(new RaiseError(message), value.dataType))

  private def badRow(model: ModelFolder, kept: Seq[Attribute], reason: Attribute): Expression =
    Concat(
      Seq(
        Literal(s"model ${model.path}: row "),
        Substring(asText(kept), Literal(1), Literal(500)),
        Literal(" cannot be scored: "),
        reason,
        Literal(s"; $Advice")
      )
    )

  /** Columns of a row as one JSON text, for people: of binary the length, no maps and structs. */
  private def asText(columns: Seq[Attribute]): Expression = {
    def leaf(kind: DataType): DataType = kind match {
      case list: ArrayType => leaf(list.elementType)
      case other => other
    }
    val shown = columns.flatMap { column =>
      leaf(column.dataType) match {
        case BinaryType if column.dataType == BinaryType =>
          val length = Cast(OctetLength(column), StringType)
          Some(column.name -> Concat(Seq(Literal("<"), length, Literal(" bytes>"))))
        case _: MapType | _: StructType | _: UserDefinedType[_] | BinaryType | VariantType |
            NullType =>
          None
        case _ => Some(column.name -> column)
      }
    }
    if (shown.isEmpty) Literal("{}")
    else
      StructsToJson(
        Map.empty,
        CreateNamedStruct(shown.flatMap { case (name, value) => Seq(Literal(name), value) })
      )
  }

  /** Which columns are kept, by number.
    *
    * @param keep
    *   None: all
    * @throws SignatureError
    *   one is not there, or two columns of the table have one name
    */
  def keptColumns(schema: StructType, keep: Option[Seq[String]]): Seq[Int] = {
    val names = schema.fieldNames.toSeq
    val twice = names.diff(names.distinct).distinct.sorted
    if (twice.nonEmpty)
      throw new SignatureError(
        s"the table has two columns of one name: ${twice.mkString(", ")}; rename"
      )
    keep.fold(names.indices: Seq[Int]) { wanted =>
      val found = wanted.distinct.map { name =>
        val exact = names.indexOf(name)
        name -> (if (exact >= 0) exact else names.indexWhere(_.equalsIgnoreCase(name)))
      }
      val missing = found.filter(_._2 < 0).map(_._1)
      if (missing.nonEmpty)
        throw new SignatureError(
          s"keep: no column ${missing.mkString(", ")} in the table; there are: " +
            names.take(30).mkString(", ")
        )
      found.map(_._2)
    }
  }
}
