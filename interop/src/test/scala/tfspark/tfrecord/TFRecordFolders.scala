package tfspark.tfrecord

import java.nio.file.{Files => LocalFiles, Paths}
import org.apache.spark.sql.{DataFrame, Row}
import scala.jdk.CollectionConverters._
import tfspark.{Local, TfsparkException}

/** What the tests of folders share. */
trait TFRecordFolders extends Local {
  protected val format = "tfspark_tfrecord_jvm"

  protected def fresh(): String = Local.temporary("tfrecord").resolve("out").toString

  protected def read(path: String, options: (String, String)*): DataFrame =
    spark.read.format(format).options(options.toMap).load(path)

  protected def save(df: DataFrame, path: String, mode: String, by: Seq[String] = Nil)(
      options: (String, String)*
  ): Unit =
    df.write.format(format).mode(mode).partitionBy(by: _*).options(options.toMap).save(path)

  /** id, `k` = id % 3, `d`: one of two days, `t`: the id as text. */
  protected def numbers(count: Long, start: Long = 0, tasks: Int = 2): DataFrame = spark
    .range(start, start + count, 1, tasks)
    .selectExpr(
      "id",
      "CAST(id % 3 AS int) AS k",
      "date_add(DATE'2026-01-01', CAST(id % 2 AS int)) AS d",
      "'v' || id AS t"
    )

  protected def rows(df: DataFrame): Seq[Row] = df.orderBy(df.columns.head).collect().toSeq

  protected def names(path: String): Set[String] = LocalFiles
    .walk(Paths.get(path))
    .iterator
    .asScala
    .filter(LocalFiles.isRegularFile(_))
    .map(Paths.get(path).relativize(_).toString)
    .toSet

  protected def refused[T <: TfsparkException](word: String)(run: => Any)(implicit
      kind: reflect.ClassTag[T]
  ): Unit = {
    val error = intercept[Exception](run)
    val found = Iterator
      .iterate[Throwable](error)(_.getCause)
      .takeWhile(_ != null)
      .collectFirst { case ours: TfsparkException => ours }
      .getOrElse(fail(s"another error: $error", error))
    assert(kind.runtimeClass.isInstance(found), found)
    assert(found.getMessage.matches(s"(?s).*$word.*"), found.getMessage)
  }
}
