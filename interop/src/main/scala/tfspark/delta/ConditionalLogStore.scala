package tfspark.delta

import io.delta.storage.HadoopFileSystemLogStore
import java.io.{ByteArrayOutputStream, IOException}
import java.lang.{Boolean => JBoolean}
import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.FileAlreadyExistsException
import java.util.{Arrays, Iterator => JIterator}
import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.{FileSystem, Path}
import scala.language.existentials

/** Delta's log on S3, for several writers: a commit is a PUT that the store itself refuses where
  * the version is there. Delta's own store for `s3a` looks first and then overwrites.
  *
  * `spark.delta.logStore.s3a.impl`; Delta makes it by its name. Spark's own compiler compiles this
  * file alone too (scripts/log_store.py), so it names nothing of the module.
  */
class ConditionalLogStore(conf: Configuration) extends HadoopFileSystemLogStore(conf) {

  override def write(
      path: Path,
      actions: JIterator[String],
      overwrite: JBoolean,
      hadoop: Configuration
  ): Unit = {
    val fs = path.getFileSystem(hadoop)
    if (!overwrite && fs.exists(path)) throw new FileAlreadyExistsException(path.toString)
    val lines = new ByteArrayOutputStream
    while (actions.hasNext) lines.write((actions.next() + "\n").getBytes(UTF_8))
    val content = lines.toByteArray
    try put(fs, path, content, overwrite)
    catch {
      // A PUT that was done, and tried again because its answer was lost, is refused too. Each
      // commit has an id of its own: the same bytes are ours.
      case error: IOException if !overwrite && refused(error) =>
        if (!is(fs, path, content)) {
          val there = new FileAlreadyExistsException(path.toString)
          there.initCause(error)
          throw there
        }
    }
  }

  override def isPartialWriteVisible(path: Path, hadoop: Configuration): JBoolean = false

  /** With `must`: an S3A that cannot refuse says so. Each call changes the builder itself. */
  private def put(fs: FileSystem, path: Path, content: Array[Byte], overwrite: Boolean): Unit = {
    val file = fs.createFile(path)
    file.overwrite(overwrite)
    file.recursive()
    if (!overwrite) file.must("fs.option.create.conditional.overwrite", true)
    val out = file.build()
    out.write(content)
    out.close()
  }

  private def is(fs: FileSystem, path: Path, content: Array[Byte]): Boolean = {
    val in = fs.open(path)
    try Arrays.equals(in.readAllBytes(), content)
    finally in.close()
  }

  /** By its name: hadoop-aws is there only where S3 is. */
  private def refused(error: IOException): Boolean =
    error.getClass.getSimpleName == "RemoteFileChangedException" ||
      String.valueOf(error.getMessage).contains("Status Code: 412")
}
