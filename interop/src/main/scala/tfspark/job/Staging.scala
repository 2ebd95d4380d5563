package tfspark.job

import com.fasterxml.jackson.databind.ObjectMapper
import java.util.UUID
import org.apache.hadoop.conf.Configuration
import org.apache.spark.sql.SparkSession
import scala.util.{Failure, Success, Try}
import tfspark.storage.{Note, Owner, Storage}

/** The folder of a run beside its target, `_staging/score-TARGET-ID`: the same names and the same
  * owner's note as in `tfspark/storage/staging.py`, so that either side clears up after the other.
  */
private[tfspark] object Staging {
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
    Owner.alone(root.local) {
      for (name <- root.names() if name.startsWith(s"$label-") && abandoned(root, name))
        end(s"${root.shown}/$name", conf)(sweep)
      val id = UUID.randomUUID().toString.replace("-", "").take(12)
      val folder = s"${root.shown}/$label-$id"
      new Storage(folder, conf).write(Owner.File, json.writeValueAsBytes(Owner.note()))
      folder
    }
  }

  /** Remove a run's folder. Where `sweep` fails, the folder stays, for the next run to do it. */
  def end(folder: String, conf: Configuration)(sweep: String => Unit): Unit =
    Try {
      sweep(folder)
      new Storage(folder, conf).delete("")
    }: Unit

  private def abandoned(root: Storage, name: String): Boolean =
    Try(root.read(s"$name/${Owner.File}")) match {
      case Success(content) =>
        val path = s"${root.shown}/$name/${Owner.File}"
        Owner.gone(Note.parse(content, path), path)
      // None is there, or its run has ended just now.
      case Failure(_) if !root.exists(s"$name/${Owner.File}") => true
      case Failure(error) => throw error
    }

  private def storage(spark: SparkSession, path: String) =
    new Storage(path, spark.sparkContext.hadoopConfiguration)
}
