package tfspark.storage

import com.sun.jna.{Library, Native}
import java.io.IOException
import java.nio.file.{Files, NoSuchFileException, Path, Paths}

/** flock(2), which the Python side takes on the same files; Java's own file locks are fcntl's and
  * the two do not see each other.
  */
private[tfspark] object FileLock {

  private trait C extends Library {
    def open(path: String, flags: Int, mode: Int): Int
    def flock(descriptor: Int, operation: Int): Int
    def close(descriptor: Int): Int
    def setenv(name: String, value: String, overwrite: Int): Int
  }

  private lazy val c = Native.load("c", classOf[C])
  private val (writable, create, closeOnExec) = (2, 0x40, 0x80000) // Linux's
  private val (shared, exclusive) = (1, 2)
  private val interrupted = 4

  /** Run with the lock. */
  def holding[T](file: Path)(run: => T): T = {
    val descriptor = open(file)
    try {
      lock(descriptor, file, exclusive)
      run
    } finally c.close(descriptor): Unit
  }

  /** Run with the lock of a folder that is there.
    *
    * @param must
    *   fail where a mount knows no locks of folders, as NFS; otherwise go on without
    */
  def holdingFolder[T](folder: Path, must: Boolean = true)(run: => T): T = {
    val descriptor = open(folder, closeOnExec)
    try {
      try lock(descriptor, folder, exclusive)
      catch { case _: IOException if !must => () }
      run
    } finally c.close(descriptor): Unit
  }

  /** Share a file with others until this process ends, made if it is not there. */
  def share(file: Path): Unit = {
    val descriptor = open(file)
    var kept = false
    try {
      lock(descriptor, file, shared)
      kept = named(descriptor, file)
    } finally if (!kept) c.close(descriptor): Unit
    if (!kept) share(file) // it was removed meanwhile: the one of its name now
  }

  /** Whether an open file is still the one of its name. */
  private def named(descriptor: Int, file: Path): Boolean =
    try
      Files.getAttribute(Paths.get(s"/proc/self/fd/$descriptor"), "unix:ino") ==
        Files.getAttribute(file, "unix:ino")
    catch { case _: NoSuchFileException => false }

  private def open(file: Path, flags: Int = writable | create | closeOnExec): Int = {
    val descriptor = c.open(file.toString, flags, 384) // 0600
    if (descriptor < 0) throw failed(file, Native.getLastError)
    descriptor
  }

  /** Set an environment variable that is not set, for native code to read. */
  def setEnvironment(name: String, value: String): Unit = c.setenv(name, value, 0): Unit

  private def lock(descriptor: Int, file: Path, operation: Int): Unit =
    while (c.flock(descriptor, operation) != 0)
      if (Native.getLastError != interrupted) throw failed(file, Native.getLastError)

  private def failed(file: Path, code: Int) =
    new IOException(s"$file: cannot be locked (error $code of the system)")
}
