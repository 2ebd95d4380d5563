package tfspark.job

import tfspark.implicits._
import tfspark.{Local, ModelFailed, StorageError}

/** What Spark raises, as ours. */
class SparkErrorsSuite extends Local {
  private def rows = spark.range(1100).selectExpr("float(id) AS x").coalesce(1)

  test("a model that fails for every row is told from other faults of a run") {
    val hopeless = rows.score(model("hopeless"))
    val failed = intercept[ModelFailed](SparkErrors.running("scoring", "t")(hopeless.collect()))
    assert(failed.getMessage.matches(
      "scoring failed: model .*hopeless: failed for each of the first 1000 rows.*; t is unchanged"
    ))
    assert(failed.exitCode == 6)
    val other = rows.selectExpr("raise_error('of a row')")
    val said = intercept[StorageError](SparkErrors.running("scoring", "t")(other.collect()))
    assert(!said.isInstanceOf[ModelFailed] && said.getMessage.contains("of a row"))
  }
}
