package tfspark.job

import com.fasterxml.jackson.databind.ObjectMapper
import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.{Files, Paths}
import java.util.UUID
import org.apache.hadoop.conf.Configuration
import org.apache.spark.sql.SparkSession
import scala.util.Try
import tfspark.storage.Storage

/** The folder of a run beside its target, `_staging/score-TARGET-ID`: the same names and the same
  * owner's note as in `tfspark/storage/files.py`, so that either side clears up after the other.
  */
private[tfspark] object Staging {
  private val Owner = "_owner.json"
  private val ForeignSeconds = 7 * 24 * 3600
  private val json = new ObjectMapper()

  /** Where a target's staging folders lie, and how the names of its own begin. */
  def place(spark: SparkSession, target: String): (String, String) =
    if (Tables.isPath(spark, target)) {
      val (parent, name) = Storage.split(storage(spark, target).shown)
      (parent, s"score-$name")
    } else (spark.conf.get("spark.sql.warehouse.dir"), s"score-$target")

  /** A fresh folder; what killed runs left is removed, `sweep` first. */
  def make(parent: String, label: String, conf: Configuration)(sweep: String => Unit): String = {
    val root = new Storage(s"${parent.replaceAll("/+$", "")}/_staging", conf)
    for (name <- root.names() if name.startsWith(s"$label-") && abandoned(root, name))
      end(s"${root.shown}/$name", conf)(sweep)
    val id = UUID.randomUUID().toString.replace("-", "").take(12)
    val folder = s"${root.shown}/$label-$id"
    val owner = json.createObjectNode()
    owner.put("host", host).put("pid", ProcessHandle.current().pid())
    owner.put("since", System.currentTimeMillis() / 1000.0)
    new Storage(folder, conf).write(Owner, json.writeValueAsString(owner).getBytes(UTF_8))
    folder
  }

  /** Remove a run's folder. Where `sweep` fails, the folder stays, for the next run to do it. */
  def end(folder: String, conf: Configuration)(sweep: String => Unit): Unit =
    Try {
      sweep(folder)
      new Storage(folder, conf).delete("")
    }: Unit

  /** Its process is gone from this machine or, if another machine made it, a week is over. */
  private def abandoned(root: Storage, name: String): Boolean =
    if (!root.exists(s"$name/$Owner")) true
    else {
      val owner = json.readTree(root.read(s"$name/$Owner"))
      if (owner.path("host").asText == host) !runs(owner.path("pid").asLong)
      else System.currentTimeMillis() / 1000.0 - owner.path("since").asDouble > ForeignSeconds
    }

  /** Killed, and its parent has not looked yet: that is gone too. */
  private def runs(pid: Long): Boolean =
    Try(Files.readString(Paths.get(s"/proc/$pid/stat"))).toOption.exists { stat =>
      !"ZX".contains(stat(stat.lastIndexOf(')') + 2))
    }

  private def host: String = Files.readString(Paths.get("/proc/sys/kernel/hostname")).trim

  private def storage(spark: SparkSession, path: String) =
    new Storage(path, spark.sparkContext.hadoopConfiguration)
}
