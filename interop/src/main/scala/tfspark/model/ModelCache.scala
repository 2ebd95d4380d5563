package tfspark.model

import java.io.IOException
import java.nio.file.attribute.FileTime
import java.nio.file.{Files, LinkOption, NoSuchFileException, Path, Paths}
import java.security.MessageDigest
import java.util.UUID
import org.apache.hadoop.conf.Configuration
import scala.collection.mutable
import scala.jdk.CollectionConverters._
import scala.util.Using
import tfspark.storage.{FileLock, Hex, Private, Storage}
import tfspark.{IntegrityError, StorageError}

/** Where a machine keeps unpacked models: the folder, the names in it and the locks are those of
  * the Python side (`tfspark/scoring/model/pack.py`), so that a model is unpacked once by whoever
  * is first.
  */
private[tfspark] object ModelCache {
  private val held = mutable.Set.empty[Path]
  val Variable = "TFSPARK_MODEL_CACHE"

  /** The folder of a model on this machine; unpacked now if no process did it before.
    *
    * @throws IntegrityError
    *   a piece or a file is not what was sent
    * @throws StorageError
    *   the cache cannot be used
    */
  def unpack(packed: Packed, root: Path = folder()): Path = {
    val target = root.resolve(packed.digest)
    try {
      hold(root, packed.digest)
      if (!complete(target, packed))
        locked(root, packed.digest)(if (!complete(target, packed)) replace(target, packed))
    } catch {
      case error: IOException =>
        throw new StorageError(
          s"model ${packed.model}: cannot be unpacked into $root: $error; free some space, or " +
            s"name another folder in $Variable",
          error
        )
    }
    target
  }

  /** Unpack a model again if its files on this machine are not those that were sent; whether they
    * were not.
    */
  def repair(packed: Packed, root: Path): Boolean = locked(root, packed.digest) {
    val target = root.resolve(packed.digest)
    val folder = new Storage(target.toString, new Configuration())
    val same = Files.isDirectory(target) && Manifest.digest(Manifest.sums(folder)) == packed.digest
    if (!same) replace(target, packed)
    !same
  }

  private def locked[T](root: Path, digest: String)(run: => T): T =
    FileLock.holding(root.resolve(s"$digest.lock"))(run)

  /** Whoever does it holds the lock. */
  private def replace(target: Path, packed: Packed): Unit = {
    removeLeftovers(target.getParent, packed.digest)
    val name = s".${packed.digest}-${UUID.randomUUID().toString.replace("-", "")}.partial"
    val partial = target.resolveSibling(name)
    try {
      write(partial, packed)
      remove(target)
      Files.move(partial, target)
    } finally remove(partial)
  }

  /** Have this process use a model until it ends: nobody removes it meanwhile. */
  private def hold(root: Path, digest: String): Unit = held.synchronized {
    val lease = root.resolve(s"$digest.lease")
    if (!held(lease)) {
      FileLock.share(lease)
      held += lease
    }
    // The model that was opened longest ago is the first to be removed.
    Files.setLastModifiedTime(lease, FileTime.fromMillis(System.currentTimeMillis())): Unit
  }

  /** The machine's folder of unpacked models, which is its user's alone. */
  def folder(): Path = {
    val named = sys.env.get(Variable).filter(_.nonEmpty).map(Paths.get(_))
    val mine = temporary().resolve(s"tfspark-${Private.uid}")
    Private.folder(named.getOrElse(mine.resolve("models")), Variable)
  }

  /** Python's folder for temporary files, which is not Java's. */
  private def temporary(): Path = {
    val named = Seq("TMPDIR", "TEMP", "TMP").flatMap(sys.env.get).filter(_.nonEmpty)
    (named ++ Seq("/tmp", "/var/tmp", "/usr/tmp"))
      .map(Paths.get(_))
      .find(folder => Files.isDirectory(folder) && Files.isWritable(folder))
      .getOrElse(Paths.get("").toAbsolutePath)
  }

  private def write(folder: Path, packed: Packed): Unit = {
    val pieces = packed.stream()
    for (file <- packed.files.sortBy(_.path)) {
      val target = folder.resolve(inside(file.path))
      Files.createDirectories(target.getParent, Private.Mine)
      val digest = MessageDigest.getInstance("SHA-256")
      Using.resource(Files.newOutputStream(target)) { out =>
        var left = file.bytes
        while (left > 0) {
          val count = pieces.read(left) { (bytes, from, count) =>
            digest.update(bytes, from, count)
            out.write(bytes, from, count)
          }
          if (count == 0)
            throw new IntegrityError(s"model ${packed.model}: arrived cut off in ${file.path}")
          left -= count
        }
      }
      if (Hex(digest) != file.sha256)
        throw new IntegrityError(
          s"model ${packed.model}: ${file.path} arrived changed; run again"
        )
    }
    if (pieces.read(1)((_, _, _) => ()) > 0)
      throw new IntegrityError(s"model ${packed.model}: more arrived than was sent")
  }

  private def inside(path: String): Path = {
    val bad = path.isEmpty || path.startsWith("/") || path.contains("\u0000") ||
      path.contains("\\") || path.split("/").contains("..")
    if (bad)
      throw new IntegrityError(s"model file '$path' would lie outside the model's folder")
    Paths.get(path)
  }

  /** Whether all files are there in full: cleaners of temporary folders take single files. */
  private def complete(folder: Path, packed: Packed): Boolean =
    try packed.files.forall(file => Files.size(folder.resolve(inside(file.path))) == file.bytes)
    catch { case _: IOException => false }

  /** Remove what killed processes left; whoever still unpacks holds the lock, as the caller does.
    */
  private def removeLeftovers(root: Path, digest: String): Unit =
    list(root).foreach { path =>
      val name = path.getFileName.toString
      if (name.startsWith(s".$digest-") && name.endsWith(".partial")) remove(path)
    }

  private def list(folder: Path): Seq[Path] =
    Using.resource(Files.list(folder))(_.iterator.asScala.toVector)

  private def remove(path: Path): Unit =
    try {
      if (Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS)) list(path).foreach(remove)
      Files.deleteIfExists(path)
    } catch { case _: NoSuchFileException => () }
}
