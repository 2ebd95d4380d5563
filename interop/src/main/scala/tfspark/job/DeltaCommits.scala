package tfspark.job

import com.fasterxml.jackson.databind.JsonNode
import org.apache.hadoop.conf.Configuration
import scala.util.control.NonFatal
import tfspark.StorageError
import tfspark.storage.{Note, Storage}

/** The log of a Delta table, commit by commit: what of it can be read where its history cannot:
  * `tfspark/deltalog.py`.
  */
private[tfspark] final class DeltaCommits(table: String, conf: Configuration) {
  private val log = new Storage(s"${table.replaceAll("/+$", "")}/_delta_log", conf)

  /** The newest version; -1 where there is none. */
  def latest: Long = log.names().collect {
    case DeltaCommits.Entry(version) => version.toLong
  }.maxOption.getOrElse(-1L)

  /** The newest version, from `since` on, whose commit says of itself that it is the one.
    *
    * @param is
    *   is given a commit's `commitInfo`
    * @param doing
    *   for the message
    * @throws StorageError
    *   it cannot be told
    */
  def find(since: Long, doing: String)(is: JsonNode => Boolean): Option[Long] =
    try
      log.names().reverseIterator.collectFirst {
        case name @ DeltaCommits.Commit(version)
            if version.toLong >= since && is(about(name)) => version.toLong
      }
    catch {
      case NonFatal(error) =>
        throw new StorageError(
          s"$table: whether $doing is written cannot be told: its log cannot be read: " +
            s"${error.getMessage}; look before it is run again",
          error
        )
    }

  private def about(name: String): JsonNode = {
    val lines = new String(log.read(name), "UTF-8").linesIterator
    val line = lines.find(_.contains("\"commitInfo\"")).getOrElse("{}")
    Note.parse(line.getBytes("UTF-8"), s"${log.shown}/$name").path("commitInfo")
  }
}

private[tfspark] object DeltaCommits {
  private val Commit = """(\d{20})\.json""".r
  private val Entry = """(\d{20})\.(?:json|checkpoint.*)""".r
}
