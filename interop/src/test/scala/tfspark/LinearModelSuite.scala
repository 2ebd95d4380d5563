package tfspark

import org.apache.spark.sql.classic.Dataset
import org.apache.spark.sql.{DataFrame, Encoder, Encoders}
import tfspark.implicits._
import tfspark.plans.ScoreRows

final case class Point(x1: Double, x2: Double)

/** The chapter's table, from RDD, DataFrame and SQL. */
class LinearModelSuite extends Local {
  private val table = Seq(
    Point(1, 2) -> 3.0196,
    Point(2, 3) -> 3.9878,
    Point(3, 5) -> 3.9264,
    Point(6, 7) -> 7.8608,
    Point(8, 3) -> 15.9750,
    Point(7, 8) -> 8.8290
  )
  private val inputs = Map("x" -> Seq("x1", "x2"))
  private lazy val linear = model("linear/3")

  private def points: DataFrame = spark.createDataFrame(table.map(_._1))

  private def check(found: Seq[(Double, Double, Float)]): Unit = {
    assert(found.size == table.size)
    val expected = table.map { case (point, y) => (point.x1, point.x2) -> y }.toMap
    for ((x1, x2, y) <- found) assert(math.abs(y - expected((x1, x2))) < 1e-3, s"($x1, $x2)")
  }

  test("DataFrame") {
    val rows = points.score(linear, inputs).collect()
    check(rows.toSeq.map(row => (row.getDouble(0), row.getDouble(1), row.getFloat(2))))
    assert(points.score(linear, inputs).columns.toSeq == Seq("x1", "x2", "y"))
    assert(points.score(linear, inputs, keep = Some(Seq("x2"))).columns.toSeq == Seq("x2", "y"))
  }

  test("RDD") {
    implicit val encoder: Encoder[Point] = Encoders.product
    val rdd = spark.sparkContext.parallelize(table.map(_._1), 3)
    val scored = rdd.score(spark, linear, inputs).collect().toSeq
    assert(scored.map(_._1) == table.map(_._1))
    check(scored.map { case (point, row) => (point.x1, point.x2, row.getAs[Float]("y")) })
  }

  test("SQL") {
    points.createOrReplaceTempView("points")
    val rows = spark.sql(s"SELECT x1, x2, tf_score('$linear', x1, x2) AS y FROM points").collect()
    check(rows.toSeq.map(row => (row.getDouble(0), row.getDouble(1), row.getFloat(2))))
    val packed =
      spark.sql(s"SELECT x1, x2, tf_score('$linear', array(x1, x2)) FROM points").collect()
    check(packed.toSeq.map(row => (row.getDouble(0), row.getDouble(1), row.getFloat(2))))
  }

  test("SQL: wherever an expression may stand") {
    points.createOrReplaceTempView("points")
    val f = s"tf_score('$linear', x1, x2)"
    def one(sql: String) = spark.sql(sql).collect().toSeq.map(_.toSeq)
    assert(one(s"SELECT count(*) FROM points WHERE $f > 8") == Seq(Seq(2L)))
    val mean = one(s"SELECT avg($f) FROM points").head.head.asInstanceOf[Double]
    assert(math.abs(mean - table.map(_._2).sum / table.size) < 1e-3)
    assert(one(s"SELECT x1 FROM points ORDER BY $f DESC LIMIT 1") == Seq(Seq(8.0)))
    assert(
      one(s"SELECT floor($f / 8), count(*) FROM points GROUP BY floor($f / 8) ORDER BY 1") ==
        Seq(Seq(0L, 4L), Seq(1L, 2L))
    )
    val nested = one(s"SELECT tf_score('$linear', $f, x2) FROM points WHERE x1 = 1")
    assert(math.abs(nested.head.head.asInstanceOf[Float] - 7.0544) < 1e-3)
    val joined = s"""WITH s AS (SELECT x1, $f AS y FROM points)
                     SELECT a.x1 FROM s a JOIN s b ON a.x1 = b.x1 WHERE a.y > 8 AND b.y < 9"""
    assert(one(joined) == Seq(Seq(7.0)))
    assert(one(s"SELECT x1 FROM points WHERE x1 IN (SELECT x1 FROM points WHERE $f > 15)") ==
      Seq(Seq(8.0)))
  }

  test("a filter on a prediction does not score twice") {
    points.selectExpr("*", "x1 + 1 AS other").createOrReplaceTempView("wide")
    val df = spark.sql(
      s"SELECT * FROM (SELECT x1, tf_score('$linear', x1, x2) AS y FROM wide) WHERE y > 8"
    )
    val plan = df.asInstanceOf[Dataset[_]].queryExecution.optimizedPlan
    // Once; and what nobody asks for is not kept (x2 is, for the message on a bad row).
    val kept = plan.collect { case rows: ScoreRows => rows.kept.map(_.name) }
    assert(kept.map(_.toSet) == Seq(Set("x1", "x2")), plan)
    assert(df.collect().map(_.getDouble(0)).toSet == Set(8.0, 7.0))
  }
}
