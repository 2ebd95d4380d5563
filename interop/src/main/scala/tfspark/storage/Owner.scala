package tfspark.storage

import com.fasterxml.jackson.databind.JsonNode
import com.fasterxml.jackson.databind.node.{JsonNodeFactory, ObjectNode}
import java.io.IOException
import java.nio.file.{Files, Path, Paths}
import scala.util.Try
import tfspark.StorageError

/** Whose a staging folder is: the note in it, as `tfspark/storage/staging.py` writes and reads it,
  * so that either side clears up after the other.
  */
private[tfspark] object Owner {
  val File = "_owner.json"
  private val ForeignSeconds = 7L * 24 * 3600

  /** This process's note. */
  def note(): ObjectNode = JsonNodeFactory.instance
    .objectNode()
    .put("host", host)
    .put("pid", ProcessHandle.current.pid)
    .put("since", System.currentTimeMillis / 1000.0)

  /** Its process is gone from this machine or, if another machine made it, a week is over.
    *
    * @param path
    *   of the note, for the message
    * @throws IntegrityError
    *   it is no such note
    */
  def gone(found: JsonNode, path: String): Boolean = {
    val note = Note.checked(found, path)(
      "host" -> Note.Text,
      "pid" -> Note.Whole,
      "since" -> Note.Number
    )
    if (note.path("host").asText == host) !runs(note.path("pid").asLong)
    else System.currentTimeMillis / 1000.0 - note.path("since").asDouble > ForeignSeconds
  }

  /** Run alone among those that begin or clear up in a folder `_staging`: a folder that has no note
    * yet looks abandoned. Only local folders can be locked.
    */
  def alone[T](staging: Option[Path])(run: => T): T = staging match {
    case Some(folder) =>
      try Files.createDirectories(folder)
      catch {
        case error: IOException =>
          throw new StorageError(s"cannot make the folder $folder: ${error.getMessage}", error)
      }
      FileLock.holdingFolder(folder, must = false)(run)
    case None => run
  }

  private def runs(pid: Long): Boolean =
    Try(Files.readString(Paths.get(s"/proc/$pid/stat"))).toOption.exists { stat =>
      // Killed, and its parent has not looked yet: that is gone too.
      !"ZX".contains(stat(stat.lastIndexOf(')') + 2))
    }

  /** As Python's `socket.gethostname` has it. */
  private lazy val host: String =
    Try(Files.readString(Paths.get("/proc/sys/kernel/hostname")).trim)
      .getOrElse(java.net.InetAddress.getLocalHost.getHostName)
}
