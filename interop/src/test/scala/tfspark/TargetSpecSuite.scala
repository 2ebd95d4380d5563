package tfspark

import java.nio.file.{Files, Path}
import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.{Path => HadoopPath}
import org.apache.parquet.example.data.simple.SimpleGroupFactory
import org.apache.parquet.hadoop.example.ExampleParquetWriter
import org.apache.parquet.hadoop.util.HadoopOutputFile
import org.apache.parquet.schema.MessageTypeParser
import scala.util.Using
import tfspark.SpecSuite.{list, map, read}
import tfspark.job._

/** `spec/targets.yaml`: where nothing may be written; `tests/spec/test_targets.py` has the same of
  * Python.
  */
class TargetSpecSuite extends Local {
  private val conf = new Configuration()

  private def made(spec: Map[String, Any], folder: Path): Unit = {
    for (name <- list(spec.getOrElse("files", Vector.empty)).map(_.toString)) {
      val file = folder.resolve(name)
      Files.createDirectories(file.getParent)
      spec.get("columns").fold(Files.write(file, Array.emptyByteArray): Unit) { columns =>
        val names = list(columns)
        val fields = names.map(name => s"optional binary $name (STRING);").mkString(" ")
        val schema = MessageTypeParser.parseMessageType(s"message m { $fields }")
        val to = HadoopOutputFile.fromPath(new HadoopPath(file.toUri), conf)
        Using.resource(ExampleParquetWriter.builder(to).withType(schema).build()) { writer =>
          writer.write(new SimpleGroupFactory(schema).newGroup().append(names.head.toString, "a"))
        }
      }
    }
    for ((name, to) <- map(spec.getOrElse("links", Map.empty)))
      Files.createSymbolicLink(folder.resolve(name), folder.resolve(to.toString)): Unit
  }

  for (spec <- list(map(read("targets.yaml"))("cases")).map(map))
    test(s"target: ${spec("name")}") {
      val folder = Local.temporary("targets").toRealPath()
      made(spec, folder)
      def put(name: String) = spec(name).toString.replace("$", folder.toString)
      def check(): Unit =
        if (spec.contains("part")) Places.refusePart(put("part"), conf)
        else if (spec.contains("lost")) Places.refuseLost(spark, put("lost"))
        else if (spec.contains("folder")) Places.refuseForeign(put("target"), "--output", conf)
        else Places.refuseOverlap(put("target"), put("source"), "--output")
      if (spec.contains("says")) assert(intercept[ConfigError](check()).getMessage == put("says"))
      else check()
    }
}
