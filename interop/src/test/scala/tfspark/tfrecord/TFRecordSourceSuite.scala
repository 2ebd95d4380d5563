package tfspark.tfrecord

import java.nio.file.{Files => LocalFiles, Paths}
import org.apache.spark.sql.functions.{col, expr, lit}
import org.apache.spark.sql.{DataFrame, Row}
import tfspark.{ConfigError, Local, SourceMissing, StorageError}

/** Folders through Spark: everything that is written is read back, or refused with a reason. */
class TFRecordSourceSuite extends TFRecordFolders {
  private val everything = """SELECT * FROM VALUES
    (0, true, -128Y, -32768S, -2147483648, -9223372036854775808, CAST(1.5 AS float), 'é𝄞', X'ff00',
      DATE'0001-01-01', TIMESTAMP'2026-02-03 04:05:06.789012', TIMESTAMP_NTZ'1969-12-31 23:59:59',
      INTERVAL '-2 00:00:00.000001' DAY TO SECOND, TIME'23:59:59.999999', array(1L, -2L),
      array('a', ''), array(CAST(0.5 AS float)), array(array(1, 2), array(), NULL),
      named_struct('a', 7, 'u', named_struct('v', 'v', 'w', array(CAST(2 AS float))))),
    (1, false, 127Y, 32767S, 2147483647, 9223372036854775807, CAST('-Infinity' AS float), '', X'',
      DATE'9999-12-31', TIMESTAMP'9999-12-31 23:59:59.999999', TIMESTAMP_NTZ'0001-01-01 00:00:00',
      INTERVAL '0' SECOND, TIME'00:00:00', array(), array(), array(), array(),
      named_struct('a', NULL, 'u', named_struct('v', NULL, 'w', NULL))),
    (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
      NULL, NULL, NULL)
    AS t(n, bo, b, s, i, l, f, t, x, d, ts, tn, iv, tm, al, at, af, ll, st)"""

  for (compression <- Seq("none", "gzip", "zlib"))
    test(s"every type comes back, $compression") {
      spark.conf.set("spark.sql.timeType.enabled", "true")
      val (path, df) = (fresh(), spark.sql(everything))
      save(df, path, "errorifexists")("compression" -> compression)
      val back = read(path)
      assert(back.dtypes.toSeq == df.dtypes.map { case (n, k) =>
        (n, k.replace("false", "true"))
      }.toSeq)
      assert(back.orderBy("n").collect().toSeq == df.orderBy("n").collect().toSeq)
      val files = names(path)
      assert(files("_manifest.json") && files("_schema.json") && files("_SUCCESS"))
      assert(files.forall(name => !name.endsWith(".crc") && !name.startsWith("_staging")))
    }

  test("what is narrowed, and what must be") {
    val path = fresh()
    val df = spark.sql(
      "SELECT 1 AS n, 0.1D AS x, CAST('1.50' AS decimal(9,2)) AS p, CAST('-2.25' AS decimal(9,2)) q"
    )
    refused[ConfigError]("column x: an Example does not hold double without loss; name the narr") {
      save(df, path, "error")()
    }
    assert(!LocalFiles.exists(Paths.get(path)))
    save(df, path, "error")("narrow" -> "x:float,p:string,q:float")
    val decimal = new java.math.BigDecimal("1.50")
    assert(read(path).head() == Row(1, 0.1f, decimal, -2.25f))
    save(df, path, "append")("narrow" -> """{"x": "float", "p": "string", "q": "float"}""")
    assert(read(path).count() == 2)
    refused[ConfigError]("column p is decimal128\\(9, 2\\) in the folder, float in the rows") {
      save(df, path, "append")("narrow" -> "x:float,p:float,q:float")
    }
  }

