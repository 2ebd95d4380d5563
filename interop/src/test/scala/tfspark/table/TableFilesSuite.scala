package tfspark.table

import com.fasterxml.jackson.databind.ObjectMapper
import java.nio.file.{Files, Path}
import java.time.Instant
import org.apache.spark.sql.functions._
import org.apache.spark.sql.tfspark.Frames
import org.apache.spark.sql.{Column, DataFrame}
import tfspark.Local
import tfspark.implicits._
import tfspark.model.Binding
import tfspark.plans.Scoring

/** Files that tasks write themselves: what Spark reads from them is what was scored. */
class TableFilesSuite extends Local {
  private val at = Instant.parse("2026-01-02T03:04:05.000006Z")
  private val about = Seq("run" -> "r-ü", "at" -> at, "none" -> "")

  private class Written(val parts: Seq[Part], val folder: Path, staging: Path) {
    def good: DataFrame = spark.read.parquet(folder.toString)
    def bad: DataFrame =
      spark.read.parquet(parts.flatMap(_.badFile).map(staging.resolve(_).toString): _*)
  }

  private def write(
      df: DataFrame,
      name: String,
      columns: Seq[String],
      kept: Seq[String]
  ): Written = {
    val root = Local.temporary("files")
    val (folder, staging) =
      (root.resolve("day=2026-01-02"), Files.createDirectories(root.resolve("s")))
    Files.createFile(staging.resolve(TableFiles.Open))
    val session = Frames.session(df)
    val found = Scoring.resolve(session, model(name), None)
    val bound = Binding.bind(found, df.schema, Map.empty, caseSensitive = false)
    val parts = TableFiles.write(
      df,
      found,
      bound,
      columns,
      kept,
      about,
      folder.toString,
      staging.toString,
      "token"
    )
    new Written(parts, folder, staging)
  }

  /** A value in three of four rows, else null. */
  private def some(value: Column): Column = when(rand(7) < 0.75, value)

  private val kinds: Seq[(String, Column)] = Seq(
    "bool" -> some(col("id") % 2 === 0),
    "byte" -> some((col("id") % 100).cast("tinyint")),
    "short" -> some((col("id") % 100).cast("smallint")),
    "int" -> some(col("id").cast("int") * -1),
    "long" -> some(col("id") * 1000000007L),
    "float" -> some(rand(1).cast("float")),
    "double" -> some(randn(2)),
    "empty" -> lit(null).cast("double"),
    "day" -> some(date_add(lit("1969-12-30").cast("date"), col("id").cast("int"))),
    "time" -> some(timestamp_micros(col("id") * 1234567 - 5000000)),
    "local" -> some(timestamp_micros(col("id") * 7654321).cast("timestamp_ntz")),
    "text" -> some(concat(lit("tëxt "), col("id") % 5)),
    "bytes" -> some(unhex(lpad(hex(col("id")), 8, "0"))),
    "d9" -> some((col("id") * -3).cast("decimal(9, 2)")),
    "d18" -> some((col("id") * 12345678).cast("decimal(18, 3)")),
    "d38" -> some((col("id") * -987654321L).cast("decimal(38, 10)")),
    "list" -> some(when(col("id") % 3 === 0, array()).otherwise(array(col("id"), some(col("id"))))
      .cast("array<bigint>")),
    "lists" ->
      some(array(array(some(col("id"))), array().cast("array<bigint>"), some(array(col("id"))))),
    "map" -> some(map(concat(lit("k"), col("id")), some(rand(3)), lit("other"), lit(1.5))),
    "struct" -> some(struct(some(col("id")).as("a"), some(struct(array(lit("x")).as("c"))).as("b")))
  )

  test("columns of every type, nulls at every level, and columns of one value") {
    val folder = Local.temporary("in").resolve("t").toString
    val features = "array(rand(1), rand(2), rand(3), rand(4)) AS features"
    val columns = kinds.map { case (name, value) => value.as(name) }
    val made =
      spark.range(0, 5000, 1, 2).selectExpr("id", features).select((col("*") +: columns): _*)
    made.write.parquet(folder)
    val df = spark.read.parquet(folder)
    val names = "id" +: kinds.map(_._1)
    val written = write(df, "mlp", df.columns.toSeq, names)
    assert(written.parts.map(_.rows).sum == 5000 && written.parts.forall(_.badFile.isEmpty))
    val expected = df.score(model("mlp"), keep = Some(names))
      .withColumns(Map("run" -> lit("r-ü"), "none" -> lit("")))
    val found = written.good
    assert(found.schema.fieldNames.toSeq == names ++ Seq("score", "run", "at", "none"))
    assert(found.select("at").distinct().collect().map(_.getTimestamp(0).toInstant).toSeq ==
      Seq(at))
    // Maps cannot be compared: as JSON.
    def rows(df: DataFrame) =
      df.withColumn("map", to_json(col("map"))).drop("at").orderBy("id").collect().toSeq
    assert(rows(found.select(expected.columns.map(col).toIndexedSeq :+ col("at"): _*)) ==
      rows(expected))
    // From rows that are no column batches, the same.
    val byRows = write(df.filter("id >= 0"), "mlp", df.columns.toSeq, names)
    assert(rows(byRows.good.select(expected.columns.map(col).toIndexedSeq: _*)) == rows(expected))
    // Its files have no sums of Hadoop's beside them.
    assert(written.folder.toFile.list().forall(_.endsWith(".parquet")))
  }

