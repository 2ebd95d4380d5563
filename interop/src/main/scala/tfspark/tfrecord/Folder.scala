package tfspark.tfrecord

import java.nio.file.{FileSystems, Paths}
import java.util.Locale.ROOT
import org.apache.hadoop.conf.Configuration
import scala.annotation.tailrec
import scala.collection.immutable.ListMap
import scala.util.Try
import tfspark.shared.Shared
import tfspark.{ConfigError, IntegrityError, SourceMissing}

/** What is to be read under a path: what belongs to it, by its manifest or else by its names.
  *
  * {{{
  * FOLDER/_manifest.json     the files that count, their rows and bytes, the schema: one commit
  * FOLDER/_schema.json       the same schema, for readers of single files
  * FOLDER/_SUCCESS           there while the data files are exactly those of the manifest
  * FOLDER/_staging/          what running jobs have not committed yet
  * FOLDER/[day=2026-01-01/]part-00000-<job>-000.tfrecord
  * }}}
  */
private[tfspark] final case class Folder(
    path: String,
    layout: Option[Layout],
    files: Seq[FileEntry],
    partitionBy: Seq[ArrowField] = Nil
)

private[tfspark] object Folder {
  val Success = "_SUCCESS"
  private val Beside = Shared.texts("beside tfrecord")

  /** The files of one or several paths, of the same columns. */
  def of(options: Options, conf: Configuration): Folder = {
    val folders = options.paths.map(list(_, conf, check = !options.skips))
    val first = folders.head
    for (other <- folders.tail)
      if (
        other.layout.map(_.fields) != first.layout.map(_.fields) ||
        other.partitionBy != first.partitionBy
      )
        throw new ConfigError(
          s"${other.path} has other columns than ${first.path}: read them one by one"
        )
    first.copy(files = folders.flatMap(_.files))
  }

  /** The files that count: those of the manifest; without one, those that the names tell.
    *
    * Without a manifest these are all files with `.tfrecord` in their names, or, if there is none,
    * all whose names do not begin with `_` or `.` and do not end as those of texts, tables and sums
    * do, unless all do; folders `name=value` are partition columns. A single file is a folder of
    * one, and a pattern (`*`, `?`, `[`) one of the files that match.
    *
    * @param check
    *   compare the sizes of the files with the manifest's
    * @throws SourceMissing
    *   there is nothing, or no write to it has finished
    * @throws IntegrityError
    *   the manifest is not one of ours, or a file that it lists is missing or of another size
    */
  def list(named: String, conf: Configuration, check: Boolean = true): Folder = {
    val store = Store(named, conf)
    val path = store.shown
    store.status match {
      case None if path.exists("*?[".contains(_)) => matching(path, conf)
      case None => throw new SourceMissing(s"$path is not there")
      case Some(status) if !status.isDirectory => single(path, status.getLen, conf)
      case _ =>
        look(store) match {
          case (found, false) =>
            if (found.files.isEmpty && found.layout.isEmpty)
              throw new SourceMissing(s"$path holds no TFRecord file: no write to it has finished")
            Folder(path, found.layout, found.files.values.toSeq, found.partitionBy)
          case (manifest, true) => listed(store, manifest, conf, check)
        }
    }
  }

  private def listed(store: Store, manifest: Manifest, conf: Configuration, check: Boolean)
      : Folder = {
    val path = store.shown
    if (manifest.files.isEmpty && manifest.layout.isEmpty)
      throw new SourceMissing(s"$path holds nothing yet: no write to it has finished")
    val sizes = store.files().toMap
    val gone = manifest.files.collectFirst { case (name, entry) if !sizes.contains(name) => entry }
    if (gone.isDefined) {
      if (Manifest.read(store).contains(manifest))
        throw new IntegrityError(
          s"${gone.get.path} is missing, ${Manifest.File} lists it: bring the file back, or write the " +
            "folder again"
        )
      return list(path, conf, check) // overwritten meanwhile
    }
    if (check) for ((name, entry) <- manifest.files if sizes(name) != entry.bytes)
      throw new IntegrityError(
        s"${entry.path} has ${sizes(name)} bytes, ${Manifest.File} says ${entry.bytes}: it was " +
          "damaged or cut off; bring the file back, or write the folder again"
      )
    Folder(path, manifest.layout, manifest.files.values.toSeq, manifest.partitionBy)
  }

  /** What a folder without a manifest holds, told by names and the sidecar; rows are unknown. */
  def byNames(folder: Store): Manifest = {
    val found = folder.files().filterNot { case (name, _) =>
      name.split('/').exists(part => part.startsWith("_") || part.startsWith("."))
    }
    val named = found.filter { case (name, _) => name.split('/').last.contains(".tfrecord") }
    val others = found.filterNot { case (name, _) =>
      Beside.exists(name.toLowerCase(ROOT).endsWith)
    }
    val records = Seq(named, others, found).find(_.nonEmpty).getOrElse(Nil)
    val texts = records.map { case (name, _) => Partition.parse(name) }
    val columns = texts.headOption.fold(Seq.empty[String])(_.keys.toSeq)
    if (texts.exists(_.keys.toSeq != columns))
      throw new ConfigError(
        s"${folder.shown}: its files lie in folders of different partition columns; read them one " +
          "by one"
      )
    val partitionBy =
      columns.map(name => ArrowField(name, Partition.kindOf(texts.map(_(name))), nullable = true))
    val files = records.zip(texts).map { case ((name, size), text) =>
      val values = partitionBy.map { column =>
        column.name -> Partition.value(text(column.name), column.kind)
      }
      name -> FileEntry((folder / name).shown, None, size, values.toMap)
    }
    Manifest(Layout.readSidecar(folder), partitionBy, ListMap.from(files))
  }

  /** What counts in a folder that rows are written to. */
  def current(folder: Store): Manifest = look(folder)._1

  /** What a folder holds, and whether its manifest says so; without one its names do. */
  @tailrec
  private def look(folder: Store): (Manifest, Boolean) = Manifest.read(folder) match {
    case Some(manifest) => (manifest, true)
    case None =>
      val told = Try(byNames(folder))
      // With a manifest a first write has begun meanwhile: some of the names may not count yet.
      if ((folder / Manifest.File).exists) look(folder) else (told.get, false)
  }

  private def single(path: String, size: Long, conf: Configuration): Folder = {
    val at = path.lastIndexOf('/')
    val (folder, name) = (Store(path.take(at).mkString, conf), path.drop(at + 1))
    Manifest.read(folder).filter(_.files.contains(name)) match {
      case Some(manifest) =>
        Folder(path, manifest.layout, Seq(manifest.files(name).copy(partition = Map.empty)))
      case None => Folder(path, Layout.readSidecar(folder), Seq(FileEntry(path, None, size)))
    }
  }

  private def matching(pattern: String, conf: Configuration): Folder = {
    val before = pattern.take(pattern.indexWhere("*?[".contains(_)))
    val root = Store(
      before.take(before.lastIndexOf('/').max(0)) match {
        case "" => "/"
        case folder => folder
      },
      conf
    )
    // By levels: a `*` is part of one name.
    val glob = "glob:" + pattern.replace("{", "\\{").replace("}", "\\}")
    val matcher = FileSystems.getDefault.getPathMatcher(glob)
    val files = root.files().map { case (name, size) =>
      FileEntry((root / name).shown, None, size)
    }.filter(entry => matcher.matches(Paths.get(entry.path)))
    if (files.isEmpty) throw new SourceMissing(s"$pattern: no file matches")
    val folders = files.map(entry => entry.path.take(entry.path.lastIndexOf('/'))).distinct
    val layout = if (folders.size == 1) Layout.readSidecar(Store(folders.head, conf)) else None
    Folder(pattern, layout, files)
  }
}
