package tfspark.job

import java.nio.file.{Files, Paths}
import java.time.LocalDate
import java.util.ConcurrentModificationException
import org.apache.hadoop.conf.Configuration
import org.apache.spark.sql.classic.SparkSession
import org.apache.spark.sql.types.StructType
import scala.util.Try
import scala.util.control.NonFatal
import tfspark.compat.{DayFile, DeltaFolder}
import tfspark.storage.{Note, Storage}
import tfspark.table.{Part, TableFiles}
import tfspark.{StorageError, TfsparkException}

/** Files that tasks wrote below a Delta table: one commit makes them a day of it, the rest goes:
  * `tfspark/scoring/table/commit.py`.
  *
  * The names of a run's files hold its token: whoever comes later, even after a kill, can tell from
  * the table's log which files count.
  */
private[tfspark] object Commit {
  val Claim = "scan.json"
  private val Token = "tfsparkFiles"
  private val Tries = 10

  /** Replace a day of a Delta table by files that lie in its folder; made when it is not there.
    *
    * @param schema
    *   of the table, with `day`
    * @param runId
    *   recorded in the commit, as Delta's `userMetadata`
    * @return
    *   the version of the table that the commit made
    * @throws StorageError
    *   the table has other columns now, or the commit failed; it is unchanged
    */
  def day(
      spark: SparkSession,
      target: String,
      schema: StructType,
      parts: Seq[Part],
      day: LocalDate,
      runId: String,
      token: String
  ): Long = {
    val said = s"$target: the day $day could not be written, the table is unchanged: "
    val table = new DeltaFolder(spark, Storage.pathOf(target))
    val files = for (part <- parts; name <- part.file) yield DayFile(name, part.bytes, part.stats)
    val commits = new DeltaCommits(target, spark.sparkContext.hadoopConfiguration)
    val since = commits.latest + 1
    // A try that failed may have committed all the same.
    def done = commits.find(since, s"the day $day")(_.path("tags").path(Token).asText == token)
    def check(there: StructType): Unit =
      if (Target.differs(there, schema))
        throw new StorageError(said + "it has other columns now")
    def tried(number: Int): Long =
      try {
        Thread.sleep(100L * number)
        table.replaceDay(day, files, schema, check, runId, Map(Token -> token))
      } catch {
        case error: TfsparkException => throw error
        case error: ConcurrentModificationException =>
          // Others added to the day meanwhile: the next try sees them.
          if (number + 1 < Tries) done.getOrElse(tried(number + 1))
          else
            throw new StorageError(
              said + s"gave up after $Tries tries: other writers keep committing to this table: " +
                SparkErrors.line(error),
              error
            )
        case NonFatal(error) =>
          done.getOrElse(throw StorageError.of(said + SparkErrors.line(error), error))
      }
    tried(0)
  }

  /** Remove the files of a run that its commit, if there is one, does not name.
    *
    * @param staging
    *   the run's folder
    */
  def sweep(spark: SparkSession, staging: String): Unit = {
    val conf = spark.sparkContext.hadoopConfiguration
    val here = new Storage(staging, conf)
    if (!here.exists(Claim)) return
    here.delete(TableFiles.Open) // late tasks remove their own files
    val path = s"${here.shown}/$Claim"
    val about = Note.checked(Note.parse(here.read(Claim), path), path)(
      "folder" -> Note.Text,
      "target" -> Note.Text,
      "token" -> Note.Text
    )
    def text(name: String) = about.path(name).asText
    val (target, token) = (text("target"), text("token"))
    val folder = new Storage(text("folder"), conf)
    val found = folder.names().filter(_.contains(token))
    if (found.nonEmpty) {
      val counting = committed(spark, target, token, conf)
      found.filterNot(counting).foreach(folder.delete)
    }
    if (!target.contains("://"))
      for (path <- Seq(text("folder"), target))
        Try(Files.delete(Paths.get(path))) // not empty, or never made
  }

  /** The names of a run's files that its commit named. */
  private def committed(
      spark: SparkSession,
      target: String,
      token: String,
      conf: Configuration
  ): Set[String] = {
    val log = new Storage(s"$target/_delta_log", conf)
    val commits = log.names().filter(_.matches("""\d{20}\.json""")).reverseIterator
    val name = s"""[^"/]*$token[^"/]*""".r
    val own = commits.map(commit => new String(log.read(commit), "UTF-8"))
      .find(_.contains(token))
      .fold(Set.empty[String])(name.findAllIn(_).toSet)
    if (own.nonEmpty || !log.exists()) own
    else
      // The day's files count even where the log no longer tells who wrote them.
      new DeltaFolder(spark, Storage.pathOf(target)).files
        .map(_.split("/").last).filter(_.contains(token)).toSet
  }
}
