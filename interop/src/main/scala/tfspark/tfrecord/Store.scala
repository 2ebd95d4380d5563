package tfspark.tfrecord

import com.fasterxml.jackson.databind.{JsonNode, ObjectMapper, SerializationFeature}
import java.io.{FileNotFoundException, IOException, InputStream, OutputStream}
import java.net.{URI, URLDecoder}
import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.StandardCopyOption.{ATOMIC_MOVE, REPLACE_EXISTING}
import java.nio.file.{Files, Paths}
import java.util
import java.util.UUID
import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.{
  EtagSource,
  FileAlreadyExistsException,
  FileContext,
  FileStatus,
  FileSystem,
  Options,
  Path
}
import scala.language.existentials
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

  /** With what `writeOver` knows it by. */
  def findVersion(): Option[(JsonNode, Option[String])] = {
    // First: of a file that is replaced meanwhile it is an old one, which `writeOver` refuses.
    val tag = if (objects) status.collect { case known: EtagSource => known.getEtag } else None
    findJson().map(_ -> tag)
  }

  def writeJson(value: JsonNode): Unit = write(Store.bytes(value))

  /** Write a whole file or nothing: a reader never sees a part of it. */
  def write(content: Array[Byte]): Unit = safe("cannot write") {
    // There a file is seen when it is closed, at once and in another's place.
    if (objects) Using.resource(fs.create(path, true))(_.write(content))
    else rename(partial(content))
  }

  /** Write a whole file where there is none; whether there was none. */
  def writeNew(content: Array[Byte]): Boolean =
    if (objects) replace(content, None)
    else
      safe("cannot write") {
        val beside = partial(content)
        try {
          FileContext.getFileContext(fs.getUri, fs.getConf).rename(beside, path)
          true
        } catch { case _: FileAlreadyExistsException => false }
        finally fs.delete(beside, false): Unit
      }

  /** Write a whole file if it is as it was found; whether it was. Only object stores compare:
    * elsewhere the caller holds a lock.
    *
    * @param version
    *   None: there was no file
    */
  def writeOver(value: JsonNode, version: Option[String]): Boolean = {
    val content = Store.bytes(value)
    if (objects) replace(content, version)
    else {
      write(content)
      true
    }
  }

  /** By a PUT that the store itself refuses where the file is another; whether it is ours now. */
  private def replace(content: Array[Byte], version: Option[String]): Boolean =
    try {
      // Each call changes the builder itself.
      val file = fs.createFile(path)
      file.overwrite(version.isDefined)
      file.recursive()
      version match {
        case Some(tag) => file.must("fs.option.create.conditional.overwrite.etag", tag)
        case None => file.must("fs.option.create.conditional.overwrite", true)
      }
      Using.resource(file.build())(_.write(content))
      true
    } catch {
      // A PUT that was done, and tried again because its answer was lost, is refused too.
      case error: IOException if Store.refused(error) =>
        try util.Arrays.equals(Using.resource(fs.open(path))(_.readAllBytes()), content)
        catch { case _: FileNotFoundException => false }
      case error: IOException =>
        throw StorageError.of(s"cannot write $shown: ${Store.why(error)}", error)
    }

  private def partial(content: Array[Byte]): Path = {
    val id = UUID.randomUUID().toString.replace("-", "")
    val beside = new Path(path.getParent, s"${path.getName}.$id.partial")
    fs.mkdirs(path.getParent)
    Using.resource(fs.create(beside, true))(_.write(content))
    beside
  }

  /** Give a file this name, at once where the file system can. */
  def take(source: Store): Unit =
    safe(s"cannot rename ${source.shown} to", "")(rename(source.inner))

  private def inner: Path = path

  /** Whether it is of an object store. */
  def objects: Boolean = Storage.isObjects(fs)

  private def rename(from: Path): Unit = local match {
    case Some(to) =>
      Files.move(Paths.get(from.toUri.getPath), to, ATOMIC_MOVE, REPLACE_EXISTING): Unit
    case None if objects =>
      if (!fs.rename(from, path)) throw new IOException("the file system refuses it")
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
        throw StorageError.of(s"$what $shown$more: ${Store.why(error)}", error)
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
      val path = if (uri) Storage.uri(named) else new Path(new URI("file", null, shown, null))
      new Store(shown, path, Storage.fileSystem(path, conf))
    } catch {
      case NonFatal(error) =>
        throw StorageError.of(s"cannot open the file system of $named: ${error.getMessage}", error)
    }
  }

  private def bytes(value: JsonNode): Array[Byte] = {
    val plain = json.treeToValue(value, classOf[Object])
    json.writerWithDefaultPrettyPrinter().writeValueAsBytes(plain) :+ '\n'.toByte
  }

  /** By its name: hadoop-aws is there only where S3 is. */
  private def refused(error: IOException): Boolean =
    error.isInstanceOf[FileAlreadyExistsException] ||
      error.getClass.getSimpleName == "RemoteFileChangedException" ||
      String.valueOf(error.getMessage).contains("Status Code: 412")

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
