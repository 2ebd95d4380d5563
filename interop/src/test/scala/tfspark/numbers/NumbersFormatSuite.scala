package tfspark.numbers

import java.nio.file.{Files, Path}
import org.apache.parquet.hadoop.ParquetOutputFormat
import org.apache.spark.paths.SparkPath
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.execution.FileSourceScanExec
import org.apache.spark.sql.execution.datasources.PartitionedFile
import org.apache.spark.sql.functions._
import org.apache.spark.sql.tfspark.Frames
import org.apache.spark.sql.{DataFrame, Row}
import scala.jdk.CollectionConverters._
import scala.util.Random
import tfspark.Local
import tfspark.implicits._

/** What Spark's reader reads, `NumbersFormat` reads. */
class NumbersFormatSuite extends Local {
  private val kinds = Seq("int", "long", "float", "double")

  /** Numbers of every kind: few of them and many, with nulls and without. */
  private def table(rows: Int, seed: Int): DataFrame = {
    val columns = for {
      kind <- kinds
      (name, values) <- Seq("few" -> 7, "many" -> Int.MaxValue)
      nulls <- Seq(0.0, 0.3, 1.0)
    } yield {
      val number = (rand(seed + nulls.hashCode) * values - values / 3).cast("long").cast(kind)
      when(rand(seed + 1) >= nulls, number).as(s"${kind}_${name}_${(nulls * 10).toInt}")
    }
    val special = Seq("float", "double").map { kind =>
      element_at(
        array(Seq("NaN", "-0.0", "Infinity", "0", "1e-45").map(lit(_).cast(kind)): _*),
        (col("id") % 5 + 1).cast("int")
      ).as(s"special_$kind")
    }
    spark.range(0, rows, 1, 2).select(col("id").cast("double") +: (columns ++ special): _*)
  }

  /** The rows by the format that the rule puts in, from files of the folder. */
  private def ours(df: DataFrame): (DataFrame, Seq[FileSourceScanExec]) = {
    val plan = df.queryExecution.analyzed.transformUp(NumbersRule.faster)
    val read = Frames.of(Frames.session(df), plan)
    (read, read.queryExecution.executedPlan.collect { case scan: FileSourceScanExec => scan })
  }

  private def check(df: DataFrame): Unit = {
    val (read, scans) = ours(df)
    assert(scans.nonEmpty && scans.forall(_.relation.fileFormat.isInstanceOf[NumbersFormat]))
    val order = df.columns.toSeq.filter(Set("id", "Id", "day")).map(col)
    def rows(df: DataFrame) = df.sort(order: _*).collect().toSeq.map(bits)
    assert(rows(read) == rows(df))
  }

  /** NaN is itself, and -0.0 is not 0.0. */
  private def bits(row: Row): Seq[Any] = row.toSeq.map {
    case value: Float => java.lang.Float.floatToRawIntBits(value)
    case value: Double => java.lang.Double.doubleToRawLongBits(value)
    case value => value
  }

  private def written(df: DataFrame, options: (String, String)*): Path = {
    val folder = Local.temporary("numbers").resolve("t")
    df.write.options(options.toMap).parquet(folder.toString)
    folder
  }

  /** Which of the files of a folder need Spark's reader. */
  private def left(folder: Path, df: DataFrame): Seq[String] =
    Files.list(folder).iterator.asScala.toSeq.filter(_.toString.endsWith(".parquet")).filter {
      file =>
        val whole = PartitionedFile(
          InternalRow.empty,
          SparkPath.fromPathString(file.toString),
          0,
          Files.size(file)
        )
        val conf = spark.sessionState.newHadoopConf()
        val opened = NumbersFormat.open(whole, df.schema, conf, new PageMemory(conf))
        opened.foreach(_._1.close())
        opened.isEmpty
    }.map(_.toString)