  test("statistics: of a file's values, and none where they might be wrong") {
    val values = spark.range(0, 3000, 1, 1).selectExpr(
      "id",
      "IF(id % 2 = 0, NULL, CAST(id AS float)) AS f",
      "IF(id = 5, CAST('nan' AS double), id) AS n",
      "concat(repeat('ä', 40), id) AS t",
      "array(1f, 2f, 3f, 4f) AS features",
      "id % 2 = 0 AS b",
      "timestamp_micros(id * 1000 + 1) AS m",
      "IF(id < 100, NULL, DATE'2026-01-01') AS d"
    )
    val written = write(values, "mlp", values.columns.toSeq, values.columns.toSeq)
    val stats = new ObjectMapper().readTree(written.parts.head.stats)
    val (low, high, nulls) =
      (stats.get("minValues"), stats.get("maxValues"), stats.get("nullCount"))
    assert(stats.get("numRecords").asLong == 3000)
    assert((low.get("id").asLong, high.get("id").asLong) == ((0, 2999)))
    assert((low.get("f").asDouble, high.get("f").asDouble, nulls.get("f").asLong) ==
      ((1.0, 2999.0, 1500)))
    assert(!high.has("n") && !high.has("t") && low.get("t").asText == "ä" * 32)
    assert((low.get("m").asText, high.get("m").asText) ==
      (("1970-01-01T00:00:00.000Z", "1970-01-01T00:00:03.000Z")))
    assert(low.get("d").asText == "2026-01-01" && nulls.get("d").asLong == 100)
    assert(!low.has("b") && nulls.get("features").asLong == 0 && high.get("run").asText == "r-ü")
  }

  test("several pages and row groups") {
    val rows = (1 << 20) + 300000
    val df = spark.range(0, rows, 1, 1).selectExpr(
      "id",
      "IF(id % 1000 = 1, NULL, id) AS n",
      "array(id / 1e6, 1D, 2D, 3D) AS features"
    )
    val written = write(df, "mlp", df.columns.toSeq, Seq("id", "n"))
    val found =
      written.good.selectExpr("count(*)", "sum(id)", "count(n)", "sum(n)", "count(score)").head()
    val all = rows.toLong * (rows - 1) / 2
    val none = (0 until rows).filter(_ % 1000 == 1)
    assert(found.toSeq == Seq(rows, all, rows - none.size, all - none.map(_.toLong).sum, rows))
    assert(written.good.filter("id = 1200000").count() == 1) // by the indexes of pages
  }

  test("bad rows are beside the day, with their reasons; rows that came as bad are not scored") {
    val df = spark.range(0, 100, 1, 1).selectExpr(
      "id",
      "IF(id = 7, NULL, float(id)) AS x_",
      "IF(id = 3, -1f, float(id)) AS x",
      "IF(id = 9, array('broken'), array()) AS _tfspark_reasons",
      "IF(id = 9, 'raw', NULL) AS _tfspark_raw"
    )
    val written = write(df, "picky", Seq("id", "x"), Seq("id"))
    assert(written.good.count() == 98)
    val bad = written.bad.orderBy("c0").collect().toSeq
    assert(bad.map(_.getLong(0)) == Seq(3, 9))
    assert(bad.head.getSeq[String](2).head.startsWith("the model failed: ") && bad.head.isNullAt(3))
    assert(bad(1).getSeq[String](2) == Seq("broken") && bad(1).getString(3) == "raw")
  }

  test("a run that has ended takes no file") {
    val df = spark.range(0, 10, 1, 1).selectExpr("id", "float(id) AS x")
    val root = Local.temporary("late")
    val found = Scoring.resolve(Frames.session(df), model("picky"), None)
    val bound = Binding.bind(found, df.schema, Map.empty, caseSensitive = false)
    val error = intercept[Exception](TableFiles.write(
      df,
      found,
      bound,
      Seq("id", "x"),
      Seq("id"),
      about,
      s"$root/day",
      s"$root/s",
      "token"
    ))
    assert(Iterator.iterate[Throwable](error)(_.getCause).takeWhile(_ != null)
      .exists(_.getMessage.contains("written too late, the run has ended")))
    assert(!Files.exists(root.resolve("day")))
  }
}
