package tfspark.tfrecord

import com.fasterxml.jackson.databind.node.JsonNodeFactory
import java.nio.file.{Files => LocalFiles, Paths}
import java.util.UUID
import scala.util.Try

/** Folders `<parent>/_staging/write-<id>` of running jobs, and those that killed jobs left.
  *
  * A leftover is removed when its process is gone from this machine, or, if another machine made
  * it, after a week: a job that still runs never loses its folder.
  */
private[tfrecord] object Staging {
  private val Owner = "_owner.json"
  private val Label = "write-"
  private val ForeignSeconds = 7L * 24 * 3600

  /** A fresh folder, this process's. */
  def make(parent: Store): Store = {
    val id = UUID.randomUUID().toString.replace("-", "").take(12)
    val folder = parent / s"_staging/$Label$id"
    folder.makeFolder()
    val owner = JsonNodeFactory.instance
      .objectNode()
      .put("host", host)
      .put("pid", ProcessHandle.current.pid)
      .put("since", System.currentTimeMillis / 1000.0)
    (folder / Owner).writeJson(owner)
    folder
  }

  /** The folders that killed jobs left. */
  def abandoned(parent: Store): Seq[Store] = {
    val root = parent / "_staging"
    root.names().filter(_.startsWith(Label)).map(root / _).filter(isAbandoned)
  }

  private def isAbandoned(folder: Store): Boolean = {
    val file = folder / Owner
    !file.exists || {
      val owner = file.readJson()
      if (owner.path("host").asText == host) !runs(owner.path("pid").asLong)
      else System.currentTimeMillis / 1000.0 - owner.path("since").asDouble > ForeignSeconds
    }
  }

  private def runs(pid: Long): Boolean =
    Try(LocalFiles.readString(Paths.get(s"/proc/$pid/stat"))).toOption.exists { stat =>
      // Killed, and its parent has not looked yet.
      !"ZX".contains(stat(stat.lastIndexOf(')') + 2))
    }

  /** As Python's `socket.gethostname` has it. */
  private lazy val host: String =
    Try(LocalFiles.readString(Paths.get("/proc/sys/kernel/hostname")).trim)
      .getOrElse(java.net.InetAddress.getLocalHost.getHostName)
}
