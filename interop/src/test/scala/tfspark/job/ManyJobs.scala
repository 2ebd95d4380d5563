package tfspark.job

import com.fasterxml.jackson.databind.ObjectMapper
import java.io.{ByteArrayOutputStream, PrintStream}
import org.apache.spark.sql.delta.DeltaLog
import scala.io.Source.fromInputStream
import scala.jdk.CollectionConverters._
import tfspark.ScoreJob

/** Jobs one after the other in one JVM: a line of JSON `{"arguments": [...], "environment": {...}}`
  * in, `{"code", "out", "err"}` out. For `tests/interop/test_job.py`.
  */
object ManyJobs {
  private val json = new ObjectMapper()

  def main(@annotation.unused arguments: Array[String]): Unit = {
    val (out, err) = (System.out, System.err)
    for (line <- fromInputStream(System.in, "UTF-8").getLines()) {
      val asked = json.readTree(line)
      val wanted = asked.get("arguments").asScala.map(_.asText).toSeq
      val environment =
        asked.get("environment").properties().asScala.map(e => e.getKey -> e.getValue.asText).toMap
      val (said, told) = (new ByteArrayOutputStream(), new ByteArrayOutputStream())
      System.setOut(new PrintStream(said, true, "UTF-8"))
      System.setErr(new PrintStream(told, true, "UTF-8"))
      // Tests bring tables back as they were, which no table of Delta's does by itself.
      DeltaLog.clearCache()
      val code = ScoreJob.run(wanted, environment)
      System.setOut(out)
      System.setErr(err)
      val answer = json.createObjectNode()
      answer.put("code", code).put("out", said.toString("UTF-8"))
      answer.put("err", told.toString("UTF-8"))
      out.println(json.writeValueAsString(answer))
      out.flush()
    }
    System.exit(0)
  }
}
