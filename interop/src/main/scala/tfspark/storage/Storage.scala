package tfspark.storage

import java.io.{FileNotFoundException, IOException, InputStream}
import java.net.URI
import java.nio.file.Files
import java.security.MessageDigest
import java.util.UUID
import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.{FileSystem, LocalFileSystem, Path}
import scala.jdk.CollectionConverters._
import scala.util.Using
import tfspark.StorageError

/** The files of one folder, local or of any file system that Hadoop opens.
  *
  * @param shown
  *   the folder as messages name it: an absolute path, or a URI
  */
private[tfspark] final class Storage(named: String, conf: Configuration) {

  private val path = Storage.pathOf(named)
  private val fs: FileSystem = path.getFileSystem(conf)

  val shown: String =
    if (named.contains("://")) named.stripSuffix("/") else Storage.absolute(named)

  /** The local path; None on other file systems. */
  def local: Option[java.nio.file.Path] =
    if (fs.getUri.getScheme == "file") Some(java.nio.file.Paths.get(path.toUri.getPath)) else None

  def exists(name: String = ""): Boolean = fs.exists(at(name))

  def isFolder: Boolean = fs.getFileStatus(path).isDirectory

  /** Names of what lies in the folder, sorted. */
  def names(): Seq[String] =
    try fs.listStatus(path).map(_.getPath.getName).sorted.toSeq
    catch { case _: FileNotFoundException => Nil }

  /** Every file below the folder: path in it → bytes. */
  def files(): Map[String, Long] = {
    val found = Map.newBuilder[String, Long]
    def walk(folder: Path, prefix: String): Unit = fs.listStatus(folder).foreach { status =>
      val name = prefix + status.getPath.getName
      if (status.isDirectory) walk(status.getPath, s"$name/") else found += name -> status.getLen
    }
    walk(path, "")
    found.result()
  }

  /** The links below the folder on this machine, sorted; other file systems have none. */
  def links(): Seq[String] = local.toSeq.flatMap { root =>
    Using.resource(Files.walk(root)) { paths =>
      // The folder may be a link itself.
      paths.iterator.asScala.filter(path => path != root && Files.isSymbolicLink(path))
        .map(path => root.relativize(path).toString).toVector
    }
  }.sorted

  def read(name: String): Array[Byte] = reading(name)(_.readAllBytes())

  def sha256(name: String): String = reading(name) { stream =>
    val digest = MessageDigest.getInstance("SHA-256")
    val buffer = new Array[Byte](1 << 20)
    Iterator.continually(stream.read(buffer)).takeWhile(_ >= 0).foreach(digest.update(buffer, 0, _))
    Hex(digest)
  }

  def reading[T](name: String)(use: InputStream => T): T =
    try Using.resource(open(name))(use)
    catch {
      case error: IOException =>
        throw StorageError.of(s"$shown/$name: cannot be read: ${error.getMessage}", error)
    }

  /** Write a whole file or nothing: a reader never sees a part of it. */
  def write(name: String, content: Array[Byte]): Unit = {
    val partial = at(s".$name.${UUID.randomUUID()}.partial")
    try
      if (Storage.isObjects(fs)) Using.resource(fs.create(at(name), true))(_.write(content))
      else {
        fs.mkdirs(path)
        Using.resource(fs.create(partial))(_.write(content))
        if (!fs.rename(partial, at(name))) throw new IOException("it cannot be renamed")
      }
    catch {
      case error: IOException =>
        throw StorageError.of(s"cannot write $shown/$name: ${error.getMessage}", error)
    }
  }

  def isDirectory(name: String): Boolean =
    try fs.getFileStatus(at(name)).isDirectory
    catch { case _: FileNotFoundException => false }

  /** Remove a file, or a folder and all below it; "" is this folder itself. */
  def delete(name: String): Unit = fs.delete(at(name), true): Unit

  private def open(name: String): InputStream = fs.open(at(name))

  private def at(name: String): Path = if (name.isEmpty) path else new Path(path, name)
}

private[tfspark] object Storage {

  /** Where there are no folders, and names are given by copying. */
  private val Objects = Set("s3", "s3a", "s3n", "gs", "abfs", "abfss")

  def isObjects(fs: FileSystem): Boolean = Objects(fs.getUri.getScheme)

  /** `s3`, `s3a` and `s3n` are one thing, which Hadoop calls s3a. */
  def uri(named: String): Path = new Path(named.replaceFirst("(?i)^s3[an]?://", "s3a://"))

  /** A path without a scheme is one of this machine. */
  def pathOf(named: String): Path =
    if (named.contains("://")) uri(named)
    else new Path(new URI("file", null, absolute(named), null))

  /** The file system of a path; of this machine without the files of sums that Hadoop puts beside
    * others: they would be stale when others replace a file.
    */
  def fileSystem(path: Path, conf: Configuration): FileSystem = path.getFileSystem(conf) match {
    case local: LocalFileSystem => local.getRawFileSystem
    case other => other
  }

  /** A path as messages name it. */
  def shown(path: Path): String =
    if (path.toUri.getScheme == "file") path.toUri.getPath else path.toString

  /** The folder of a file, and its name. */
  def split(path: String): (String, String) = path.lastIndexOf('/') match {
    case -1 => (".", path)
    case 0 => ("/", path.drop(1))
    case at => (path.take(at), path.drop(at + 1))
  }

  private def absolute(name: String): String =
    java.nio.file.Paths.get(name.stripPrefix("file:")).toAbsolutePath.normalize.toString
}

private[tfspark] object Hex {
  def sha256(content: Array[Byte]): String = {
    val digest = MessageDigest.getInstance("SHA-256")
    digest.update(content)
    Hex(digest)
  }

  def apply(digest: MessageDigest): String = digest.digest().map(b => f"$b%02x").mkString
}