  for (
    (sql, why) <- Seq(
      "map('a', 1)" -> "column c: an Example holds no map<string,int>",
      "null" -> "column c: an Example holds no void",
      "array(named_struct('a', 1))" -> "column c: an Example holds no struct<a: int32>",
      "parse_json('1')" -> "column c: an Example holds no variant",
      "interval '1' month" -> "column c: an Example holds no interval month",
      "array(array(array(1)))" -> "column c: .* has 3 list levels, two are the most"
    )
  ) test(s"no Example holds $sql") {
    val path = fresh()
    refused[ConfigError](why)(save(spark.range(1).select(expr(sql).as("c")), path, "append")())
    assert(!LocalFiles.exists(Paths.get(path)))
  }

  test("a value that cannot be held stops the write, and nothing is left") {
    for (
      (sql, why) <- Seq(
        "array(1, NULL)" -> "column a: row 0 of the file has a null inside its list",
        "array(array(1), array(2, NULL))" -> "column a: row 0 of the file has a null inside",
        "1e300D" -> "column a: row 0 of the file has a number beyond the range of float"
      )
    ) {
      val path = fresh()
      val narrow = if (sql == "1e300D") Seq("narrow" -> "a:float") else Nil
      refused[StorageError](s"part-0000\\d-.*$why") {
        save(spark.sql(s"SELECT $sql AS a"), path, "append")(narrow: _*)
      }
      assert(!LocalFiles.exists(Paths.get(path)))
    }
  }

  test("modes") {
    val path = fresh()
    save(numbers(10), path, "errorifexists")()
    for (mode <- Seq("error", "errorifexists"))
      refused[ConfigError]("holds data: use mode append or overwrite")(
        save(numbers(10), path, mode)()
      )
    refused[ConfigError]("holds data")(save(numbers(1), path, "append")("mustBeNew" -> "true"))
    save(numbers(99), path, "ignore")()
    assert(read(path).count() == 10)
    save(numbers(10, 10), path, "append")()
    assert(rows(read(path).select("id")) == (0L until 20).map(Row(_)))
    save(numbers(5), path, "overwrite")()
    assert(rows(read(path)) == rows(numbers(5)))
    assert(names(path).count(_.endsWith(".tfrecord")) == 2)
  }

  test("partition columns; their filters choose the files") {
    val (path, df) = (fresh(), numbers(60))
    save(df, path, "error", Seq("d", "k"))()
    val back = read(path)
    assert(back.columns.toSeq == Seq("id", "t", "d", "k"))
    assert(rows(back.selectExpr("id", "k", "d", "t")) == rows(df))
    def files(found: DataFrame) = found.queryExecution.executedPlan.toString
    for (
      (where, tasks, count) <- Seq(
        ("k = 1", 4, 20),
        ("year(d) = 2026 AND k IN (0, 2) AND id > 29", 8, 20),
        ("d = DATE'2026-01-02' AND k <> 0", 4, 20),
        ("k IS NULL", 0, 0),
        ("k = 1 OR id = 3", 12, 21)
      )
    ) {
      val found = back.where(where)
      assert(found.count() == count, where)
      assert(files(found).contains(s", $tasks files,"), s"$where\n${files(found)}")
    }
    assert(read(path, "where" -> "d >= '2026-01-02' and k in (0, 1)").count() == 20)
    for (
      (where, why) <- Seq(
        "id = 1" -> "where: id is no partition column of .*; those are \\['d', 'k'\\]",
        "k = 1 or d = 2" -> "where: cannot read",
        "k = 'x'" -> "where: k is int32, 'x' is none"
      )
    ) refused[ConfigError](why)(read(path, "where" -> where).count())
  }

  test("partition values of any text, and nulls") {
    val path = fresh()
    val df = spark
      .sql("""SELECT * FROM VALUES (0, "a'b"), (1, 'x/y=z %é:'), (2, NULL), (3, '') AS t(n, p)""")
      .withColumn("f", col("n") > 1)
      .coalesce(1)
    save(df, path, "error", Seq("p", "f"))()
    assert(rows(read(path)) == rows(df))
    assert(read(path, "where" -> "p = 'a''b'").count() == 1)
    assert(read(path).where(col("p") === "x/y=z %é:").count() == 1)
  }

