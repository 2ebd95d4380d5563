package tfspark.plans

import java.nio.file.Paths
import org.apache.spark.sql.Row
import tfspark.Local

/** `tf_score` with its inputs by place, by name, and as a struct. */
class TfScoreSuite extends Local {
  private lazy val mixed = model("mixed")

  private def sql(arguments: String): Seq[Row] = {
    spark
      .sql("SELECT 1 AS id, 20.0D AS Age, 'x' AS sex, CAST(2 AS int) AS siblings, true AS paid")
      .union(spark.sql("SELECT 2, NULL, 'y', 3, false"))
      .createOrReplaceTempView("few")
    spark.sql(s"SELECT tf_score('$mixed'$arguments) FROM few ORDER BY id").collect().toSeq
  }

  private def refused(arguments: String): String = {
    val error = intercept[Exception](sql(arguments))
    val said = Iterator.iterate[Throwable](error)(_.getCause).takeWhile(_ != null)
    said.map(_.getMessage).mkString("\n")
  }

  test("by place, by name, as a struct of any fields: the same") {
    val byPlace = sql(", age, sex, siblings, paid")
    assert(byPlace.map(_.getStruct(0).getAs[String]("label")) == Seq("x-2", "y-3"))
    for (
      arguments <- Seq(
        ", sex => sex, AGE => age, paid => paid, siblings => siblings",
        ", age, sex, siblings => siblings, paid => paid",
        ", struct(*)",
        ", struct(id, siblings, sex, paid, age)",
        ", named_struct('sex', sex, 'age', age, 'more', 1, 'paid', paid, 'siblings', siblings)"
      )
    ) assert(sql(arguments) == byPlace, arguments)
    val column = spark.sql(
      s"SELECT tf_score('$mixed', s) FROM (SELECT id, struct(*) AS s FROM few) ORDER BY id"
    )
    assert(column.collect().toSeq == byPlace)
    val linear = model("linear/3")
    val one = spark.sql(s"SELECT tf_score('$linear', array(1f, 2f)) AS y").head()
    val byName = spark.sql(s"SELECT tf_score('$linear', x => array(1f, 2f)) AS y").head()
    val inStruct = spark.sql(
      s"SELECT tf_score('$linear', struct(array(1f, 2f) AS x, 1 AS other)) AS y"
    )
    assert(byName == one && inStruct.head() == one)
  }

  test("another signature, of a model of TensorFlow 1") {
    val old = Paths.get("tests", "old", "estimator").toAbsolutePath.toString
    def scored(arguments: String) = spark.sql(s"SELECT tf_score('$old', $arguments) AS score")
    val columns = "age => array(2f), word => array('green')"
    val one = scored(s"$columns, signature => 'predict'").head()
    assert(one == scored(s"$columns, Signature => 'predict'").head())
    val df = spark.sql("SELECT array(2f) AS age, array('green') AS word")
    val inputs = Map("age" -> Seq("age"), "word" -> Seq("word"))
    val model = Scoring.resolve(spark, old, Some("predict"))
    assert(model.signature.outputs.map(_.name) == Seq("score"))
    val frame = Scoring.score(df, old, inputs, None, Some("predict"), reasons = false)
    assert(frame.select("score").head() == one)
    val error = intercept[Exception](scored(s"$columns, signature => 'other'"))
    val said = "has no signature other (there are: predict, regress, serving_default)"
    assert(error.getMessage.contains(said))
  }

  test("what does not fit is refused with the names that there are") {
    val all = "give all of age, sex, siblings, paid, in this order or by name (NAME => column)"
    assert(refused(", age, sex, siblings").contains(s"nothing is given for the input paid; $all"))
    assert(refused(", age").contains(s"nothing is given for the input sex, siblings, paid; $all"))
    assert(refused("").contains(s"nothing is given for the input age, sex, siblings, paid; $all"))
    assert(refused(", struct(age, sex)").contains(s"for the input siblings, paid; $all"))
    assert(
      refused(", age, sex, siblings, paid, id")
        .contains("5 arguments for 4 inputs: age, sex, siblings, paid")
    )
    assert(
      refused(", agee => age").contains(
        "has no input agee; its inputs: age, sex, siblings, paid (did you mean age?)"
      )
    )
    assert(refused(", age, Age => age").contains("the input age is given twice"))
    assert(
      refused(", struct(sex AS age, sex, siblings, paid)")
        .contains("string does not become float32 by itself")
    )
  }

  test("the row that ends a query is shown with its values") {
    val poisoned = "SELECT 20.0D AS age, 'x' AS sex, CAST(NULL AS int) AS siblings, true AS paid"
    val error = intercept[Exception](
      spark.sql(s"SELECT tf_score('$mixed', struct(*)) FROM ($poisoned)").collect()
    )
    assert(error.getMessage.contains("a row cannot be scored: siblings: null, and nothing"))
    assert(error.getMessage.contains("its values: 20.0, x, None, true"))
  }
}
