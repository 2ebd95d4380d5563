package tfspark.tfrecord

import java.io.{FileNotFoundException, IOException}
import org.apache.hadoop.conf.Configuration
import org.slf4j.LoggerFactory
import scala.collection.immutable.ListMap
import scala.util.Random
import tfspark.storage.FileLock
import tfspark.{ConfigError, Conflict, IntegrityError, StorageError}

/** What a write does with what a folder holds. */
private[tfrecord] object Mode extends Enumeration {

  /** New: the folder must not hold data; Partitions: replace only those that get rows. */
  val New, Append, Overwrite, Partitions = Value
}

/** A staged file: where it lies, its name under the folder, what it holds. */
private[tfrecord] final case class StagedFile(
    staged: String,
    name: String,
    rows: Long,
    bytes: Long,
    partition: Map[String, Any]
)

/** One write to a folder: staged by tasks, then seen at once and whole, or not at all.
  *
  * The replacement of the manifest is the commit: readers see what it lists and nothing else. What
  * a killed job leaves (staged files, files that were moved and never listed, files that no longer
  * count) the next write to the folder removes.
  *
  * @param staging
  *   where its tasks write; `_staging/write-<job>` under the folder
  * @param made
  *   the folder was not there before
  */
private[tfrecord] final class Commit private (
    folder: Store,
    layout: Layout,
    partitionBy: Seq[ArrowField],
    mode: Mode.Value,
    staging: Store,
    made: Boolean,
    conf: Configuration
) {
  private var moved = false // the staged files have their names

  val plan: WritePlan = WritePlan(folder.shown, layout, partitionBy, staging.shown)

  /** Make the files the folder's.
    *
    * @throws IntegrityError
    *   a staged file is missing or of another size than its task said
    * @throws ConfigError
    *   the folder's schema was changed since the write began
    * @throws StorageError
    *   moving or writing failed. After each, `abort` leaves the folder as it was
    */
  def commit(files: Seq[StagedFile]): Unit = {
    checkStaged(files)
    Commit.locked(folder) {
      // Another's commit may come first: this one is added to it.
      if (!Iterator.range(0, Commit.Tries).exists(replace(files, _)))
        throw new Conflict(
          s"${folder.shown}: gave up after ${Commit.Tries} tries: others keep writing to it; try " +
            "again later"
        )
      try Tidy(folder, Seq(staging))
      catch {
        case error @ (_: IOException | _: StorageError) =>
          // The rows are there: to fail now would have them written twice.
          Commit.log.warn(
            s"${folder.shown}: committed; cleaning up failed ($error): the next write does it"
          )
      }
    }
  }

  /** One try to commit; whether it did. */
  private def replace(files: Seq[StagedFile], attempt: Int): Boolean = {
    if (attempt > 0) Thread.sleep(Random.nextLong(50L << attempt.min(5)))
    val found = Manifest.readVersion(folder).orElse {
      // From here on files lie in the folder that do not count yet.
      Folder.byNames(folder).write(folder, None)
      Manifest.readVersion(folder)
    }
    found.exists { case (old, version) =>
      Commit.check(folder.shown, old, layout, partitionBy, mode)
      val tidied = (folder / Folder.Success).exists
      val merged = mergedWith(old, files, if (tidied) Nil else old.obsolete)
      (folder / Folder.Success).delete()
      if (!moved) move(files)
      moved = true
      if (!old.layout.map(_.toJson).contains(layout.toJson)) (folder / Layout.Sidecar).delete()
      merged.write(folder, version)
    }
  }

  /** Leave the folder as it was. After a commit, nothing but staging is removed. */
  def abort(): Unit = {
    try Commit.locked(folder)(Tidy(folder, Seq(staging)))
    catch { case _: FileNotFoundException | _: java.nio.file.NoSuchFileException => }
    if (made) folder.deleteEmpty(): Unit
  }

  private def checkStaged(files: Seq[StagedFile]): Unit = for (file <- files) {
    val bytes = Store(file.staged, conf).status.filter(_.isFile).map(_.getLen)
    if (!bytes.contains(file.bytes))
      throw new IntegrityError(
        s"${file.staged} has ${bytes.getOrElse("no")} bytes, its task wrote ${file.bytes}: nothing " +
          "was committed; write again"
      )
  }

  private def move(files: Seq[StagedFile]): Unit = {
    val parents = files.map(_.name).filter(_.contains('/')).map(n => n.take(n.lastIndexOf('/')))
    parents.distinct.sorted.foreach(parent => (folder / parent).makeFolder())
    for (file <- files) (folder / file.name).take(Store(file.staged, conf))
  }

  private def mergedWith(old: Manifest, files: Seq[StagedFile], obsolete: Seq[String]): Manifest = {
    val kept = mode match {
      case Mode.New | Mode.Append => old.files
      case Mode.Overwrite => ListMap.empty[String, FileEntry]
      case _ =>
        val replaced = files.map(_.partition).toSet
        old.files.filterNot { case (_, entry) => replaced(entry.partition) }
    }
    val added = files.map { file =>
      val path = (folder / file.name).shown
      file.name -> FileEntry(path, Some(file.rows), file.bytes, file.partition)
    }
    val left = (obsolete.toSet ++ old.files.keySet -- kept.keySet).toSeq.sorted
    val all = ListMap.from((kept ++ added).toSeq.sortBy(_._1))
    Manifest(Some(layout), partitionBy, all, left)
  }
}

