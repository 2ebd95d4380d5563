package tfspark.model

import com.fasterxml.jackson.databind.ObjectMapper
import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.{Files, Paths}
import scala.io.Source.fromInputStream

/** What the check says of models, one after the other: a file's path a line in, `[class, message]`
  * a line out, both empty if it has nothing against it. For `tests/interop/test_safety.py`.
  */
object ManyModels {
  private val json = new ObjectMapper()

  def main(arguments: Array[String]): Unit =
    for (path <- fromInputStream(System.in, UTF_8.name).getLines()) {
      val answer = json.createArrayNode()
      try {
        Safety.check(Nil, new SavedModelFile(arguments(0), Files.readAllBytes(Paths.get(path))))
        answer.add("").add("")
      } catch {
        case error: Throwable => answer.add(error.getClass.getSimpleName).add(error.getMessage)
      }
      System.out.println(json.writeValueAsString(answer))
    }
}
