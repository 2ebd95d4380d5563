package tfspark.job

import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.Files
import tfspark.SpecSuite.{list, map, read}
import tfspark.{Local, TfsparkException}

/** `spec/text.yaml`: CSV and JSON files, as both sides read them. */
class TextFilesSuite extends Local {
  for (spec <- list(map(read("text.yaml"))("cases")).map(map))
    test(s"text: ${spec("name")}") {
      val folder = Local.temporary("text")
      for ((name, text) <- map(spec("files"))) {
        val file = folder.resolve(name)
        Files.createDirectories(file.getParent)
        Files.write(file, text.toString.getBytes(UTF_8))
      }
      val (format, options) = (spec("format").toString, map(spec.getOrElse("options", Map.empty)))
      val source = Source(format, folder.toString, options)
      def rows = {
        val raw = Tables.read(spark, source, java.time.LocalDate.of(2026, 11, 20))
        val taken = list(spec.getOrElse("fields", Vector.empty)).map(_.toString)
        val all =
          if (taken.isEmpty) raw else RowChecks.withFields(raw, taken).drop(Tables.Json)
        val told = spec.get("columns").map(list(_).map(_.toString) :+ Tables.Corrupt)
        val names = told.getOrElse(all.columns.toVector)
        assert(all.columns.toSet == names.toSet)
        all.select(names.map(name => all(Tables.quote(name))): _*).collect().map(_.toSeq.toVector)
      }
      spec.get("says") match {
        case Some(said) =>
          val error = intercept[Exception](SparkErrors.reading(folder.toString)(rows))
          assert(error.isInstanceOf[TfsparkException])
          assert(error.getMessage.replace(folder.toString, "FOLDER") == said)
        case None =>
          def sorted(rows: Seq[Any]) = rows.sortBy(_.toString)
          assert(sorted(rows.toSeq) == sorted(list(spec("gives"))))
      }
    }
}
