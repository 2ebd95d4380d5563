package tfspark.plans

import java.sql.{Date, Timestamp}
import java.time.Instant
import org.apache.spark.sql.classic.Dataset
import org.apache.spark.sql.execution.ColumnarToRowExec
import org.apache.spark.sql.types._
import org.apache.spark.sql.{DataFrame, Row}
import scala.collection.{Seq => Lists}
import scala.jdk.CollectionConverters._
import tfspark.implicits._
import tfspark.tensors.Values
import tfspark.{Local, SignatureError}

/** Types, nulls, shapes and bad rows. */
class ScoringSuite extends Local {
  private val reason = "_tfspark_reason"

  private def table(ddl: String, rows: Row*): DataFrame =
    spark.createDataFrame(rows.asJava, StructType.fromDDL(ddl)).coalesce(1)

  private def reasons(df: DataFrame): Seq[String] =
    df.collect().toSeq.map(_.getAs[String](reason))

  private val people = "id int, age double, sex string, siblings int, paid boolean"

  test("numbers, texts, nulls; several outputs, a vector among them") {
    val df = table(
      people,
      Row(1, 20.0, "male", 1, true),
      Row(2, null, null, 2, false),
      Row(3, 40.0, "fémale", null, true),
      Row(4, 1e300, "male", 2, true),
      Row(5, 50.0, "x", 3, null)
    )
    val scored = df.scoreWithReasons(model("mixed"), keep = Some(Seq("ID")))
    assert(scored.columns.toSeq == Seq("id", "label", "p", "parts", reason))
    val rows = scored.collect().toSeq
    assert(rows.head.toSeq == Seq(1, "male-1", 11.2f, Seq(20.0f, 1.0f), null))
    assert(rows(1).toSeq == Seq(2, "-2", 2.3f, Seq(30.0f, 2.0f), null))
    val none = Seq(null, null, null)
    val noNull = "null, and nothing stands for null in this input"
    assert(rows(2).toSeq == (3 +: none :+ s"siblings: $noNull"))
    assert(rows(3).toSeq == (4 +: none :+ "age: outside the range of float32"))
    assert(rows(4).toSeq == (5 +: none :+ s"paid: $noNull"))
  }

  test("a bad row fails a query; the error names it") {
    val df = table(people, Row(7, 20.0, "male", null, true))
    val error = intercept[Exception](df.score(model("mixed"), keep = Some(Seq("id"))).collect())
    val said = Iterator.iterate[Throwable](error)(_.getCause).takeWhile(_ != null).map(_.getMessage)
    val message = said.mkString("\n")
    assert(message.contains("""row {"id":7} cannot be scored: siblings: null, and nothing"""))
    df.createOrReplaceTempView("people")
    val sql = s"SELECT tf_score('${model("mixed")}', age, sex, siblings, paid).p FROM people"
    val inSql = intercept[Exception](spark.sql(sql).collect())
    assert(inSql.getMessage.contains("a row cannot be scored: siblings: null"))
    assert(inSql.getMessage.contains("its values: 20.0, male, None, true"))
  }

  test("every dtype, one value and lists") {
    val all = Values.Dtypes
    def columns(form: String, wrap: String => String) = all.map { kind =>
      val value = kind match {
        case "bool" => "true"
        case "string" => "'tëxt'"
        case "int8" => "-100Y"
        case "int16" => "CAST(-30000 AS int)"
        case "uint32" => "4000000000"
        case "uint64" => "9223372036854775807"
        case "uint8" => "200S"
        case "uint16" => "60000"
        case "int64" => "9007199254740993"
        case "int32" => "CAST(-7 AS tinyint)"
        case "float64" => "CAST(1.25 AS decimal(10, 2))"
        case _ => "1.5f"
      }
      s"${wrap(value)} AS ${kind}_$form"
    }
    val select = columns("one", identity) ++ columns("two", value => s"array($value, $value)")
    val df = spark.sql(select.mkString("SELECT ", ", ", ""))
    val row = df.score(model("kinds"), keep = Some(Nil)).head()
    val expected = Map(
      "float16" -> 1.5f,
      "bfloat16" -> 1.5f,
      "float32" -> 1.5f,
      "float64" -> 1.25,
      "int32" -> -7,
      "int64" -> 9007199254740993L,
      "int8" -> -100.toByte,
      "int16" -> -30000.toShort,
      "uint32" -> 4000000000L,
      "uint64" -> Long.MaxValue,
      "uint8" -> 200.toShort,
      "uint16" -> 60000,
      "bool" -> true,
      "string" -> "tëxt"
    )
    assert(expected.keySet == all.toSet)
    for ((kind, value) <- expected) {
      assert(row.getAs[Any](s"out_${kind}_one") == value, kind)
      assert(row.getAs[Any](s"out_${kind}_two") == Seq(value, value), kind)
    }
  }

