package tfspark.tfrecord

import java.nio.file.{Files => LocalFiles, Path, Paths}
import org.apache.hadoop.conf.Configuration
import org.apache.spark.sql.functions.expr
import org.apache.spark.sql.Row
import scala.jdk.CollectionConverters._
import tfspark.{IntegrityError, Local}

/** Damage, killed jobs, tasks that fail: never a wrong row, never half a folder. */
class TFRecordFaultSuite extends TFRecordFolders {
  test("damage fails, or is skipped and counted") {
    val (path, kept) = (fresh(), Local.temporary("corrupt"))
    save(numbers(100, tasks = 1), path, "error")()
    val file = Paths.get(path, names(path).find(_.endsWith(".tfrecord")).get)
    val bytes = LocalFiles.readAllBytes(file)
    bytes(14) = (bytes(14) ^ 1).toByte
    LocalFiles.write(file, bytes)
    refused[IntegrityError]("record 0 at byte 0 is damaged: the sum of its data is wrong; get the")(
      read(path).collect()
    )
    refused[IntegrityError]("record 0 at byte 0 is damaged")(read(path).count())
    val skipping = read(path, "onCorrupt" -> "skip", "corruptPath" -> kept.toString)
    assert(skipping.collect().length == 99)
    val said = LocalFiles.list(kept).iterator.asScala.map(LocalFiles.readString).toSeq
    assert(said.size == 1 && said.head.contains("\"corrupt\" : 1"), said)
    LocalFiles.write(file, bytes.take(bytes.length - 3))
    refused[IntegrityError]("has \\d+ bytes, _manifest.json says \\d+: it was damaged or cut off")(
      read(path).count()
    )
    LocalFiles.delete(file)
    refused[IntegrityError]("is missing, _manifest.json lists it")(read(path).count())
  }

  test("a file whose rows are not those of the manifest") {
    val path = fresh()
    save(numbers(10, tasks = 1), path, "error")()
    val manifest = Paths.get(path, "_manifest.json")
    val text = LocalFiles.readString(manifest).replace("\"rows\" : 10", "\"rows\" : 11")
    LocalFiles.writeString(manifest, text)
    refused[IntegrityError]("has 10 records, the manifest says 11: it was cut off or replaced")(
      read(path).collect()
    )
    LocalFiles.writeString(manifest, text.replace("\"version\" : 1", "\"version\" : 2"))
    refused[IntegrityError]("is no manifest of version 1 \\('tfrecord', version 2\\)")(read(path))
    LocalFiles.writeString(manifest, "{")
    refused[IntegrityError]("is not JSON")(read(path))
  }

  test("what killed jobs left is removed by the next write, and never read") {
    val path = fresh()
    save(numbers(10), path, "error")()
    val folder = Paths.get(path)
    def owned(job: String, pid: Long): Path = {
      val staging = LocalFiles.createDirectories(folder.resolve(s"_staging/write-$job/attempt-1"))
      val host = LocalFiles.readString(Paths.get("/proc/sys/kernel/hostname")).trim
      val owner = s"""{"host": "$host", "pid": $pid, "since": 0}"""
      LocalFiles.writeString(staging.getParent.resolve("_owner.json"), owner)
      LocalFiles.writeString(staging.resolve("part.tfrecord"), "half")
      LocalFiles.writeString(folder.resolve(s"part-00000-$job-000.tfrecord"), "moved")
    }
    owned("0123456789ab", Int.MaxValue.toLong) // no such process
    owned("ba9876543210", ProcessHandle.current.pid) // one that runs
    assert(read(path).count() == 10)
    save(numbers(10, 10), path, "append")()
    assert(read(path).count() == 20)
    assert(!names(path).exists(_.contains("0123456789ab")))
    assert(names(path).count(_.contains("ba9876543210")) == 3)
  }

  test("a first overwrite that was killed leaves the schema's file of the folder") {
    val path = fresh()
    save(numbers(10), path, "error")()
    val store = Store(path, new Configuration)
    Seq("_manifest.json", "_SUCCESS").foreach(name => (store / name).delete())
    // The job died between the removal of the old schema's file and its commit.
    Folder.byNames(store).write(store, None)
    (store / "_schema.json").delete()
    val dead = LocalFiles.createDirectories(Paths.get(path, "_staging/write-0123456789ab"))
    val host = LocalFiles.readString(Paths.get("/proc/sys/kernel/hostname")).trim
    val owner = s"""{"host": "$host", "pid": ${Int.MaxValue}, "since": 0}"""
    LocalFiles.writeString(dead.resolve("_owner.json"), owner)
    save(numbers(10, 10), path, "append")()
    assert(read(path).count() == 20)
    assert(names(path)("_schema.json"))
  }

  test("a task that fails leaves the folder as it was") {
    val path = fresh()
    save(numbers(10), path, "error")()
    val before = names(path)
    val failing = numbers(1000).withColumn("t", expr("IF(id = 999, raise_error('poison'), t)"))
    for (mode <- Seq("append", "overwrite"))
      assert(intercept[Exception](save(failing, path, mode)()).getMessage.contains("poison"))
    assert(names(path) == before)
    assert(rows(read(path)) == rows(numbers(10)))
  }

  test("two appends at once both count") {
    val path = fresh()
    save(numbers(10), path, "error")()
    val threads = (1 to 3).map { at =>
      val thread = new Thread(() => save(numbers(10, at * 10L), path, "append")())
      thread.start()
      thread
    }
    threads.foreach(_.join())
    assert(rows(read(path).select("id")) == (0L until 40).map(Row(_)))
    assert(names(path)("_SUCCESS"))
  }
}
