package tfspark.model

import com.fasterxml.jackson.databind.ObjectMapper
import java.nio.file.Files
import org.apache.hadoop.conf.Configuration
import org.scalatest.funsuite.AnyFunSuite
import tfspark.SpecSuite.{list, map, read}
import tfspark.storage.{Hex, Storage}
import tfspark.{IntegrityError, Local, SpecSuite}

/** `spec/models.yaml`; `tests/spec/test_models.py` has the same of Python. */
class ManifestSuite extends AnyFunSuite {
  private val spec = map(read("models.yaml"))
  private val json = new ObjectMapper()

  for (told <- list(spec("cases")).map(map))
    test(s"a manifest: ${told("name")}") {
      val folder = Local.temporary("manifest")
      val there = map(spec("base")) ++ map(told.getOrElse("with", Map.empty))
      val deep = told.get("deep").map(_.toString.toInt)
      val text = deep.map(count => "[" * count + "]" * count)
        .orElse(told.get("text").map(_.toString))
        .getOrElse(json.writeValueAsString(SpecSuite.javas(there)))
      val absent = told.contains("absent")
      if (!absent) Files.writeString(folder.resolve(Manifest.File), text)
      val sha256 = told.get("pinned").map { which =>
        if (which == "right") Hex.sha256(text.getBytes("UTF-8")) else "0" * 64
      }
      val storage = new Storage(folder.toString, new Configuration())
      def found() = Manifest.read(storage, Registered(told.contains("ours"), sha256))
      told.get("says") match {
        case Some(said) =>
          val message = intercept[IntegrityError](found()).getMessage
          assert(message.replace(s"$folder/${Manifest.File}", "FILE") == said)
        case None => assert(found().isEmpty == absent)
      }
    }
}
