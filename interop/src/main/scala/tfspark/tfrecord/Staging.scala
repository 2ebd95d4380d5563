package tfspark.tfrecord

import java.util.UUID
import tfspark.storage.Owner

/** Folders `<parent>/_staging/write-<id>` of running jobs, and those that killed jobs left.
  *
  * A leftover is removed when its process is gone from this machine, or, if another machine made
  * it, after a week: a job that still runs never loses its folder.
  */
private[tfrecord] object Staging {
  private val Label = "write-"

  /** A fresh folder, this process's. */
  def make(parent: Store): Store = {
    val root = parent / "_staging"
    root.makeFolder()
    Owner.alone(root.local) {
      val id = UUID.randomUUID().toString.replace("-", "").take(12)
      val folder = root / s"$Label$id"
      folder.makeFolder()
      (folder / Owner.File).writeJson(Owner.note())
      folder
    }
  }

  /** The folders that killed jobs left. */
  def abandoned(parent: Store): Seq[Store] = {
    val root = parent / "_staging"
    root.names().filter(_.startsWith(Label)).map(root / _).filter(isAbandoned)
  }

  private def isAbandoned(folder: Store)
      : Boolean = {
    val note = folder / Owner.File
    note.findJson().forall(Owner.gone(_, note.shown))
  }
}
