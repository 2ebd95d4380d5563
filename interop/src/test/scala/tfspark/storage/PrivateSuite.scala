package tfspark.storage

import java.nio.file.{Files, Path}
import org.scalatest.funsuite.AnyFunSuite
import tfspark.SpecSuite.{list, map, read}
import tfspark.{Local, StorageError}

/** `spec/folders.yaml`; `tests/spec/test_folders.py` has the same of Python. */
class PrivateSuite extends AnyFunSuite {
  for (told <- list(map(read("folders.yaml"))("cases")).map(map))
    test(s"a folder: ${told("name")}") {
      val here = Local.temporary("folders")
      for ((name, what) <- map(told("made"))) make(here, name, what.toString)
      val asked = here.resolve(told("asked").toString)
      told.get("says") match {
        case Some(said) =>
          val error = intercept[StorageError](Private.folder(asked, "THE_VARIABLE"))
          assert(error.getMessage.replace(here.toString, "FOLDER") == said)
        case None =>
          assert(Private.folder(asked, "THE_VARIABLE") == asked)
          assert(Files.isDirectory(asked))
      }
    }

  private def make(here: Path, name: String, what: String): Unit = {
    val made = here.resolve(name)
    if (what.forall(_.isDigit)) {
      Files.createDirectory(made)
      Files.setAttribute(made, "unix:mode", Integer.parseInt(what, 8)): Unit
    } else Files.createSymbolicLink(made, here.resolve(what)): Unit
  }
}
