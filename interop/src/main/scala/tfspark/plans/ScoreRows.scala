package tfspark.plans

import org.apache.spark.rdd.RDD
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions._
import org.apache.spark.sql.catalyst.plans.logical.{LogicalPlan, UnaryNode}
import org.apache.spark.sql.classic.SparkSession
import org.apache.spark.sql.execution.{
  ColumnarToRowExec,
  InputAdapter,
  OrderPreservingUnaryExecNode,
  PartitioningPreservingUnaryExecNode,
  ProjectExec,
  SparkPlan,
  SparkStrategy,
  WholeStageCodegenExec
}
import org.apache.spark.sql.execution.metric.SQLMetrics
import org.apache.spark.sql.vectorized.ColumnarBatch
import tfspark.numbers.{NumbersRule, OverNumbers}
import tfspark.worker.{Batches, Scorer}

/** Rows with the results of a model beside the columns that are kept.
  *
  * @param inputs
  *   the columns of the model's inputs, in the order of the scorer's feeds
  * @param results
  *   one column per output, null in a row that could not be scored, and the reason of that
  */
private[tfspark] final case class ScoreRows(
    scorer: Scorer,
    inputs: Seq[Attribute],
    kept: Seq[Attribute],
    results: Seq[Attribute],
    child: LogicalPlan
) extends UnaryNode
    with OverNumbers {
  override def output: Seq[Attribute] = kept ++ results
  override def producedAttributes: AttributeSet = AttributeSet(results)
  override def references: AttributeSet = AttributeSet(inputs ++ kept)
  override protected def withNewChildInternal(newChild: LogicalPlan): ScoreRows =
    copy(child = newChild)
}

private[tfspark] object ScoreStrategy extends SparkStrategy {
  override def apply(plan: LogicalPlan): Seq[SparkPlan] = plan match {
    case ScoreRows(scorer, inputs, kept, results, child) =>
      ScoreExec(scorer, inputs, kept, results, planLater(child)) :: Nil
    case _ => Nil
  }

  /** Make a session know it, and another strategy, that was not started with the extension. */
  def install(spark: SparkSession, more: SparkStrategy*): Unit = synchronized {
    val known = spark.experimental
    known.extraStrategies ++= (this +: more).filterNot(known.extraStrategies.contains)
    known.extraOptimizations ++=
      Seq(KeepLess, NumbersRule).filterNot(known.extraOptimizations.contains)
  }
}

/** Scores batches of rows, or of Spark's column batches where the rows come from those: then no row
  * is built on the way in.
  */
private[tfspark] final case class ScoreExec(
    scorer: Scorer,
    inputs: Seq[Attribute],
    kept: Seq[Attribute],
    results: Seq[Attribute],
    child: SparkPlan
) extends PartitioningPreservingUnaryExecNode
    with OrderPreservingUnaryExecNode {
  override def output: Seq[Attribute] = kept ++ results
  override def producedAttributes: AttributeSet = AttributeSet(results)
  override def references: AttributeSet = AttributeSet(inputs ++ kept)
  override protected def outputExpressions: Seq[NamedExpression] = kept
  override protected def orderingExpressions: Seq[SortOrder] = child.outputOrdering
  override protected def withNewChildInternal(newChild: SparkPlan): ScoreExec =
    copy(child = newChild)

  override lazy val metrics = Map(
    "numOutputRows" -> SQLMetrics.createMetric(sparkContext, "number of output rows"),
    "numBatches" -> SQLMetrics.createMetric(sparkContext, "number of batches"),
    "numBadRows" -> SQLMetrics.createMetric(sparkContext, "number of rows not scored")
  )

  override protected def doExecute(): RDD[InternalRow] = {
    val counts = ScoreCounts(
      longMetric("numOutputRows"),
      longMetric("numBatches"),
      longMetric("numBadRows")
    )
    def task(source: SparkPlan) = {
      val places = Below.places(source, _)
      new ScoreTask(scorer, places(inputs), kept, places(kept), results)
    }
    Below.columnar(child) match {
      case Some(plan) =>
        val here = task(plan)
        plan.executeColumnar().mapPartitions(batches => here.columnar(batches, counts))
      case None =>
        val here = task(child)
        child.execute().mapPartitions(rows => here.rows(rows, counts))
    }
  }
}

/** What a scoring operator stands on. */
private[tfspark] object Below {

  /** The plan whose column batches a child would only turn into rows, or choose columns of. */
  def columnar(child: SparkPlan): Option[SparkPlan] = child match {
    case WholeStageCodegenExec(plan) => columnar(plan)
    case ProjectExec(columns, plan) if columns.forall(_.isInstanceOf[Attribute]) => columnar(plan)
    case ColumnarToRowExec(InputAdapter(plan)) => Some(plan)
    case ColumnarToRowExec(plan) => Some(plan)
    case _ => None
  }

  /** Where columns are in the rows of a plan. */
  def places(plan: SparkPlan, columns: Seq[Attribute]): Array[Int] =
    columns.map(column => plan.output.indexWhere(_.exprId == column.exprId)).toArray
}

private[tfspark] final case class ScoreCounts(
    rows: org.apache.spark.sql.execution.metric.SQLMetric,
    batches: org.apache.spark.sql.execution.metric.SQLMetric,
    bad: org.apache.spark.sql.execution.metric.SQLMetric
)

/** What runs in a task.
  *
  * @param inputs
  *   which fields of a row are the inputs' columns
  */
private[tfspark] final class ScoreTask(
    scorer: Scorer,
    inputs: Array[Int],
    kept: Seq[Attribute],
    keptAt: Array[Int],
    results: Seq[Attribute]
) extends Serializable {

  def rows(rows: Iterator[InternalRow], counts: ScoreCounts): Iterator[InternalRow] =
    scored(Batches.ofRows(rows, scorer, inputs, kept.zip(keptAt), _ => false), counts)

  def columnar(batches: Iterator[ColumnarBatch], counts: ScoreCounts): Iterator[InternalRow] =
    scored(Batches.ofColumns(batches, scorer, inputs, kept.zip(keptAt), None), counts)

  private def scored(batches: Batches, counts: ScoreCounts) = new Iterator[InternalRow] {
    private val batch = batches.batch
    private val joined = new JoinedRow
    private val output = kept ++ results
    private val toUnsafe = UnsafeProjection.create(output, output)
    private var at = 0

    override def hasNext: Boolean = at < batch.size || {
      at = 0
      val some = batches.next()
      if (some) {
        counts.batches += 1
        counts.rows += batch.size
        counts.bad += batch.bad
      }
      some
    }

    override def next(): InternalRow = {
      if (!hasNext) throw new NoSuchElementException
      val row = toUnsafe(joined(batches.kept(at), batch(at)))
      at += 1
      row
    }
  }
}
