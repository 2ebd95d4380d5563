package tfspark

import org.apache.spark.sql.SparkSessionExtensions
import org.apache.spark.sql.catalyst.FunctionIdentifier
import org.apache.spark.sql.catalyst.expressions._
import org.apache.spark.sql.classic.SparkSession
import tfspark.numbers.NumbersRule
import tfspark.plans.{ExtractScores, KeepLess, ScoreStrategy, TfScore}

/** `spark.sql.extensions=tfspark.ScoreExtensions`: the function `tf_score('model', column, ...)`.
  *
  * Columns come in the order of the model's inputs, which is that of their names; or by name,
  * `tf_score('model', Age => a, Sex => b)`; or as the fields of these names of any struct,
  * `tf_score('model', struct(*))`. A model of one input takes several columns as one tensor. One
  * output is a column of its type, several are a struct. The function is no expression when it
  * runs: its rows are scored in batches below the place where it stands.
  */
final class ScoreExtensions extends (SparkSessionExtensions => Unit) {
  override def apply(extensions: SparkSessionExtensions): Unit = {
    val name = "tf_score"
    val info = new ExpressionInfo(classOf[TfScore].getName, name)
    extensions.injectFunction((FunctionIdentifier(name), info, TfScore.build))
    extensions.injectPostHocResolutionRule(session =>
      new ExtractScores(session.asInstanceOf[SparkSession])
    )
    extensions.injectOptimizerRule(_ => KeepLess)
    extensions.injectOptimizerRule(_ => NumbersRule)
    extensions.injectPlannerStrategy(_ => ScoreStrategy)
  }
}
