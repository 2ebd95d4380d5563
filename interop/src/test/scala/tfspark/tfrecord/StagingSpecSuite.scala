package tfspark.tfrecord

import com.fasterxml.jackson.databind.ObjectMapper
import java.nio.file.{Files, Path, Paths}
import org.apache.hadoop.conf.Configuration
import org.scalatest.funsuite.AnyFunSuite
import scala.jdk.CollectionConverters._
import tfspark.Local
import tfspark.SpecSuite.{list, map, read}

/** `spec/staging.yaml`: who owns a staging folder and when it is removed, for the scoring job and
  * for TFRecord folders; `tests/spec/test_staging.py` has the same of Python.
  */
class StagingSpecSuite extends AnyFunSuite {
  private val spec = map(read("staging.yaml"))
  private val owner = spec("owner").toString
  private val json = new ObjectMapper()
  private val conf = new Configuration()
  private val host = Files.readString(Paths.get("/proc/sys/kernel/hostname")).trim
  private val own = ProcessHandle.current.pid

  private lazy val ended: Long = {
    val process = new ProcessBuilder("true").start()
    process.waitFor()
    process.pid
  }

  /** A folder as a case has it, under a parent of its own. */
  private def folder(parent: Path, name: String, told: Any): Path = {
    val made = Files.createDirectories(parent.resolve(spec("folder").toString).resolve(name))
    if (told != null) {
      val note = json.createObjectNode()
      val about = map(told)
      note.put("host", if (about("host") == "here") host else about("host").toString)
      about("pid") match {
        case "own" => note.put("pid", own)
        case "ended" => note.put("pid", ended)
        case pid => note.put("pid", pid.toString.toLong)
      }
      for (time <- Seq("since", "renewed"); said <- about.get(time))
        note.put(time, System.currentTimeMillis / 1000.0 + said.toString.toDouble)
      for (name <- Seq("boot", "namespace"); said <- about.get(name)) note.put(name, said.toString)
      about.get("started").foreach(said => note.put("started", said.toString.toLong))
      Files.writeString(made.resolve(owner), json.writeValueAsString(note))
    }
    made
  }

  for (told <- list(spec("damaged")).map(map))
    test(s"a damaged note: ${told("note")}") {
      val parent = Local.temporary("staging")
      for (name <- Seq("score-t", "write")) {
        val file = folder(parent, s"$name-0123456789ab", null).resolve(owner)
        Files.writeString(file, told("note").toString)
        val said = told("says").toString.replace("FILE", file.toString)
        val error = intercept[tfspark.IntegrityError] {
          if (name == "write") Staging.abandoned(Store(parent.toString, conf))
          else tfspark.job.Staging.make(parent.toString, name, conf)(_ => ())
        }
        assert(error.getMessage == said)
        assert(Files.exists(file))
      }
    }

  for (told <- list(spec("cases")).map(map)) {
    test(s"the scoring job: ${told("name")}") {
      val parent = Local.temporary("staging")
      val left = folder(parent, "score-t-0123456789ab", told("owner"))
      tfspark.job.Staging.make(parent.toString, "score-u", conf)(_ => ())
      assert(Files.exists(left))
      tfspark.job.Staging.make(parent.toString, "score-t", conf)(_ => ())
      assert(Files.exists(left) != told("abandoned"))
    }

    test(s"a TFRecord folder: ${told("name")}") {
      val parent = Local.temporary("staging")
      folder(parent, "write-0123456789ab", told("owner"))
      folder(parent, "other-0123456789ab", null)
      val found = Staging.abandoned(Store(parent.toString, conf)).map(_.shown)
      val gone = told("abandoned") == true
      assert(found.map(_.split("/").last) == (if (gone) Seq("write-0123456789ab") else Nil))
    }
  }

  private def isOwn(made: Path, label: String): Unit = {
    assert(made.getFileName.toString.matches(s"$label-${spec("name")}"))
    assert(made.getParent.getFileName.toString == spec("folder"))
    val note = json.readTree(Files.readString(made.resolve(owner)))
    val named = note.fieldNames.asScala.toSet[Any]
    assert(list(spec("fields")).forall(named) && (named -- list(spec("fields"))).nonEmpty)
    assert((named -- list(spec("fields")) -- list(spec("more"))).isEmpty)
    assert(note.get("host").asText == host && note.get("pid").asLong == own)
    assert(math.abs(note.get("since").asDouble - System.currentTimeMillis / 1000.0) < 600)
  }

  test("a folder of one's own") {
    val parent = Local.temporary("staging")
    isOwn(Paths.get(tfspark.job.Staging.make(parent.toString, "score-t", conf)(_ => ())), "score-t")
    isOwn(Paths.get(Staging.make(Store(parent.toString, conf)).shown), "write")
  }
}