  test("all kinds of pages") {
    val random = new Random(1)
    def one(values: String*) = values(random.nextInt(values.size))
    for (seed <- 0 until 6) {
      val version = if (seed % 2 == 0) "PARQUET_1_0" else "PARQUET_2_0"
      val folder = written(
        table(1000 + random.nextInt(1000), seed),
        ParquetOutputFormat.ENABLE_DICTIONARY -> one("true", "false"),
        ParquetOutputFormat.DICTIONARY_PAGE_SIZE -> one("300", "1048576"),
        ParquetOutputFormat.PAGE_SIZE -> one("100", "2000", "1048576"),
        ParquetOutputFormat.BLOCK_SIZE -> one("20000", "134217728"),
        ParquetOutputFormat.WRITER_VERSION -> version,
        "compression" -> one("snappy", "none", "gzip", "zstd")
      )
      val df = spark.read.parquet(folder.toString)
      // In its second version it packs whole numbers in ways of its own.
      val kinds = if (version.endsWith("2_0")) Seq("float", "double") else this.kinds
      val taken = df.columns.toSeq.filter(name => name == "id" || kinds.exists(name.contains))
      withClue(s"seed $seed: ") {
        assert(left(folder, df.select(taken.map(col): _*)).isEmpty)
        check(df.select(taken.map(col): _*))
        check(df)
      }
    }
  }

  test("by scoring: the plan has it, the scores are the same, no row twice or never") {
    val folder = written(spark.range(0, 20000, 1, 3).selectExpr("id", "float(id % 50) AS x"))
    val plain = spark.read.parquet(folder.toString).withColumnRenamed("x", "x1")
    val scored =
      plain.withColumn("x2", col("x1")).score(model("linear/3"), Map("x" -> Seq("x1", "x2")))
    val used = scored.queryExecution.executedPlan.collect { case s: FileSourceScanExec => s }
    assert(used.map(_.relation.fileFormat.getClass) == Seq(classOf[NumbersFormat]))
    assert(scored.select(count("*"), countDistinct("id")).head() == Row(20000, 20000))
    val expected = plain.selectExpr("sum(1.99786D * x1 - 1.02963D * x1 + 3.08099D)").head()
    assert(math.abs(scored.select(sum("y")).head().getDouble(0) - expected.getDouble(0)) < 1)
  }

  test("files in parts, of several days, some of other columns") {
    val root = Local.temporary("days")
    for (day <- 1 to 3) {
      val narrow = if (day == 2) table(500, day).drop("int_few_0") else table(500, day)
      narrow.write.option(ParquetOutputFormat.BLOCK_SIZE, "5000")
        .parquet(root.resolve(s"day=2026-01-0$day").toString)
    }
    table(500, 9).withColumn("id", col("id").cast("float"))
      .write.parquet(root.resolve("day=2026-01-04").toString)
    val schema = spark.read.parquet(root.resolve("day=2026-01-01").toString).schema
    withSetting("spark.sql.files.maxPartitionBytes", "8192") {
      val df = spark.read.schema(schema.add("day", "date")).parquet(root.toString)
      check(df.where("day > '2026-01-01'"))
      check(df.where("id > 200"))
      check(df)
    }
  }

  test("what is no plain number, Spark's reader takes") {
    val mixed = spark.range(100).selectExpr(
      "id",
      "string(id) text",
      "id % 2 = 0 flag",
      "decimal(id) amount",
      "timestamp_micros(id) at",
      "date_from_unix_date(int(id)) day",
      "tinyint(id) tiny",
      "array(float(id)) list",
      "named_struct('x', float(id)) inside"
    )
    check(spark.read.parquet(written(mixed).toString))
    val cases = spark.range(10).selectExpr("id AS Id", "float(id) x")
    check(spark.read.schema("id long, x float, other int").parquet(written(cases).toString))
  }

  test("a damaged file is named") {
    val folder =
      written(spark.range(0, 5000, 1, 1).selectExpr("float(id % 9) x"), "compression" -> "none")
    val file = Files.list(folder).filter(_.toString.endsWith(".parquet")).findFirst.get
    val bytes = Files.readAllBytes(file)
    java.util.Arrays.fill(bytes, 60, 2000, 0xff.toByte)
    Files.write(file, bytes)
    Files.deleteIfExists(file.resolveSibling(s".${file.getFileName}.crc"))
    val error = intercept[Exception](ours(spark.read.parquet(folder.toString))._1.collect())
    assert(error.getMessage.contains(file.getFileName.toString))
  }

  private def withSetting(name: String, value: String)(run: => Unit): Unit = {
    spark.conf.set(name, value)
    try run
    finally spark.conf.unset(name)
  }
}
