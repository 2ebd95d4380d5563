package tfspark

import org.apache.spark.rdd.RDD
import org.apache.spark.sql.catalyst.encoders.{encoderFor, ExpressionEncoder}
import org.apache.spark.sql.classic.SparkSession
import org.apache.spark.sql.{Column, DataFrame, Encoder, Row}
import scala.reflect.ClassTag
import tfspark.model.Binding
import tfspark.plans.{RddTask, Scoring}
import tfspark.tfrecord.Examples

/** `import tfspark.implicits._`: models over DataFrames and RDDs. */
object implicits {

  implicit class ScoreDataFrame(private val df: DataFrame) extends AnyVal {

    /** The kept columns and one column per output of a model.
      *
      * A row that cannot be scored fails the query when it is reached; the error names the row by
      * its kept columns and says why.
      *
      * @param model
      *   the folder of a SavedModel, or the manifest in it
      * @param inputs
      *   input of the model → column, or → columns that become one tensor; an input that is not
      *   named takes the column of its name
      * @param keep
      *   columns to keep; None: all
      * @throws TfsparkException
      *   the model is not there, was changed or is not safe; or the columns do not fit its inputs
      */
    def score(
        model: String,
        inputs: Map[String, Seq[String]] = Map.empty,
        keep: Option[Seq[String]] = None,
        signature: Option[String] = None
    ): DataFrame = Scoring.score(df, model, inputs, keep, signature, reasons = false)

    /** The same with a column `_tfspark_reason`, null where the row was scored, in place of errors:
      * the outputs of a row that has a reason are null.
      */
    def scoreWithReasons(
        model: String,
        inputs: Map[String, Seq[String]] = Map.empty,
        keep: Option[Seq[String]] = None,
        signature: Option[String] = None
    ): DataFrame = Scoring.score(df, model, inputs, keep, signature, reasons = true)
  }

  implicit class ExampleDataFrame(private val df: DataFrame) extends AnyVal {

    /** Each row as the bytes that the source `tfspark_tfrecord_jvm` would write for it, without a
      * file's frame around it: `df.select(df.col("key"), df.toExample().as("value"))`.
      *
      * @param narrow
      *   as the source's option: feature → float or string, for doubles and decimals
      * @throws TfsparkException
      *   a column that no Example holds without loss
      */
    def toExample(narrow: Map[String, String] = Map.empty): Column = Examples.column(df, narrow)
  }

  implicit class ScoreRdd[T](private val rdd: RDD[T]) extends AnyVal {

    /** Every element with a row of the model's outputs, in the order of the RDD.
      *
      * @param inputs
      *   as for a DataFrame; columns are the fields of `T`
      * @throws StorageError
      *   in the task: a row that cannot be scored
      */
    def score(
        spark: org.apache.spark.sql.SparkSession,
        model: String,
        inputs: Map[String, Seq[String]] = Map.empty,
        signature: Option[String] = None
    )(implicit encoder: Encoder[T], tag: ClassTag[(T, Row)]): RDD[(T, Row)] = {
      val session = spark.asInstanceOf[SparkSession]
      val found = Scoring.resolve(session, model, signature)
      Binding.checkOutputs(found, Nil)
      val expressions: ExpressionEncoder[T] = encoderFor(encoder)
      val bound = Scoring.bind(session, found, expressions.schema, inputs)
      val scorer = Scoring.scorer(session, found, bound.map(_.feed))
      val task = new RddTask[T](scorer, bound.flatMap(_.columns).toArray, expressions)
      rdd.mapPartitions(task(_))
    }
  }
}
