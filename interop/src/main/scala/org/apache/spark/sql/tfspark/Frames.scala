package org.apache.spark.sql.tfspark

import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan
import org.apache.spark.sql.classic.{Dataset, SparkSession}

/** What Spark keeps to its own packages: a DataFrame of a plan, and the plan of a DataFrame. */
object Frames {
  def of(spark: SparkSession, plan: LogicalPlan): DataFrame = Dataset.ofRows(spark, plan)

  def plan(df: DataFrame): LogicalPlan = classic(df).queryExecution.analyzed

  def session(df: DataFrame): SparkSession = classic(df).sparkSession

  private def classic(df: DataFrame): Dataset[_] = df match {
    case here: Dataset[_] => here
    case other =>
      throw new IllegalArgumentException(
        s"${other.getClass.getName}: models are scored in a session of this JVM, not over Connect"
      )
  }
}
