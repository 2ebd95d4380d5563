package tfspark.job

import java.nio.file.{Files, Path}
import java.time.LocalDate
import java.util.concurrent.{Callable, Executors}
import org.apache.spark.sql.types._
import scala.jdk.CollectionConverters._
import tfspark.table.{Part, TableFiles}
import tfspark.{Local, StorageError}

/** Files that become a day of a Delta table. */
class CommitSuite extends Local {
  private val Day = LocalDate.of(2026, 11, 20)
  private val schema = StructType(Seq(StructField("id", LongType), StructField("day", DateType)))

  /** A file of one row in the folder of a day, as a task leaves it. */
  private def file(target: Path, day: LocalDate, token: String, id: Long): Part = {
    val made = Local.temporary("part")
    spark.range(id, id + 1).coalesce(1).write.mode("overwrite").parquet(made.toString)
    val name = s"part-00000-$token-0.parquet"
    val folder = Files.createDirectories(target.resolve(s"day=$day"))
    val from = made.toFile.listFiles().find(_.getName.endsWith(".parquet")).get
    Files.copy(from.toPath, folder.resolve(name))
    Part(Some(name), from.length, 1, """{"numRecords":1}""", None, 0)
  }

  private def commit(target: Path, day: LocalDate, token: String, id: Long): Long = {
    val part = file(target, day, token, id)
    Commit.day(spark, target.toString, schema, Seq(part), day, s"run-$token", token)
  }

  private def rows(target: Path): Set[(Long, String)] =
    spark.read.format("delta").load(target.toString).selectExpr("id", "string(day)").collect()
      .map(row => row.getLong(0) -> row.getString(1)).toSet

  test("a day is replaced, the others are not; the commit names its run") {
    val target = Local.temporary("delta").resolve("t")
    assert(commit(target, Day, "a", 1) == 0)
    assert(commit(target, Day.plusDays(1), "b", 2) == 1)
    assert(commit(target, Day, "c", 3) == 2)
    assert(rows(target) == Set(3L -> "2026-11-20", 2L -> "2026-11-21"))
    val log = Files.readString(target.resolve("_delta_log/00000000000000000002.json"))
    assert(log.contains("\"userMetadata\":\"run-c\""))
    assert(log.linesIterator.count(_.startsWith("{\"add\"")) == 1)
    assert(log.linesIterator.count(_.startsWith("{\"remove\"")) == 1)
  }

  test("many at once: each day has the rows of one of them") {
    val target = Local.temporary("delta").resolve("t")
    val pool = Executors.newFixedThreadPool(4)
    val tasks = (1 to 4).map { i =>
      val task: Callable[Long] = () => commit(target, Day.plusDays(i % 2L), s"t$i", i.toLong)
      task
    }
    val versions = pool.invokeAll(tasks.asJava).asScala.map(_.get).toSet
    pool.shutdown()
    assert(versions == Set(0L, 1L, 2L, 3L))
    val found = rows(target)
    assert(found.map(_._2) == Set("2026-11-20", "2026-11-21") && found.size == 2)
  }

  test("a table of other columns is left as it is") {
    val target = Local.temporary("delta").resolve("t")
    commit(target, Day, "a", 1)
    val part = file(target, Day, "b", 2)
    val other = StructType(schema.map(_.copy(name = "x")).take(1) :+ schema.last)
    val error = intercept[StorageError](
      Commit.day(spark, target.toString, other, Seq(part), Day, "run", "b")
    )
    assert(error.getMessage.endsWith("the table is unchanged: it has other columns now"))
    assert(rows(target) == Set(1L -> "2026-11-20"))
  }

  test("files that no commit names are removed, those of a commit stay") {
    val place = Local.temporary("sweep")
    val target = place.resolve("t")
    def claimed(token: String) = {
      val staging = Files.createDirectories(place.resolve(s"_staging/score-t-$token"))
      val about = s"""{"target": "$target", "folder": "$target/day=$Day", "token": "$token"}"""
      Files.writeString(staging.resolve(Commit.Claim), about)
      Files.createFile(staging.resolve(TableFiles.Open))
      staging
    }
    def files = target.resolve(s"day=$Day").toFile.list().filterNot(_.startsWith(".")).toSet
    val dead = claimed("dead")
    file(target, Day, "dead", 1)
    Commit.sweep(spark, dead.toString)
    // A target that was never made is none, not an empty folder.
    assert(!Files.exists(target) && !Files.exists(dead.resolve(TableFiles.Open)))
    val live = claimed("live")
    commit(target, Day, "live", 2)
    file(target, Day, "dead", 3)
    Commit.sweep(spark, live.toString)
    Commit.sweep(spark, dead.toString)
    assert(files == Set("part-00000-live-0.parquet"))
    assert(rows(target) == Set(2L -> "2026-11-20"))
  }
}
