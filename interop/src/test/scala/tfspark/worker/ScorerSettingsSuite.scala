package tfspark.worker

import tfspark.{ConfigError, Local}

/** ScorerSettings of a session, in the words of Python's side. */
class ScorerSettingsSuite extends Local {
  private def set(name: String, value: String)(use: => Any): Any = {
    spark.conf.set(s"spark.tfspark.$name", value)
    try use
    finally spark.conf.unset(s"spark.tfspark.$name")
  }

  test("what is set, and what is not") {
    assert(ScorerSettings.of(spark) == ScorerSettings(1, 10000, 32L << 20))
    set("threads", "2")(assert(ScorerSettings.of(spark).threads == 2))
    set("batchRows", "1e2")(assert(ScorerSettings.of(spark).batchRows == 100))
    set("batchRows", "1000000")(assert(ScorerSettings.of(spark).batchRows == 10000))
    set("batchBytes", "")(assert(ScorerSettings.of(spark).batchBytes == (32L << 20)))
  }

  test("what is no such number is named") {
    val wrong = Seq("threads" -> "0", "threads" -> "2 d", "batchRows" -> "-1", "batchRows" -> "nan")
    for ((name, value) <- wrong) set(name, value) {
      val error = intercept[ConfigError](ScorerSettings.of(spark))
      val least = if (name == "threads") 1 else 0
      assert(error.getMessage ==
        s"spark.tfspark.$name: must be a number of at least $least, not '$value'")
      assert(error.exitCode == 2)
    }
  }

  test("a wall that is asked for in any case is refused, as there is none") {
    set("wall", "never")(assert(ScorerSettings.of(spark).threads == 1))
    for ((word, said) <- Seq("always" -> "there is no wall", "on" -> "'on' is none of auto")) {
      val error = intercept[ConfigError](set("wall", word)(ScorerSettings.of(spark)))
      assert(error.getMessage.startsWith("spark.tfspark.wall: "))
      assert(error.getMessage.contains(said))
      assert(error.exitCode == 2)
    }
  }
}
