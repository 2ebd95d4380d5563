package tfspark.tfrecord

import com.fasterxml.jackson.databind.{JsonNode, ObjectMapper, SerializationFeature}
import java.io.{FileNotFoundException, IOException, InputStream, OutputStream}
import java.net.{URI, URLDecoder}
import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.StandardCopyOption.{ATOMIC_MOVE, REPLACE_EXISTING}
import java.nio.file.{Files, Paths}
import java.util.UUID
import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.{FileContext, FileStatus, FileSystem, Options, Path}
import scala.util.Using
import scala.util.control.NonFatal
import tfspark.storage.{Note, Storage}
import tfspark.StorageError

/** A file or folder, local or of any file system that Hadoop opens.
  *
  * @param shown
  *   as messages and manifests name it: an absolute path, or a URI
  */
private[tfspark] final class Store private (val shown: String, path: Path, fs: FileSystem) {

  def /(name: String): Store = {
    val inner = name.split('/').filter(_.nonEmpty).foldLeft(path)(new Path(_, _))
    new Store(s"${shown.stripSuffix("/")}/$name", inner, fs)
  }

  /** None: it is not there. */
  def status: Option[FileStatus] =
    try Some(fs.getFileStatus(path))
    catch { case _: FileNotFoundException => None }

  def exists: Boolean = status.isDefined
  def isFolder: Boolean = status.exists(_.isDirectory)

  /** The local path; None on other file systems. */
  def local: Option[java.nio.file.Path] =
    if (fs.getUri.getScheme == "file") Some(Paths.get(path.toUri.getPath)) else None

  /** Names of what lies in the folder, sorted; none where there is no folder. */
  def names(): Seq[String] = listed(path).map(_.getPath.getName).sorted

  /** (path relative to the folder, bytes) of every file below it, sorted. */
  def files(): Seq[(String, Long)] = {
    def walk(folder: Path, prefix: String): Seq[(String, Long)] = listed(folder).flatMap { found =>
      val name = prefix + found.getPath.getName
      if (found.isDirectory) walk(found.getPath, s"$name/") else Seq(name -> found.getLen)
    }
    walk(path, "").sortBy(_._1)
  }

  private def listed(folder: Path): Seq[FileStatus] =
    try fs.listStatus(folder).toSeq
    catch { case _: FileNotFoundException => Nil }

  def open(): InputStream = safe("cannot read")(fs.open(path))

  def create(): OutputStream = safe("cannot write")(fs.create(path, true))

  def readJson(): JsonNode = {
    val bytes = safe("cannot read")(Using.resource(fs.open(path))(_.readAllBytes()))
    Note.parse(bytes, shown)
  }

  /** None: there is none, even if it goes while it is looked for. */
  def findJson(): Option[JsonNode] =
    try Some(readJson())
    catch { case _: StorageError if !exists => None }

  def writeJson(value: JsonNode): Unit = {
    val plain = Store.json.treeToValue(value, classOf[Object])
    val text = Store.json.writerWithDefaultPrettyPrinter().writeValueAsBytes(plain)
    write(text :+ '\n'.toByte)
  }

  /** Write a whole file or nothing: a reader never sees a part of it. */
  def write(content: Array[Byte]): Unit = safe("cannot write") {
    val id = UUID.randomUUID().toString.replace("-", "")
    val partial = new Path(path.getParent, s"${path.getName}.$id.partial")
    fs.mkdirs(path.getParent)
    Using.resource(fs.create(partial, true))(_.write(content))
    rename(partial)
  }

  /** Give a file this name, at once where the file system can. */
  def take(source: Store): Unit =
    safe(s"cannot rename ${source.shown} to", "")(rename(source.inner))

  private def inner: Path = path

  private def rename(from: Path): Unit = local match {
    case Some(to) =>
      Files.move(Paths.get(from.toUri.getPath), to, ATOMIC_MOVE, REPLACE_EXISTING): Unit
    case None =>
      FileContext.getFileContext(fs.getUri, fs.getConf).rename(from, path, Options.Rename.OVERWRITE)
  }

  /** Remove a file, or a folder with all that is in it. */
  def delete(): Unit = fs.delete(path, true): Unit

  /** Remove a folder that holds nothing; whether it did. */
  def deleteEmpty(): Boolean =
    try isFolder && names().isEmpty && fs.delete(path, false)
    catch { case _: IOException => false } // somebody has put something there

  def makeFolder(): Unit = safe("cannot make the folder") {
    if (!fs.mkdirs(path)) throw new IOException("the file system refuses it")
  }

  /** Make a folder in one that is there. */
  def makeInner(): Unit = {
    def failed(why: String, cause: Throwable) =
      throw new StorageError(s"cannot make $shown: $why", cause)
    // Not with its parents: when the job has ended, an attempt that still runs must not go on.
    if (!fs.exists(path.getParent)) failed("its folder is gone", null)
    try fs.mkdirs(path): Unit
    catch { case error: IOException => failed(error.getMessage, error) }
  }

  private def safe[T](what: String, more: String = "")(run: => T): T =
    try run
    catch {
      case error: IOException =>
        throw new StorageError(s"$what $shown$more: ${Store.why(error)}", error)
    }
}

private[tfspark] object Store {
  private val json = new ObjectMapper().enable(SerializationFeature.ORDER_MAP_ENTRIES_BY_KEYS)

  /** @throws StorageError the URI's scheme is unknown or its library is missing */
  def apply(named: String, conf: Configuration): Store = {
    val uri = named.contains("://") && !named.startsWith("file:")
    val shown =
      if (uri) named
      else Paths.get(plain(named)).toAbsolutePath.toString
    try {
      val path = if (uri) new Path(named) else new Path(new URI("file", null, shown, null))
      new Store(shown, path, Storage.fileSystem(path, conf))
    } catch {
      case NonFatal(error) =>
        throw new StorageError(s"cannot open the file system of $named: ${error.getMessage}", error)
    }
  }

  private def plain(named: String): String =
    if (!named.startsWith("file:")) named
    else {
      val path = named.stripPrefix("file:").replaceFirst("^//[^/]*", "")
      URLDecoder.decode(path.replace("+", "%2B"), UTF_8)
    }

  /** What an error of a file system says, without a Java class's name where it can be. */
  private def why(error: IOException): String = error match {
    case missing: FileNotFoundException => missing.getMessage
    case other => Option(other.getMessage).getOrElse(other.toString)
  }
}