  test("values out of range make bad rows") {
    val one =
      Map("float16_one" -> 1e5, "bfloat16_one" -> 3.4e38, "uint8_one" -> 256, "uint16_one" -> -1) ++
        Map("int8_one" -> 128, "int16_one" -> -32769, "uint32_one" -> -1, "uint64_one" -> -1)
    val good = Seq("float16", "bfloat16", "float32", "float64").map(_ -> "0.0D") ++
      Values.Dtypes.filter(_.contains("int")).map(_ -> "0") ++
      Seq("bool" -> "true", "string" -> "''")
    for ((name, value) <- one) {
      val select = good.flatMap { case (kind, zero) =>
        val literal = if (name == s"${kind}_one")
          s"CAST($value AS ${if (zero == "0") "int" else "double"})"
        else zero
        Seq(s"$literal AS ${kind}_one", s"array($zero, $zero) AS ${kind}_two")
      }
      val df = spark.sql(select.mkString("SELECT ", ", ", ""))
      val said = reasons(df.scoreWithReasons(model("kinds"), keep = Some(Nil)))
      assert(said == Seq(s"$name: outside the range of ${name.stripSuffix("_one")}"))
    }
  }

  test("dates and timestamps are whole numbers") {
    val df = table(
      "siblings timestamp, age float, sex binary, paid boolean, d date",
      Row(
        Timestamp.from(Instant.ofEpochSecond(1, 5000)),
        1f,
        "x".getBytes,
        false,
        Date.valueOf("1970-01-11")
      )
    )
    val byTime = df.score(model("mixed"), keep = Some(Nil)).head()
    assert(byTime.getAs[String]("label") == "x-1000005")
    val byDay = df.score(model("mixed"), Map("siblings" -> Seq("d")), Some(Nil)).head()
    assert(byDay.getAs[String]("label") == "x-10")
  }

