package tfspark.model

import com.fasterxml.jackson.databind.ObjectMapper
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

  /** Of each node all that there is; attributes by name, as parsers differ in the order of a map.
    */
  private def sum(prune: () => Pruned): String =
    try {
      val part = prune()
      val bytes = new ByteArrayOutputStream
      def add(text: String): Unit = bytes.write(s"$text\n".getBytes(UTF_8))
      for (node <- part.graph.getNodeList.asScala) {
        val inputs = node.getInputList.asScala.toSeq
        (Seq(node.getName, node.getOp, node.getDevice) ++ inputs).foreach(add)
        for ((key, value) <- Program.attributes(node)) {
          add(key)
          bytes.write(value.toByteArray)
        }
      }
      part.graph.getLibrary.getFunctionList.asScala.foreach(f => add(f.getSignature.getName))
      val files = part.assets.map { case (tensor, file) => s"$tensor=$file" }
      (Seq(part.restore, part.filename) ++ part.init ++ files).foreach(add)
      Hex.sha256(bytes.toByteArray)
    } catch { case NonFatal(_) => "none" }
}
