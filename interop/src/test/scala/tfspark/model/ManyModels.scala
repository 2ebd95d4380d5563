package tfspark.model

import com.fasterxml.jackson.databind.ObjectMapper
import com.google.protobuf.CodedOutputStream
import java.io.ByteArrayOutputStream
import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.{Files, Paths}
import scala.io.Source.fromInputStream
import scala.jdk.CollectionConverters._
import scala.util.control.NonFatal
import tfspark.storage.Hex

/** What the check says of models, one after the other: a file's path a line in, `[class, message,
  * opened]` a line out; class and message empty if it has nothing against it. `opened` are the
  * signatures, and the sum of what is opened for each. For `tests/interop/test_safety.py`.
  */
object ManyModels {
  private val json = new ObjectMapper()

  def main(arguments: Array[String]): Unit =
    for (path <- fromInputStream(System.in, UTF_8.name).getLines()) {
      val answer = json.createArrayNode()
      val opened = json.createObjectNode()
      try {
        val model = new SavedModelFile(arguments(0), Files.readAllBytes(Paths.get(path)))
        Safety.check(Nil, model)
        val meta = Entry.serving(model)
        for (name <- meta.getSignatureDefMap.keySet.asScala)
          opened.put(name, sum(() => Prune(meta, name)))
        answer.add("").add("")
      } catch {
        case error: Throwable => answer.add(error.getClass.getSimpleName).add(error.getMessage)
      }
      System.out.println(json.writeValueAsString(answer.add(opened)))
    }

  private def sum(prune: () => Pruned): String =
    try {
      val part = prune()
      val bytes = new ByteArrayOutputStream
      val out = CodedOutputStream.newInstance(bytes)
      out.useDeterministicSerialization()
      part.graph.writeTo(out)
      out.flush()
      val files = part.assets.map { case (tensor, file) => s"$tensor=$file" }
      val told = Seq(part.restore, part.filename) ++ part.init ++ files
      bytes.write(told.mkString("\n").getBytes(UTF_8))
      Hex.sha256(bytes.toByteArray)
    } catch { case NonFatal(_) => "none" }
}