  test("overwriting partitions, and what is being read") {
    val path = fresh()
    save(numbers(30), path, "error", Seq("k"))()
    val changed = read(path).where("k = 1").withColumn("t", lit("new"))
    save(changed, path, "overwrite", Seq("k"))("partitionOverwriteMode" -> "dynamic")
    assert(read(path).count() == 30)
    assert(read(path).where("t = 'new'").count() == 10)
    save(read(path).where("k < 2"), path, "overwrite")()
    assert(read(path).count() == 20)
  }

  test("rows of other columns are refused before one is computed") {
    val (path, df) = (fresh(), numbers(10))
    save(df, path, "error", Seq("k"))()
    val before = names(path)
    val poison = expr("CAST(raise_error('a row was computed') AS string)")
    for (
      (other, by, why) <- Seq(
        (df.withColumn("id", col("id").cast("int")), Seq("k"), "column id is int64 .*int32 in the"),
        (df.withColumn("t", poison).drop("d"), Seq("k"), "column d is date32\\[day\\].*not there"),
        (df.withColumn("new", lit(1)), Seq("k"), "column new is not there .* int32"),
        (df, Nil, "is partitioned by \\['k'\\], the write by \\[\\]"),
        (df, Seq("q"), "partitionBy: column q is not there"),
        (df, Seq("id", "k", "d", "t"), "partitionBy: names all columns")
      )
    ) refused[ConfigError](why)(save(other, path, "append", by)())
    assert(names(path) == before)
  }

  test("files are cut by rows and bytes; small ones are few tasks") {
    val (path, df) = (fresh(), numbers(5000, tasks = 1))
    save(df, path, "error")("maxRecordsPerFile" -> "1500")
    assert(names(path).count(_.endsWith(".tfrecord")) == 4)
    assert(rows(read(path)) == rows(df))
    save(df, path, "overwrite")("maxFileBytes" -> "1k")
    assert(names(path).count(_.endsWith(".tfrecord")) > 100)
    assert(read(path).count() == 5000)
    assert(read(path).rdd.getNumPartitions <= 40)
    assert(read(path, "maxPartitionBytes" -> "1").rdd.getNumPartitions > 100)
  }

  test("no rows") {
    val path = fresh()
    for (mode <- Seq("error", "overwrite", "append")) {
      save(numbers(10).where("id < 0"), path, mode, Seq("k"))()
      assert(read(path).columns.toSeq == Seq("id", "d", "t", "k"))
      assert(read(path).collect().isEmpty)
    }
  }

  test("columns, a schema that is given, and casts") {
    val (path, df) = (fresh(), numbers(10))
    save(df, path, "error", Seq("k"))()
    assert(rows(read(path, "columns" -> "k, t")) == rows(df.select("k", "t")))
    val asked = spark.read.format(format).schema("t string, id decimal(20,0), k string").load(path)
    assert(rows(asked) == rows(df.selectExpr("t", "CAST(id AS decimal(20,0))", "string(k)")))
    assert(asked.where("k = '1'").count() == 3)
    def as(schema: String) = spark.read.format(format).schema(schema).load(path)
    refused[ConfigError]("has no column q; it has \\['id', 'd', 't', 'k'\\]")(
      read(path, "columns" -> "q")
    )
    refused[ConfigError]("has no column q; it has \\['id', 'd', 't', 'k'\\]")(as("q int").count())
    refused[StorageError]("column t is string and cannot be int32")(as("t int").collect())
    save(numbers(2, 1L << 40), path, "append", Seq("k"))()
    refused[StorageError]("column id is int64 and cannot be int32")(as("id int").collect())
    refused[StorageError]("column id is int64 and cannot be binary")(as("id binary").collect())
    val plan = read(path).select("t").queryExecution.executedPlan.toString
    assert(plan.contains("columns [t]"), plan)
  }

