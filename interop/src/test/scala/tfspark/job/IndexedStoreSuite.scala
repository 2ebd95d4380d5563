package tfspark.job

import java.nio.ByteBuffer
import java.nio.file.{Files, Path}
import java.time.Duration
import org.scalatest.funsuite.AnyFunSuite

/** A SQLite store by its index; Python's own is read in tests/test_scala_job.py. */
class IndexedStoreSuite extends AnyFunSuite {
  private val store = Files.createTempDirectory("registry").resolve("mlflow.db")
  private val index = Path.of(s"$store.models.json")

  /** SQLite's header up to its change counter. */
  private def changed(times: Int): Unit =
    Files.write(store, ByteBuffer.allocate(28).putInt(24, times).array): Unit

  private def indexed(changes: Int, champion: String): Unit = {
    val version = """{"source": "/m/%s", "tags": {"tfspark.complete": "true"}}"""
    val versions = Seq("1", "2").map(n => s""""$n": ${version.format(n)}""").mkString(", ")
    val model = s"""{"aliases": {"champion": "$champion"}, "versions": {$versions}}"""
    val text = s"""{"format": 2, "changes": $changes, "models": {"squares": $model, "cubes": {}}}"""
    Files.writeString(index, text): Unit
  }

  private def open(patience: Int = 0) =
    new IndexedStore(store.toString, Duration.ofSeconds(patience.toLong))

  test("versions, aliases and what there is") {
    changed(7)
    indexed(7, champion = "2")
    val here = open()
    val second = Version("2", "/m/2", Map("tfspark.complete" -> "true"))
    assert(here.byAlias("squares", "champion").contains(second))
    assert(here.byNumber("squares", "2").contains(second))
    assert(here.byNumber("squares", "3").isEmpty && here.byAlias("squares", "best").isEmpty)
    assert(here.byNumber("roots", "1").isEmpty && here.byAlias("roots", "champion").isEmpty)
    assert(here.aliases("squares").contains(Map("champion" -> "2")))
    assert(here.aliases("roots").isEmpty && here.aliases("cubes").contains(Map.empty))
    assert(here.numbers("squares") == Seq("1", "2") && here.models() == Seq("cubes", "squares"))
  }

  test("a store that others have changed since is not guessed at") {
    changed(8)
    indexed(7, champion = "2")
    val error = intercept[MlflowError](open())
    assert(error.getMessage.contains("mlflow.db.models.json does not know the store's last change"))
    assert(error.getMessage.contains(s"run `python -m tfspark registry sqlite:///$store`"))
    Files.delete(index)
    assert(intercept[MlflowError](open(60)).getMessage.contains("models.json is not there: run"))
  }

  test("an index of an older version of tfspark does not name what is pinned") {
    changed(8)
    Files.writeString(index, """{"changes": 8, "models": {}}""")
    assert(intercept[MlflowError](open()).getMessage.contains("is of another version of tfspark"))
  }

  test("what the registry says of a manifest") {
    def said(tags: (String, String)*) = Version("1", "/m", tags.toMap).registered
    assert(said() == tfspark.model.Registered())
    assert(said("tfspark.train_key" -> "k") == tfspark.model.Registered(ours = true))
    assert(said("tfspark.train_key" -> "k", "tfspark.manifest_sha256" -> "0").sha256.contains("0"))
  }

  test("a counter above two thousand million is a number too") {
    changed(-2)
    Files.writeString(index, s"""{"format": 2, "changes": ${(1L << 32) - 2}, "models": {}}""")
    assert(open().models().isEmpty)
  }

  test("Python's index comes a moment after its change") {
    changed(9)
    indexed(8, champion = "1")
    val python = new Thread(() => {
      Thread.sleep(300)
      indexed(9, champion = "2")
    })
    python.start()
    assert(open(60).byAlias("squares", "champion").map(_.number).contains("2"))
    python.join()
  }
}