private[tfrecord] object Commit {
  private val Tries = 20 // where nothing is locked
  private val log = LoggerFactory.getLogger("tfspark.tfrecord")

  /** Begin a write: what killed jobs left is removed, the tasks get a staging folder.
    *
    * @throws ConfigError
    *   the folder holds data and the mode is New, or other columns than the write
    * @throws StorageError
    *   the folder cannot be made
    */
  def begin(
      path: String,
      layout: Layout,
      partitionBy: Seq[ArrowField],
      mode: Mode.Value,
      conf: Configuration
  ): Commit = {
    val folder = Store(path.replaceAll("(?<=.)/+$", ""), conf)
    val status = folder.status
    for (there <- status) {
      if (!there.isDirectory)
        throw new ConfigError(s"${folder.shown} is a file: name a folder to write to")
      check(folder.shown, Folder.current(folder), layout, partitionBy, mode)
    }
    folder.makeFolder()
    val staging =
      try
        locked(folder) {
          val dead = Staging.abandoned(folder)
          if (dead.nonEmpty) Tidy(folder, dead)
          Staging.make(folder)
        }
      catch {
        case error: IOException =>
          throw StorageError.of(
            s"cannot begin a write in ${folder.shown}: ${error.getMessage}",
            error
          )
      }
    new Commit(folder, layout, partitionBy, mode, staging, status.isEmpty, conf)
  }

  /** Whether a write of mode New would be refused. */
  def holdsData(path: String, conf: Configuration): Boolean = {
    val folder = Store(path, conf)
    folder.exists && {
      val there = Folder.current(folder)
      there.files.nonEmpty || there.layout.isDefined
    }
  }

  /** Refuse a write that does not fit what the folder holds.
    *
    * @throws ConfigError
    *   it holds data and the mode is New, or other columns than the write
    */
  private def check(
      path: String,
      old: Manifest,
      layout: Layout,
      partitionBy: Seq[ArrowField],
      mode: Mode.Value
  ): Unit = if (mode != Mode.Overwrite && (old.files.nonEmpty || old.layout.isDefined)) {
    if (mode == Mode.New)
      throw new ConfigError(s"$path holds data: use mode append or overwrite, or another folder")
    val held = old.layout.getOrElse {
      throw new ConfigError(
        s"$path: its files came without a schema, so rows cannot be added; overwrite it or write " +
          "to another folder"
      )
    }
    def typed(fields: Seq[ArrowField]) = fields.map(field => field.name -> field.typed).toMap
    val before = typed(held.fields ++ old.partitionBy)
    val after = typed(layout.fields ++ partitionBy)
    for (name <- (before.keySet ++ after.keySet).toSeq.sorted) {
      val was = before.getOrElse(name, "not there")
      val now = after.getOrElse(name, "not there")
      if (was != now)
        throw new ConfigError(
          s"$path: column $name is $was in the folder, $now in the rows to add; add rows of the " +
            "same columns and types, overwrite, or write to another folder"
        )
    }
    val (there, here) = (old.partitionBy.map(_.name), partitionBy.map(_.name))
    if (there != here)
      throw new ConfigError(
        s"$path is partitioned by ${Repr.list(there)}, the write by ${Repr.list(here)}: name the " +
          "same columns in partitionBy"
      )
    val kinds = layout.features.map(feature => feature.name -> feature.kind).toMap
    for (other <- held.features.find(one => !kinds.get(one.name).contains(one.kind)))
      throw new ConfigError(
        s"$path: column ${other.name} is stored as ${Kind.names(other.kind)} in the folder; narrow " +
          "it alike"
      )
  }

  /** One commit at a time. Object stores need no lock: what is written there names the version that
    * it replaces.
    */
  def locked[T](folder: Store)(run: => T): T = folder.local match {
    case Some(path) => FileLock.holdingFolder(path)(run)
    case None if folder.objects => run
    case None => NoteLock(folder)(run)
  }
}