  test("options are checked") {
    val path = fresh()
    save(numbers(1), path, "error")()
    for (
      (name, value, why) <- Seq(
        ("colour", "red", "tfrecord: option 'colour' is unknown; there are codec, columns, comp"),
        ("compression", "lzo", "tfrecord: compression is 'lzo'; use none or gzip or zlib"),
        ("onCorrupt", "no", "tfrecord: onCorrupt is 'no'; use fail or skip"),
        ("inferRecords", "x", "tfrecord: inferRecords is 'x'; give a number, 64m or 1g"),
        ("narrow", "{", "tfrecord: narrow is no JSON")
      )
    ) {
      refused[ConfigError](why)(read(path, name -> value))
      refused[ConfigError](why)(save(numbers(1), path, "append")(name -> value))
    }
    refused[ConfigError]("no path: give it to load or save")(spark.read.format(format).load())
    refused[ConfigError]("narrow names \\['zz'\\]: no such column")(
      save(numbers(1), path, "append")("narrow" -> "zz:float")
    )
  }

  test("what is not there") {
    val folder = Local.temporary("tfrecord").toString
    refused[SourceMissing]("nowhere is not there")(read(s"$folder/nowhere"))
    refused[SourceMissing]("holds no TFRecord file: no write to it has finished")(read(folder))
    refused[SourceMissing]("\\*.tfrecord: no file matches")(read(s"$folder/*.tfrecord"))
  }

  test("a file, a pattern, several folders") {
    val (one, two) = (fresh(), fresh())
    save(numbers(10, tasks = 1), one, "error")()
    save(numbers(10, 10, tasks = 1), two, "error")()
    val file = names(one).find(_.endsWith(".tfrecord")).get
    assert(rows(read(s"$one/$file")) == rows(numbers(10)))
    assert(rows(read(s"$one/part-*.tfrecord")) == rows(numbers(10)))
    assert(spark.read.format(format).load(one, two).count() == 20)
    save(numbers(1).drop("t"), two, "overwrite")()
    refused[ConfigError]("has other columns than")(spark.read.format(format).load(one, two))
  }

  test("SQL: views, tables, inserts") {
    val path = fresh()
    save(numbers(10), path, "error")()
    spark.sql(s"CREATE TEMPORARY VIEW tf_view USING $format OPTIONS (path '$path')")
    assert(spark.sql("SELECT sum(id) FROM tf_view WHERE k = 1").head() == Row(12L))
    val table = fresh()
    spark.sql(s"CREATE TABLE tf_table (id bigint, t string) USING $format LOCATION '$table'")
    spark.sql("INSERT INTO tf_table SELECT id, t FROM tf_view")
    spark.sql("INSERT INTO tf_table VALUES (10, 'v10')")
    assert(spark.sql("SELECT count(*), max(id) FROM tf_table").head() == Row(11L, 10L))
    spark.sql("INSERT OVERWRITE tf_table VALUES (1, 'one')")
    assert(spark.table("tf_table").collect().toSeq == Seq(Row(1L, "one")))
    spark.sql("DROP TABLE tf_table")
    spark.sql("DROP VIEW tf_view")
  }

  test("rows as serialized Examples are the records of the file") {
    import tfspark.implicits._
    val path = fresh()
    val df =
      spark.sql("SELECT id, id / 2 AS d, array(id) AS l, IF(id = 1, NULL, 't') AS s FROM range(3)")
    save(df.coalesce(1), path, "error")("narrow" -> "d:float")
    val found = spark.read.format(format).option("recordType", "ByteArray").load(path)
    val made = df.select(df.toExample(Map("d" -> "float")))
    def hex(rows: DataFrame) = rows.selectExpr(s"hex(`${rows.columns.head}`)").collect().toSet
    assert(hex(made) == hex(found))
    refused[ConfigError]("column d: an Example does not hold double")(df.toExample())
  }
}
