package tfspark.storage

import java.io.IOException
import java.nio.file.LinkOption.NOFOLLOW_LINKS
import java.nio.file.attribute.PosixFilePermission._
import java.nio.file.attribute.PosixFilePermissions
import java.nio.file.{Files, Path, Paths}
import scala.jdk.CollectionConverters._
import tfspark.StorageError
import tfspark.shared.Shared.say

/** Folders of this machine whose files nobody else can have put there, by the rules of
  * `tfspark/storage/private.py`.
  */
private[tfspark] object Private {
  private val OthersWrite = Integer.parseInt("022", 8)
  private val Sticky = Integer.parseInt("1000", 8)

  /** The rights of what is made here. */
  val Mine = PosixFilePermissions.asFileAttribute(
    java.util.Set.of(OWNER_READ, OWNER_WRITE, OWNER_EXECUTE)
  )

  val uid: Int = Files.getAttribute(Paths.get("/proc/self"), "unix:uid").asInstanceOf[Int]

  /** A folder that is this user's alone; made if it is not there.
    *
    * @param variable
    *   of the environment, which names another folder
    * @throws StorageError
    *   it cannot be made, or others could write to it
    */
  def folder(named: Path, variable: String): Path = {
    val folder = named.toAbsolutePath
    val (own, above) =
      try {
        if (!Files.isDirectory(folder, NOFOLLOW_LINKS)) Files.createDirectories(folder, Mine)
        (found(folder), passed(folder.getParent).find(!safe(_)))
      } catch {
        case error: IOException =>
          throw new StorageError(
            s"$folder: cannot be used ($error); name another folder in $variable",
            error
          )
      }
    def refuse(text: String, values: (String, Any)*) =
      throw new StorageError(say(
        text,
        values ++ Seq("folder" -> folder, "variable" -> variable): _*
      ))
    val mineAlone = own._1 == uid && (own._2 & OthersWrite) == 0
    if (!Files.isDirectory(folder, NOFOLLOW_LINKS) || !mineAlone) refuse("open_folder")
    above.foreach(path => refuse("open_above", "above" -> path))
    folder
  }

  /** Every folder and link on the way to a path, and the path itself. */
  private def passed(path: Path): Seq[Path] =
    path.iterator.asScala.foldLeft((Vector(path.getRoot), path.getRoot)) { case ((all, at), part) =>
      val step = at.resolve(part)
      if (part.toString == "..") (all, Option(at.getParent).getOrElse(at))
      else if (Files.isSymbolicLink(step))
        (all ++ (step +: passed(at.resolve(Files.readSymbolicLink(step)))), step.toRealPath())
      else (all :+ step, step)
    }._1

  private def safe(path: Path): Boolean = {
    val (owner, mode) = found(path)
    val openToOthers = (mode & OthersWrite) != 0 && (mode & Sticky) == 0
    (owner == 0 || owner == uid) && (Files.isSymbolicLink(path) || !openToOthers)
  }

  /** Owner and mode. */
  private def found(path: Path): (Int, Int) = {
    val about = Files.readAttributes(path, "unix:uid,mode", NOFOLLOW_LINKS)
    (about.get("uid").asInstanceOf[Int], about.get("mode").asInstanceOf[Int])
  }
}
