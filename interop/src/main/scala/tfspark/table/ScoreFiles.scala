package tfspark.table

import org.apache.spark.rdd.RDD
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions._
import org.apache.spark.sql.catalyst.plans.logical.{LogicalPlan, Project, UnaryNode}
import org.apache.spark.sql.execution.{SparkPlan, SparkStrategy, UnaryExecNode}
import org.apache.spark.sql.tfspark.Frames
import org.apache.spark.sql.types._
import org.apache.spark.unsafe.types.UTF8String
import tfspark.model.{Binding, ModelFolder}
import tfspark.numbers.OverNumbers
import tfspark.plans.{Below, ScoreStrategy, Scoring}

/** A row for every task, which scored its rows and wrote them to files: the part as JSON. */
private[tfspark] final case class ScoreFiles(
    task: TableTask,
    inputs: Seq[Attribute],
    columns: Seq[Attribute],
    part: Attribute,
    child: LogicalPlan
) extends UnaryNode
    with OverNumbers {
  override def output: Seq[Attribute] = Seq(part)
  override def producedAttributes: AttributeSet = AttributeSet(part)
  override def references: AttributeSet = AttributeSet(inputs ++ columns)
  override protected def withNewChildInternal(newChild: LogicalPlan): ScoreFiles =
    copy(child = newChild)
}

private[tfspark] object FilesStrategy extends SparkStrategy {
  override def apply(plan: LogicalPlan): Seq[SparkPlan] = plan match {
    case ScoreFiles(task, inputs, columns, part, child) =>
      ScoreFilesExec(task, inputs, columns, part, planLater(child)) :: Nil
    case _ => Nil
  }
}

private[tfspark] final case class ScoreFilesExec(
    task: TableTask,
    inputs: Seq[Attribute],
    columns: Seq[Attribute],
    part: Attribute,
    child: SparkPlan
) extends UnaryExecNode {
  override def output: Seq[Attribute] = Seq(part)
  override def producedAttributes: AttributeSet = AttributeSet(part)
  override def references: AttributeSet = AttributeSet(inputs ++ columns)
  override protected def withNewChildInternal(newChild: SparkPlan): ScoreFilesExec =
    copy(child = newChild)

  override protected def doExecute(): RDD[InternalRow] = {
    val task = this.task
    val (source, isColumnar) = Below.columnar(child).fold(child -> false)(_ -> true)
    val inputsAt = Below.places(source, inputs)
    val at = columns.zip(Below.places(source, columns))
    def row(part: Part) = {
      val text = UTF8String.fromString(Part.write(part))
      val row: InternalRow = UnsafeProjection.create(Array[DataType](StringType))(InternalRow(text))
      Iterator(row)
    }
    if (isColumnar)
      source.executeColumnar().mapPartitions(batches => row(task.ofColumns(batches, inputsAt, at)))
    else source.execute().mapPartitions(rows => row(task.ofRows(rows, inputsAt, at)))
  }
}

/** Rows scored into the files of a table, which the caller commits or removes. */
private[tfspark] object TableFiles {
  val Reasons = "_tfspark_reasons"
  val Raw = "_tfspark_raw"
  val ReasonsType: ArrayType = ArrayType(StringType)

  /** A file in the staging folder, there as long as the run takes files of its tasks. */
  val Open = "open"

  /** Score every row once.
    *
    * @param rows
    *   with `_tfspark_reasons` and `_tfspark_raw` where rows may be bad already
    * @param columns
    *   of the rows that are used: kept ones and inputs
    * @param kept
    *   of these the ones that stand beside the predictions
    * @param about
    *   columns of one value: a String or an Instant
    * @param folder
    *   of the day, in the target
    * @throws StorageError
    *   in a task: a file cannot be written, or the model fails for all rows
    */
  def write(
      rows: DataFrame,
      model: ModelFolder,
      bound: Seq[Binding.Bound],
      columns: Seq[String],
      kept: Seq[String],
      about: Seq[(String, Any)],
      folder: String,
      staging: String,
      token: String
  ): Seq[Part] = {
    val spark = Frames.session(rows)
    val plan = Frames.plan(rows)
    val checked = Seq(Reasons, Raw).filter(rows.columns.contains)
    val wanted = (columns ++ checked).map(name => plan.output(rows.columns.indexOf(name)))
    val inputs = bound.flatMap(_.columns).map(plan.output(_))
    val task = TableTask(
      Scoring.scorer(spark, model, bound.map(_.feed)),
      Frames.nullable(StructType(wanted.map(a => StructField(a.name, a.dataType)))),
      columns.size,
      kept.map(columns.indexOf(_)),
      about,
      folder,
      staging,
      token,
      Frames.send(spark)
    )
    ScoreStrategy.install(spark, FilesStrategy)
    val part = AttributeReference("part", StringType)()
    val needed = Project(AttributeSet(wanted ++ inputs).toSeq, plan)
    val done = Frames.of(spark, ScoreFiles(task, inputs, wanted, part, needed)).collect()
    done.toSeq.map(row => Part.read(row.getString(0)))
  }
}
