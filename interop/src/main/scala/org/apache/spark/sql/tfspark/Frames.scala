package org.apache.spark.sql.tfspark

import org.apache.hadoop.conf.Configuration
import org.apache.spark.rdd.RDD
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan
import org.apache.spark.sql.classic.{Dataset, SparkSession}
import org.apache.spark.sql.types.StructType
import org.apache.spark.util.SerializableConfiguration

/** What Spark keeps to its own packages: a DataFrame of a plan, the plan of a DataFrame, Hadoop's
  * settings for tasks, a schema that takes nulls.
  */
object Frames {
  def of(spark: SparkSession, plan: LogicalPlan): DataFrame = Dataset.ofRows(spark, plan)

  def plan(df: DataFrame): LogicalPlan = classic(df).queryExecution.analyzed

  def session(df: DataFrame): SparkSession = classic(df).sparkSession

  def nullable(schema: StructType): StructType = schema.asNullable

  def send(spark: SparkSession): SendableConfiguration = send(spark.sessionState.newHadoopConf())

  def send(conf: Configuration): SendableConfiguration =
    new SendableConfiguration(new SerializableConfiguration(conf))

  /** The rows of a DataFrame as Spark computes them. */
  def rows(df: DataFrame): RDD[InternalRow] = classic(df).queryExecution.toRdd

  private def classic(df: DataFrame): Dataset[_] = df match {
    case here: Dataset[_] => here
    case other =>
      throw new IllegalArgumentException(
        s"${other.getClass.getName}: models are scored in a session of this JVM, not over Connect"
      )
  }
}

/** Hadoop's settings on their way to a task. */
final class SendableConfiguration(inner: SerializableConfiguration) extends Serializable {
  def value: Configuration = inner.value
}
