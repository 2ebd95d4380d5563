package tfspark.job

import java.nio.file.Files
import org.apache.hadoop.conf.Configuration
import org.scalatest.funsuite.AnyFunSuite
import tfspark.{ConfigError, Local}

/** Settings and their places; those that are Python's too are in `spec/`. */
class SettingsSuite extends AnyFunSuite {
  private val file = Local.temporary("settings").resolve("t.yaml")

  private def load(text: String, overrides: (String, Any)*)(environment: (String, String)*) = {
    Files.writeString(file, text)
    Settings.load(Some(file.toString), overrides, environment.toMap, new Configuration())
  }

  test("command line before environment before file before default") {
    val text = "name: t\nscore: {plan: auto, keep: [a]}\nsource: {path: x}\n"
    val found =
      load(text, "score.output" -> "out")("TFSPARK_SCORE__PLAN" -> "jvm", "TFSPARK_NAME" -> "u")
    assert(found.plan == "jvm" && found.keep == Seq("a") && found.name == "u")
    assert(found.scored == "out" && found.quarantine == "warehouse/quarantine")
    assert(found.source == Source(path = "x"))
    assert(load(text)().scored == "warehouse/scored/t")
    assert(load(text, "score.plan" -> "scan")("TFSPARK_SCORE__PLAN" -> "jvm").plan == "scan")
  }

  test("sections of other jobs are taken, unknown keys are not") {
    assert(load("name: t\ntraining: {epochs: 5}\nfeatures: []\n")().name == "t")
    val error = intercept[ConfigError](load("name: t\ntraining: {epoch: 5}\n")())
    assert(error.getMessage ==
      s"$file:2: training.epoch: unknown setting (did you mean epochs?); --help all lists them")
  }

  test("a model's inputs are columns, or lists of them; a Spark setting keeps its dots") {
    val found = load("name: t\nscore: {inputs: {x: [a, b], y: c}}\n", "spark.spark.a.b" -> "1")()
    assert(found.inputs == Map("x" -> Seq("a", "b"), "y" -> Seq("c")))
    assert(found.spark == Map("spark.a.b" -> "1"))
  }

  test("the command line") {
    val found = Arguments.parse(Seq("--input", "t", "--keep=a,b", "--conf", "spark.x=1=2"))
    assert(found.overrides ==
      Seq("score.input" -> "t", "score.keep" -> "a,b", "spark.spark.x" -> "1=2"))
    val own = Arguments.parse(Seq("--date", "x", "--help")).help.get
    val all = Arguments.parse(Seq("-h", "all")).help.get
    assert(own.contains("--keep") && !own.contains("--training.epochs N"))
    assert(all.contains("--keep, --score.keep") && all.contains("--training.epochs N"))
    assert(Arguments.parse(Seq("--log", "plain")).log.contains("plain"))
  }
}