  test("nested lists, flat ones, and lists of any one length") {
    val df = table(
      "id int, grid array<array<int>>, open array<double>",
      Row(0, Seq(Seq(1, 2, 3), Seq(4, 5, 6)), Seq(1.0, 2.0)),
      Row(1, Seq(Seq(1, 2, 3), Seq(4, 5)), Seq(1.0)),
      Row(2, Seq(Seq(1, 2, 3), null), Seq(1.0)),
      Row(3, Seq(Seq(1, 2, 3), Seq(4, 5, null)), Seq(1.0)),
      Row(4, Seq(Seq(1, 2, 3)), Seq(1.0)),
      Row(5, Seq(Seq(1, 1, 1), Seq(2, 2, 2)), Seq(5.0)),
      Row(6, null, Seq(1.0)),
      Row(7, Seq(Seq(0, 0, 0), Seq(0, 0, 0)), null),
      Row(8, Seq(Seq(0, 0, 0), Seq(0, 0, 0)), Seq(1.0, null))
    )
    val rows = df.scoreWithReasons(model("nested"), keep = Some(Seq("id"))).collect().toSeq
    val noNull = "null, and nothing stands for null in this input"
    assert(
      rows.map(_.getAs[String](reason)) == Seq(
        null,
        "grid: a list of another length than 3",
        "grid: a null list inside",
        s"grid: $noNull",
        "grid: a list of another length than 2",
        null,
        s"grid: $noNull",
        null,
        null
      )
    )
    assert(rows.head.getAs[Lists[Lists[Int]]]("twice") == Seq(Seq(2, 4, 6), Seq(8, 10, 12)))
    assert(rows.map(_.getAs[Any]("open_sum")).take(1) == Seq(3.0f))
    assert(rows(5).getAs[Lists[Float]]("same") == Seq(5.0f))
    // A null list of open length is one null.
    assert(rows(7).getAs[Lists[Float]]("same").map(_.isNaN) == Seq(true))
    assert(rows(8).getAs[Lists[Float]]("same").map(_.isNaN) == Seq(false, true))
    val flat = table("grid array<int>, open array<float>", Row(Seq(1, 2, 3, 4, 5, 6), Seq(1f)))
    val row = flat.score(model("nested"), keep = Some(Nil)).head()
    assert(row.getAs[Lists[Lists[Int]]]("twice") == Seq(Seq(2, 4, 6), Seq(8, 10, 12)))
    val lost = table("ids array<bigint>", Row(null))
    assert(reasons(lost.scoreWithReasons(model("tokens"))) == Seq(s"ids: $noNull"))
  }

  test("lists that are filled up; NaN that is refused; values end to end in a binary") {
    val lists = table("ids array<int>", Row(Seq(1, 2)), Row(null), Row(Seq(1, 2, 3)), Row(Seq()))
    val echo = lists.score(model("padded"), keep = Some(Nil)).collect().toSeq
    assert(
      echo.map(_.getAs[Lists[Long]]("echo")) ==
        Seq(Seq(1L, 2L, -1L), Seq(0L, -1L, -1L), Seq(1L, 2L, 3L), Seq(-1L, -1L, -1L))
    )
    val grid = table("grid array<array<int>>", Row(Seq(Seq(1), Seq())), Row(Seq(Seq(1, 2, 3, 4))))
    val padded = grid.scoreWithReasons(model("padded_grid"), keep = Some(Nil)).collect().toSeq
    assert(padded.head.getAs[Lists[Lists[Int]]]("twice") == Seq(Seq(2, 18, 18), Seq(18, 18, 18)))
    assert(padded(1).getAs[String](reason) == "grid: a list of more than 3 values")
    val nan = table("features array<double>", Row(Seq(1.0, Double.NaN, 1e300, 1.0)))
    assert(
      reasons(nan.scoreWithReasons(model("strict"))) ==
        Seq("features: NaN, and this input refuses NaN")
    )
    val bytes = java.nio.ByteBuffer.allocate(16).order(java.nio.ByteOrder.LITTLE_ENDIAN)
    Seq(0.5f, 1f, 2f, 3f).foreach(bytes.putFloat)
    val raw = table("features binary", Row(bytes.array), Row(new Array[Byte](7)))
    val scored = raw.scoreWithReasons(model("strict"), keep = Some(Nil)).collect().toSeq
    val same = table("features array<float>", Row(Seq(0.5f, 1f, 2f, 3f)))
    val expected = same.score(model("strict"), keep = Some(Nil)).head().getFloat(0)
    assert(scored.map(_.getAs[String](reason)) == Seq(null, "features: holds 7 bytes, 16 needed"))
    assert(math.abs(scored.head.getFloat(0) - expected) < 1e-6)
  }

