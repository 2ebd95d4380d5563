package tfspark

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
  SparkPlan,
  SparkStrategy,
  WholeStageCodegenExec
}
import org.apache.spark.sql.execution.metric.SQLMetrics
import org.apache.spark.sql.vectorized.ColumnarBatch

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
) extends UnaryNode {
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

  /** Make a session know it that was not started with the extension. */
  def install(spark: SparkSession): Unit = synchronized {
    val known = spark.experimental
    if (!known.extraStrategies.contains(this)) known.extraStrategies :+= this
    if (!known.extraOptimizations.contains(KeepLess)) known.extraOptimizations :+= KeepLess
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

  /** The plan whose column batches the child would only turn into rows. */
  private def columnar: Option[SparkPlan] = child match {
    case WholeStageCodegenExec(ColumnarToRowExec(InputAdapter(plan))) => Some(plan)
    case WholeStageCodegenExec(ColumnarToRowExec(plan)) => Some(plan)
    case ColumnarToRowExec(InputAdapter(plan)) => Some(plan)
    case ColumnarToRowExec(plan) => Some(plan)
    case _ => None
  }

  override protected def doExecute(): RDD[InternalRow] = {
    val task = new ScoreTask(scorer, places(inputs), kept, places(kept), results)
    val counts = ScoreCounts(
      longMetric("numOutputRows"),
      longMetric("numBatches"),
      longMetric("numBadRows")
    )
    columnar match {
      case Some(plan) =>
        plan.executeColumnar().mapPartitions(batches => task.columnar(batches, counts))
      case None => child.execute().mapPartitions(rows => task.rows(rows, counts))
    }
  }

  private def places(columns: Seq[Attribute]): Array[Int] =
    columns.map(column => child.output.indexWhere(_.exprId == column.exprId)).toArray
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
    new Scored(counts) {
      private val keep = UnsafeProjection.create(
        keptAt.zip(kept).map { case (at, a) => BoundReference(at, a.dataType, a.nullable) }.toSeq
      )
      private val waiting = new Array[UnsafeRow](scorer.batchRows)

      override def fill(): Boolean = {
        while (rows.hasNext && !batch.full) {
          val row = rows.next()
          // The row's memory is used again for the next one.
          waiting(batch.size) = keep(row).copy()
          add(row)
        }
        batch.size > 0
      }
      override def keptOf(row: Int): InternalRow = waiting(row)
    }

  def columnar(batches: Iterator[ColumnarBatch], counts: ScoreCounts): Iterator[InternalRow] =
    new Scored(counts) {
      private var columns: ColumnarBatch = _
      private var first = 0
      private var ahead = 0
      private val view = new Picked(keptAt)

      override def fill(): Boolean = {
        // The memory of a column batch is used again for the next one: its rows go before.
        while ((columns == null || ahead == columns.numRows) && batches.hasNext) {
          columns = batches.next()
          ahead = 0
        }
        first = ahead
        while (columns != null && ahead < columns.numRows && !batch.full) {
          add(columns.getRow(ahead))
          ahead += 1
        }
        batch.size > 0
      }
      override def keptOf(row: Int): InternalRow = view.of(columns.getRow(first + row))
    }

  private abstract class Scored(counts: ScoreCounts) extends Iterator[InternalRow] {
    protected val batch = new Batch(scorer)
    private val picked = new Picked(inputs)
    private val joined = new JoinedRow
    private val output = kept ++ results
    private val toUnsafe = UnsafeProjection.create(output, output)
    private var at = 0

    /** Add rows to the batch, which is empty; false if there are none. */
    def fill(): Boolean
    def keptOf(row: Int): InternalRow

    protected def add(row: InternalRow): Unit = batch.add(picked.of(row))

    override def hasNext: Boolean = at < batch.size || {
      batch.clear()
      at = 0
      val some = fill()
      if (some) {
        batch.run()
        counts.batches += 1
        counts.rows += batch.size
        counts.bad += batch.bad
      }
      some
    }

    override def next(): InternalRow = {
      if (!hasNext) throw new NoSuchElementException
      val row = toUnsafe(joined(keptOf(at), batch(at)))
      at += 1
      row
    }
  }
}

/** Some fields of a row, without copying them. */
private[tfspark] final class Picked(fields: Array[Int]) extends BaseGenericInternalRow {
  private var row: InternalRow = _

  def of(row: InternalRow): Picked = { this.row = row; this }

  override def numFields: Int = fields.length
  override protected def genericGet(ordinal: Int): Any =
    throw new UnsupportedOperationException("fields are read by their types")
  override def isNullAt(i: Int): Boolean = row.isNullAt(fields(i))
  override def getBoolean(i: Int): Boolean = row.getBoolean(fields(i))
  override def getByte(i: Int): Byte = row.getByte(fields(i))
  override def getShort(i: Int): Short = row.getShort(fields(i))
  override def getInt(i: Int): Int = row.getInt(fields(i))
  override def getLong(i: Int): Long = row.getLong(fields(i))
  override def getFloat(i: Int): Float = row.getFloat(fields(i))
  override def getDouble(i: Int): Double = row.getDouble(fields(i))
  override def getDecimal(i: Int, precision: Int, scale: Int) =
    row.getDecimal(fields(i), precision, scale)
  override def getUTF8String(i: Int) = row.getUTF8String(fields(i))
  override def getBinary(i: Int): Array[Byte] = row.getBinary(fields(i))
  override def getInterval(i: Int) = row.getInterval(fields(i))
  override def getVariant(i: Int) = row.getVariant(fields(i))
  override def getStruct(i: Int, numFields: Int) = row.getStruct(fields(i), numFields)
  override def getArray(i: Int) = row.getArray(fields(i))
  override def getMap(i: Int) = row.getMap(fields(i))
  override def setNullAt(i: Int): Unit = throw new UnsupportedOperationException("read only")
  override def update(i: Int, value: Any): Unit =
    throw new UnsupportedOperationException("read only")
}
