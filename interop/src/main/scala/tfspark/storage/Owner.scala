package tfspark.storage

import com.fasterxml.jackson.databind.JsonNode
import com.fasterxml.jackson.databind.node.{JsonNodeFactory, ObjectNode}
import java.io.IOException
import java.nio.file.{Files, Path, Paths}
import scala.util.Try
import tfspark.StorageError

/** Whose a staging folder is: the note in it, as `tfspark/storage/owner.py` writes and reads it, so
  * that either side clears up after the other.
  */
private[tfspark] object Owner {
  val File = "_owner.json"
  private val SilentSeconds = 6L * 3600
  private val WithoutNoteOfRenewal = 7L * 24 * 3600

  /** This process's note; it is not renewed. */
  def note(): ObjectNode = {
    val pid = ProcessHandle.current.pid
    val made = JsonNodeFactory.instance.objectNode().put("host", host).put("pid", pid)
    made.put("since", now)
    for ((name, value) <- machine) made.put(name, value)
    started(pid).foreach(made.put("started", _))
    made
  }

  /** Its process is gone from this machine. Of another machine, boot or namespace of process
    * numbers only time tells: hours since its note was renewed, a week if it never is.
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
    val here = ("host" -> host) +: machine
    if (here.forall { case (name, value) => note.path(name).asText(value) == value }) {
      val pid = note.path("pid").asLong
      val other = note.hasNonNull("started") && !started(pid).contains(note.path("started").asLong)
      !runs(pid) || other
    } else if (note.path("renewed").isNumber)
      now - note.path("renewed").asDouble > SilentSeconds
    else now - note.path("since").asDouble > WithoutNoteOfRenewal
  }

  /** Since when, in seconds. */
  def age(note: JsonNode): Double = now - note.path("since").asDouble

  private def now: Double = System.currentTimeMillis / 1000.0

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

  /** Killed, and its parent has not looked yet: that is gone too. */
  private def runs(pid: Long): Boolean = stat(pid).exists(found => !"ZX".contains(found.head))

  /** In ticks since the machine's start. */
  private def started(pid: Long): Option[Long] = stat(pid).map(_(19).toLong)

  /** What the kernel says of a process, from its state on. */
  private def stat(pid: Long): Option[Array[String]] =
    Try(Files.readString(Paths.get(s"/proc/$pid/stat"))).toOption
      .map(stat => stat.drop(stat.lastIndexOf(')') + 2).trim.split(' '))

  private lazy val machine: Seq[(String, String)] = Try(Seq(
    "boot" -> Files.readString(Paths.get("/proc/sys/kernel/random/boot_id")).trim,
    "namespace" -> Files.readSymbolicLink(Paths.get("/proc/self/ns/pid")).toString
  )).getOrElse(Nil)

  /** As Python's `socket.gethostname` has it. */
  private lazy val host: String =
    Try(Files.readString(Paths.get("/proc/sys/kernel/hostname")).trim)
      .getOrElse(java.net.InetAddress.getLocalHost.getHostName)
}