  test("a column that never fits is refused before any task runs") {
    val df = table("id int, Features array<float>, words string, two int", Row(1, Seq(1f), "a", 2))
    def refused(name: String, inputs: Map[String, Seq[String]] = Map.empty) =
      intercept[SignatureError](df.score(model(name), inputs)).getMessage
    assert(refused("mixed").contains("input age (float32, shape []) has no column of its name"))
    assert(refused("mlp", Map("feature" -> Seq("id"))).contains("(did you mean features?)"))
    assert(refused("mlp", Map("features" -> Seq("featurs"))).contains("(did you mean Features?)"))
    assert(refused("mlp", Map("features" -> Seq("id", "two"))).contains("gives it 2 columns"))
    assert(
      refused("mlp", Map("features" -> Seq("words")))
        .contains("string has no list level(s), shape [4] needs 1")
    )
    assert(
      refused("lookup", Map("word" -> Seq("id")))
        .contains("int32 does not become string by itself: cast the column")
    )
    val taken = intercept[SignatureError](df.withColumnRenamed("id", "score").score(model("mlp")))
    assert(taken.getMessage.contains("would take the name of the kept column score"))
  }

  test("the rows for which the model itself fails, alone; a fixed batch; assets; pixels") {
    val picky = spark.range(100).selectExpr("CASE WHEN id IN (3, 77) THEN -1f ELSE id END AS x")
    val said = reasons(picky.coalesce(1).scoreWithReasons(model("picky")))
    assert(said.zipWithIndex.filter(_._1 != null).map(_._2) == Seq(3, 77))
    assert(said(3).startsWith("the model failed: ") && said(3).contains("negative x"))
    val fixed = spark.range(7).selectExpr("array(float(id), 1f) AS x").coalesce(1)
    val totals = fixed.score(model("fixed_batch"), keep = Some(Nil)).collect().map(_.getFloat(0))
    assert(totals.toSeq == (1 to 7).map(_.toFloat))
    val words = table("word string", Row("green"), Row("pink"))
    assert(words.score(model("lookup")).collect().map(_.getLong(1)).toSeq == Seq(1L, -1L))
    val image = Array.tabulate[Byte](12)(i => (250 + i).toByte) // bytes above 127, and over the end
    val mean = table("image binary", Row(image)).score(model("pixels"), keep = Some(Nil)).head()
    assert(math.abs(mean.getFloat(0) - image.map(_ & 0xff).sum / 12.0) < 1e-4)
  }

  test("column batches of Parquet and rows give the same; batches by rows and by bytes") {
    val folder = Local.temporary("parquet").resolve("t").toString
    val made = spark
      .range(0, 10000, 1, 1)
      .selectExpr("id", "array(rand(1), rand(2), rand(3), id / 1e4) AS features", "string(id) AS s")
    made.write.parquet(folder)
    val scan = spark.read.parquet(folder)
    def scored(df: DataFrame) =
      df.score(model("mlp"), keep = Some(Seq("id", "s"))).collect().toSeq.sortBy(_.getLong(0))
    val columnar = scan.score(model("mlp"), keep = Some(Seq("id", "s")))
    val byRows = scored(scan.filter("id >= 0")) // a filter makes rows
    assert(columnar.collect().toSeq.sortBy(_.getLong(0)) == byRows)
    val plan = columnar.asInstanceOf[Dataset[_]].queryExecution.executedPlan
    val node = plan.collectFirst { case score: ScoreExec => score }.get
    // The transition is there and was never run: it counted no rows.
    val transition = plan.collectFirst { case toRows: ColumnarToRowExec => toRows }.get
    assert(transition.metrics("numOutputRows").value == 0)
    assert(node.metrics("numOutputRows").value == 10000)
    assert(node.metrics("numBatches").value == 3) // of 4096 rows
    assert(!node.child.output.exists(_.name == "unused"))
    val setting = "spark.sql.execution.arrow.maxRecordsPerBatch"
    spark.conf.set(setting, "7")
    try {
      val small = scan.limit(100).score(model("mlp"), keep = Some(Seq("id", "s"))).collect()
      val expected = byRows.map(row => row.getLong(0) -> row.getFloat(2)).toMap
      for (row <- small) assert(math.abs(row.getFloat(2) - expected(row.getLong(0))) < 1e-6)
    } finally spark.conf.unset(setting)
    val empty = scan.filter("id < 0").score(model("mlp"))
    assert(empty.collect().isEmpty)
  }
}
