package tfspark.tfrecord

import java.io.IOException

/** Remove from a folder what does not count: what jobs moved or staged, files of earlier commits.
  */
private[tfrecord] object Tidy {
  private val ours = """(?:^|/)part-\d+-([0-9a-f]{12})-\d+\.tfrecord[^/]*$""".r.unanchored
  private val half =
    """(?:_manifest\.json|_schema\.json|_SUCCESS)\.[0-9a-f]{32}\.partial""".r

  def apply(folder: Store, jobs: Seq[Store]): Unit = {
    val manifest = Manifest.read(folder)
    val listed = manifest.fold(Set.empty[String])(_.files.keySet)
    val there = folder.files().map(_._1)
    val data = there.filter { name =>
      name.contains(".tfrecord") && !name.startsWith("_") && !listed(name)
    }
    val ids = jobs.map(_.shown.takeRight(12)).toSet
    val moved = data.filter {
      case ours(id) => ids(id)
      case _ => false
    }
    val success = there.contains(Folder.Success)
    // Once `_SUCCESS` is there, a file of an obsolete name is somebody's new one.
    val old = if (success) Nil else manifest.fold(Seq.empty[String])(_.obsolete)
    val left = moved.toSet ++ old.filter(there.toSet)
    (left ++ there.filter(half.matches)).foreach(name => (folder / name).delete())
    left.filter(_.contains('/')).map(parentOf).foreach(removeEmpty(folder, _))
    for (layout <- manifest.flatMap(_.layout))
      if (!Layout.readSidecar(folder).map(_.toJson).contains(layout.toJson))
        (folder / Layout.Sidecar).writeJson(layout.toJson)
    val now = manifest.filterNot(isFirst)
    // Of a first write that did not end: it says what the names and the schema's file say.
    if (now.isEmpty) (folder / Manifest.File).delete()
    for (job <- jobs)
      try job.delete()
      catch { case _: IOException => } // a twin that is being killed may still write there
    (folder / "_staging").deleteEmpty()
    if (now.exists(_.layout.isDefined) && !success && data.forall(left))
      (folder / Folder.Success).write(Array.emptyByteArray)
  }

  private def isFirst(manifest: Manifest): Boolean =
    manifest.files.values.forall(_.rows.isEmpty) &&
      (manifest.files.nonEmpty || manifest.layout.isEmpty)

  private def parentOf(name: String): String = name.take(name.lastIndexOf('/').max(0))

  private def removeEmpty(folder: Store, parent: String): Unit =
    if (parent.nonEmpty && (folder / parent).deleteEmpty()) removeEmpty(folder, parentOf(parent))
}
