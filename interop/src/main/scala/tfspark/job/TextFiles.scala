package tfspark.job

import java.io.{IOException, InputStream}
import java.net.URI
import java.nio.charset.StandardCharsets.UTF_8
import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.Path
import org.apache.hadoop.io.compress.CompressionCodecFactory
import org.apache.spark.TaskContext
import org.apache.spark.sql.functions.{col, rtrim}
import org.apache.spark.sql.tfspark.Frames
import org.apache.spark.sql.types._
import org.apache.spark.sql.{DataFrame, Row, SparkSession}
import scala.collection.immutable.VectorMap
import scala.util.Using
import tfspark.shared.Shared.say
import tfspark.storage.Storage
import tfspark.{ConfigError, ContractViolation, StorageError}

/** Tables in CSV and JSON files, every column text, as `tfspark/textfiles/` reads them. */
private[tfspark] object TextFiles {
  private val Null = "__HIVE_DEFAULT_PARTITION__"
  private val Packed = Seq(".gz", ".bz2")
  private val Unknown =
    Seq(".zst", ".zstd", ".lz4", ".xz", ".snappy", ".deflate", ".lzo", ".br", ".zip", ".gzip")

  /** The records of CSV files; `_tfspark_corrupt` is the text of one of other columns. */
  def csv(spark: SparkSession, path: String, options: TextOptions): DataFrame = {
    options.refuseOthers("csv")
    val files = listed(spark, path, options)
    val form = CsvForm.of(options)
    val conf = Frames.send(spark.sparkContext.hadoopConfiguration)
    val names =
      if (options.columns.nonEmpty) options.columns else header(path, files, options, conf.value)
    val depth = depthOf(path)
    val folders = folderNames(files, path)
    for (name <- names if folders.contains(name))
      throw new ContractViolation(
        s"$path: column $name is in the files and in their folders' names; rename one"
      )
    val (width, skip) = (names.size, options.header)
    val rows = spark.sparkContext.parallelize(files, files.size.max(1)).flatMap { file =>
      val values = partitions(file, depth).values.toSeq
      val stream = open(file, conf.value)
      Option(TaskContext.get()).foreach { task =>
        task.addTaskCompletionListener[Unit](_ => stream.close()): Unit
      }
      val records = new CsvRecords(stream, form, file)
      if (skip && records.hasNext) records.next(): Unit
      records.map { record =>
        val fits = record.fits && record.values.size == width
        val own = if (fits) record.values else Seq.fill(width)(null)
        Row.fromSeq((own ++ values) :+ (if (fits) null else record.text))
      }
    }
    val all = (names ++ folders) :+ Tables.Corrupt
    val schema = StructType(all.indices.map(i => StructField(s"c$i", BinaryType)))
    val texts = all.zipWithIndex.map { case (name, i) => col(s"c$i").cast("string").as(name) }
    spark.createDataFrame(rows, schema).select(texts: _*)
  }

  /** The lines of JSON files that are not blank, and what folders say. */
  def json(spark: SparkSession, path: String, options: TextOptions): DataFrame = {
    options.refuseOthers("json")
    if (options.nulls.nonEmpty)
      throw new ConfigError(say("option_job", "name" -> "nullValues"))
    val files = listed(spark, path, options)
    val conf = Frames.send(spark.sparkContext.hadoopConfiguration).value
    for (file <- files if isList(file, conf))
      throw new StorageError(
        s"$file: is one list, which the Scala module does not read; run the job in Python " +
          "(tfspark score), or write an object a line"
      )
    val folders = folderNames(files, path)
    val fields = ("value" +: folders).map(StructField(_, StringType))
    spark.read
      .options(options.files)
      .option("lineSep", "\n")
      .schema(StructType(fields))
      .text(path)
      .withColumnRenamed("value", Tables.Json)
      .withColumn(Tables.Json, rtrim(col(Tables.Json), "\r"))
      .where(!col(Tables.Json).rlike("\\A[ \t\r\n]*\\z"))
  }

  /** How many names a table's path has. */
  private def depthOf(path: String): Int =
    shown(new Storage(path, new Configuration()).shown).split("/").length

  private def folderNames(files: Seq[String], path: String): Seq[String] = {
    val found = files.map(file => file -> partitions(file, depthOf(path)).keys.toSeq)
    for ((file, names) <- found if names != found.head._2)
      throw new ContractViolation(
        s"$path: files lie in folders of different columns: ${files.head}, $file"
      )
    found.headOption.fold(Seq.empty[String])(_._2)
  }

  /** Column → value of the folders between a table's path and a file of it. */
  private def partitions(file: String, depth: Int): VectorMap[String, Array[Byte]] = {
    val folders = file.split("/").drop(depth).dropRight(1)
    VectorMap.from(folders.filter(_.contains("=")).map { folder =>
      val (name, value) = folder.splitAt(folder.indexOf("="))
      val text = value.drop(1)
      name -> (if (text == Null) null else unescaped(text).getBytes(UTF_8))
    })
  }

  private def unescaped(text: String): String =
    "(?:%[0-9A-Fa-f]{2})+".r.replaceAllIn(
      text,
      found => {
        val bytes = found.matched.split("%").drop(1).map(Integer.parseInt(_, 16).toByte)
        scala.util.matching.Regex.quoteReplacement(new String(bytes, UTF_8))
      }
    )

  /** A local path without its scheme. */
  private def shown(uri: String): String =
    if (uri.startsWith("file:")) new URI(uri).getPath else uri

  private def listed(spark: SparkSession, path: String, options: TextOptions): Seq[String] = {
    val files = spark.read.options(options.files).text(path).inputFiles.toSeq.map(shown).sorted
    for (file <- files; end <- Unknown if file.toLowerCase.endsWith(end))
      throw new StorageError(
        s"$file: is packed in a way that is not read; known: ${Packed.mkString(", ")}"
      )
    files
  }

  private def open(file: String, conf: Configuration): InputStream =
    try {
      val path = new Path(file)
      val stream = path.getFileSystem(conf).open(path)
      Option(new CompressionCodecFactory(conf).getCodec(path))
        .fold[InputStream](stream)(_.createInputStream(stream))
    } catch {
      case error: IOException =>
        throw new StorageError(s"cannot read $file: ${error.getMessage}", error)
    }

  private def header(
      path: String,
      files: Seq[String],
      options: TextOptions,
      conf: Configuration
  ): Seq[String] = {
    val form = CsvForm.of(options).copy(nulls = Nil)
    val found = files.flatMap { file =>
      Using.resource(open(file, conf)) { stream =>
        new CsvRecords(stream, form, file).nextOption().map { record =>
          if (!record.fits)
            throw new ContractViolation(s"$file: the first record is no header")
          file -> record.values.map(v => if (v == null) "" else new String(v, UTF_8))
        }
      }
    }
    val (first, names) = found.headOption.getOrElse(
      throw new ContractViolation(s"$path: the file is empty: not even a header line")
    )
    for ((file, other) <- found if options.header && other != names)
      throw new ContractViolation(
        s"$path: files with different headers: $first has ${quoted(names)}, $file has " +
          quoted(other)
      )
    named(names, options)
  }

  private def quoted(names: Seq[String]) = names.map(name => s"'$name'").mkString("[", ", ", "]")

  private def named(header: Seq[String], options: TextOptions): Seq[String] = {
    val lower = header.map(_.toLowerCase)
    header.zipWithIndex.map { case (name, i) =>
      if (!options.header || name.isEmpty || options.nulls.contains(name)) s"_c$i"
      else if (lower.count(_ == name.toLowerCase) > 1) s"$name$i"
      else name
    }
  }

  /** Whether a file begins like a list of objects, and so is no lines of JSON. */
  private def isList(file: String, conf: Configuration): Boolean =
    Using.resource(open(file, conf)) { stream =>
      val begin = new String(stream.readNBytes(1 << 16), UTF_8).stripPrefix("\ufeff").trim
      begin.startsWith("[") && begin.drop(1).trim.headOption.forall("{]".contains(_))
    }
}
