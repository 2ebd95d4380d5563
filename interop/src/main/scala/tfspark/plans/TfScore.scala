package tfspark.plans

import java.util.Locale
import org.apache.spark.sql.catalyst.expressions._
import org.apache.spark.sql.catalyst.plans.logical.{
  Filter,
  LogicalPlan,
  NamedParametersSupport,
  Project
}
import org.apache.spark.sql.catalyst.rules.Rule
import org.apache.spark.sql.classic.SparkSession
import org.apache.spark.sql.types.{DataType, StringType, StructField, StructType}
import org.apache.spark.unsafe.types.UTF8String
import tfspark.SignatureError
import tfspark.model.{Binding, ModelFolder}
import tfspark.tensors.{Feed, OutputColumn}

/** A call of `tf_score` until it is taken out of its expression. */
private[tfspark] final case class TfScore(model: ModelFolder, children: Seq[Expression])
    extends Expression
    with Unevaluable {
  override def nullable: Boolean = true
  override def prettyName: String = "tf_score"
  override def dataType: DataType = model.signature.outputs match {
    case Seq(output) => OutputColumn.kindOf(output)
    case outputs =>
      StructType(outputs.map(output => StructField(output.name, OutputColumn.kindOf(output))))
  }
  override def toString: String =
    s"tf_score(${(model.path +: children.map(_.toString)).mkString(", ")})"
  override def sql: String =
    s"tf_score(${(s"'${model.path}'" +: children.map(_.sql)).mkString(", ")})"
  override protected def withNewChildrenInternal(
      newChildren: IndexedSeq[Expression]
  ): Expression = copy(children = newChildren)
}

private[tfspark] object TfScore {
  def build(arguments: Seq[Expression]): Expression = {
    val usage = "tf_score('model', column, ...)"
    val name = arguments.headOption match {
      case Some(Literal(text: UTF8String, _: StringType)) => text.toString
      case _ =>
        throw new SignatureError(s"$usage: the first argument is the model's folder, as a text")
    }
    val (columns, all) =
      NamedParametersSupport.splitAndCheckNamedArguments(arguments.tail, "tf_score", _ == _)
    // A text is no column of the rows: it names the signature.
    val (signatures, named) = all.partitionMap { argument =>
      (argument.key.toLowerCase(Locale.ROOT), argument.value) match {
        case ("signature", Literal(text: UTF8String, _: StringType)) => scala.Left(text.toString)
        case _ => scala.Right(argument)
      }
    }
    val model = Scoring.resolve(SparkSession.active, name, signatures.headOption)
    Binding.checkOutputs(model, Nil)
    val whole = columns.size == 1 || model.signature.inputs.size == 1 // a struct, or one tensor
    if (named.isEmpty && whole && columns.nonEmpty) TfScore(model, columns)
    else TfScore(model, byName(model, columns, named.map(n => n.key -> n.value)))
  }

  /** What becomes the inputs, once the types are known: the fields of a struct, or the columns. */
  def inputsOf(call: TfScore): Seq[Expression] = call.children match {
    case Seq(struct) if struct.dataType.isInstanceOf[StructType] =>
      val fields = struct.dataType.asInstanceOf[StructType].fieldNames.toSeq
      val known = fields.zipWithIndex.filter(field => input(call.model, field._1).isDefined)
      byName(call.model, Nil, known.map { case (field, i) => field -> fieldOf(struct, i) })
    case columns if call.model.signature.inputs.size == 1 => columns
    case columns => byName(call.model, columns, Nil)
  }

  private def fieldOf(struct: Expression, at: Int): Expression = struct match {
    case made: CreateNamedStruct => made.valExprs(at)
    case other => GetStructField(other, at)
  }

  /** A column for every input, in the order of the inputs. */
  private def byName(
      model: ModelFolder,
      columns: Seq[Expression],
      named: Seq[(String, Expression)]
  ): Seq[Expression] = {
    val inputs = model.signature.inputs.map(_.name)
    def refuse(what: String) = throw new SignatureError(s"model ${model.path}: $what")
    if (columns.size > inputs.size)
      refuse(s"${columns.size} arguments for ${inputs.size} inputs: ${inputs.mkString(", ")}")
    val found = named.foldLeft(inputs.zip(columns).toMap) { case (before, (said, column)) =>
      val meant = input(model, said).getOrElse(throw Binding.unknownInput(model, said))
      if (before.contains(meant)) refuse(s"the input $meant is given twice")
      before + (meant -> column)
    }
    val missing = inputs.filterNot(found.contains)
    if (missing.nonEmpty)
      refuse(
        s"nothing is given for the input ${missing.mkString(", ")}; give all of " +
          s"${inputs.mkString(", ")}, in this order or by name (NAME => column)"
      )
    inputs.map(found)
  }

  /** The input that is meant; SQL does not mind the case. */
  private def input(model: ModelFolder, said: String): Option[String] = {
    val names = model.signature.inputs.map(_.name)
    val same = names.filter(_.equalsIgnoreCase(said))
    names.find(_ == said).orElse(if (same.size == 1) same.headOption else None)
  }
}

/** Takes each call of `tf_score` out of its operator, into one below it that scores batches. */
private[tfspark] final class ExtractScores(spark: SparkSession) extends Rule[LogicalPlan] {

  override def apply(plan: LogicalPlan): LogicalPlan = plan.resolveOperatorsUp {
    case operator if operator.resolved && calls(operator).nonEmpty => extract(operator)
  }

  private def calls(operator: LogicalPlan): Seq[TfScore] =
    operator.expressions.flatMap(_.collect { case call: TfScore => call })

  private def extract(operator: LogicalPlan): LogicalPlan = {
    var rewritten = operator
    while (calls(rewritten).nonEmpty) {
      // One inside another first.
      val call = calls(rewritten).find(_.children.forall(!_.exists(_.isInstanceOf[TfScore]))).get
      val children = rewritten.children
      val place = children.indexWhere(child => call.references.subsetOf(child.outputSet))
      if (place < 0 || !call.deterministic)
        throw new SignatureError(
          s"${call.sql}: cannot be computed here; put it into a SELECT below this one"
        )
      val (below, result) = scored(call, children(place))
      rewritten = rewritten
        .withNewChildren(children.updated(place, below))
        .transformExpressions { case other: TfScore if other.semanticEquals(call) => result }
    }
    if (rewritten.output == operator.output) rewritten
    else Project(operator.output, rewritten)
  }

  /** The child with the result of a call beside its own columns. */
  private def scored(call: TfScore, child: LogicalPlan): (LogicalPlan, Attribute) = {
    val arguments = TfScore.inputsOf(call).map {
      case attribute: Attribute => attribute
      case other => Alias(other, other.sql)()
    }
    val made = arguments.collect { case alias: Alias => alias }
    val inputs = arguments.map(_.toAttribute)
    val below = if (made.isEmpty) child else Project(child.output ++ made, child)
    val rows =
      Scoring.scoreRows(spark, call.model, feeds(call.model, inputs), inputs, child.output, below)
    val outputs = rows.results.init
    val value = outputs match {
      case Seq(output) => output
      case several => CreateNamedStruct(several.flatMap(o => Seq(Literal(o.name), o)))
    }
    val shown = if (made.isEmpty) inputs else inputs.filter(child.outputSet.contains)
    val checked = Scoring.orFail(value, rows.results.last, badRow(call, shown, rows.results.last))
    val result = Alias(checked, "tf_score")()
    (Project(child.output :+ result, rows), result.toAttribute)
  }

  private def feeds(model: ModelFolder, columns: Seq[Attribute]): Seq[Feed] = {
    val fields = columns.map(column => StructField(column.name, column.dataType))
    val inputs = model.signature.inputs
    if (inputs.size == 1 && fields.size > 1)
      Seq(Binding.of(model, inputs.head, fields, stacked = true).feed)
    else
      inputs.zip(fields).map { case (spec, field) =>
        Binding.of(model, spec, Seq(field), stacked = false).feed
      }
  }

  private def badRow(call: TfScore, columns: Seq[Attribute], reason: Attribute): Expression = {
    val texts = columns.map { column =>
      val text = Cast(column, StringType, Some(spark.sessionState.conf.sessionLocalTimeZone))
      Coalesce(Seq(Substring(text, Literal(1), Literal(80)), Literal("None")))
    }
    Concat(
      Seq(
        Literal(s"model ${call.model.path}: a row cannot be scored: "),
        reason,
        Literal("; its values: "),
        ConcatWs(Literal(", ") +: texts),
        Literal(s"; ${Scoring.Advice}")
      )
    )
  }
}

/** Keeps no column that nobody above asks for. */
private[tfspark] object KeepLess extends Rule[LogicalPlan] {
  override def apply(plan: LogicalPlan): LogicalPlan = plan.transformUp {
    case above @ Project(_, rows: ScoreRows) =>
      above.copy(child = kept(rows, above.references))
    case above @ Project(_, filter @ Filter(_, rows: ScoreRows)) =>
      above.copy(child = filter.copy(child = kept(rows, above.references ++ filter.references)))
  }

  private def kept(rows: ScoreRows, wanted: AttributeSet): ScoreRows =
    rows.copy(kept = rows.kept.filter(wanted.contains))
}
