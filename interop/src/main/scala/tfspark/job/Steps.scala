package tfspark.job

import com.fasterxml.jackson.databind.{JsonNode, ObjectMapper}
import java.io.PrintStream
import java.nio.file.{Files, Paths}
import java.time.ZoneOffset.UTC
import java.time.temporal.ChronoUnit
import java.time.{Instant, OffsetDateTime}
import java.util.UUID
import scala.collection.mutable
import scala.util.Try
import scala.util.matching.Regex
import tfspark.shared.{Mask, Shared}

/** What a job says while it runs, and at its end, as `tfspark/console.py` does: on a terminal a
  * line a step, elsewhere one JSON object a line on stderr; the summary goes to stdout, last.
  */
private[tfspark] final class Steps(job: String, log: Option[String] = None) {
  val runId: String = UUID.randomUUID().toString.replace("-", "")
  private val started = System.nanoTime()
  private val json = new ObjectMapper()
  private val terminal = Try(Files.readSymbolicLink(Paths.get("/proc/self/fd/2")).toString)
    .toOption.exists(_.matches("/dev/(pts/|tty|console).*"))
  private val words = log.getOrElse(sys.env.getOrElse("TFSPARK_LOG", "auto")) match {
    case "plain" => true
    case "json" => false
    case _ => terminal || sys.env.contains("JPY_PARENT_PID")
  }

  /** One step; what is put into the map is shown when the step ends.
    *
    * @param rate
    *   whether to say at its end how many of its `rows` were done in a second
    */
  def step[T](name: String, rate: Boolean = false)(run: mutable.Map[String, Any] => T): T = {
    val began = System.nanoTime()
    val info = mutable.LinkedHashMap.empty[String, Any]
    if (!words) say("start", name, Nil)
    else if (terminal) { System.err.print(s"  … $name"); System.err.flush() }
    try {
      val result = run(info)
      val seconds = (System.nanoTime() - began) / 1e9
      info.get("rows").collect {
        case rows: Long if rate && rows > 0 && seconds >= 0.1 =>
          info("rows_per_second") = math.round(rows / seconds)
      }
      end("done", name, began, info.toSeq)
      result
    } catch {
      case error: Throwable =>
        end("failed", name, began, info.toSeq :+ ("error" -> error.getClass.getSimpleName))
        throw error
    }
  }

  /** Since the start. */
  def seconds: Double = Steps.round((System.nanoTime() - started) / 1e9, 1)

  private def end(event: String, name: String, began: Long, info: Seq[(String, Any)]): Unit = {
    val seconds = Steps.round((System.nanoTime() - began) / 1e9, 2)
    if (words) {
      val sign = if (event == "done") "✓" else "✗"
      val details = info.map { case (key, value) =>
        s"${key.replace("_", " ")} ${Steps.short(Mask.value(value, key))}"
      }.mkString(", ")
      val start = if (terminal) "\r\u001b[K" else ""
      System.err.println(f"$start  $sign $name%-24s$seconds%7.1f s   $details".stripTrailing)
    } else say(event, name, info :+ ("seconds" -> seconds))
  }

  private def say(event: String, name: String, fields: Seq[(String, Any)]): Unit = {
    val now = OffsetDateTime.ofInstant(Instant.now(), UTC).truncatedTo(ChronoUnit.MILLIS)
    val line = json.createObjectNode()
    val head = Seq(
      "time" -> now.toString.replace("Z", "+00:00"),
      "job" -> job,
      "run_id" -> runId,
      "event" -> event,
      "step" -> name
    )
    for ((key, value) <- head ++ fields)
      line.set[JsonNode](key, json.valueToTree[JsonNode](Mask.value(value, key))): Unit
    System.err.println(json.writeValueAsString(line))
    System.err.flush()
  }
}

private[tfspark] object Steps {
  private val Control = Shared.text("control characters").r

  /** One screen: a title and aligned fields. */
  def summary(title: String, fields: Seq[(String, Any)], out: PrintStream): Unit = {
    val shown = fields.map { case (key, value) =>
      key.replace("_", " ") -> short(Mask.value(value, key))
    }
    val width = shown.map(_._1.length).max
    out.println(s"\n$title")
    for ((key, value) <- shown) out.println(s"  ${key.padTo(width, ' ')}  $value")
    out.flush()
  }

  /** A text in which nothing controls the terminal, as `tfspark/console.py` has it. */
  def printable(text: String): String = Control.replaceAllIn(
    text,
    found =>
      Regex.quoteReplacement(found.matched.head match {
        case '\n' => "\\n"
        case '\r' => "\\r"
        case '\t' => "\\t"
        case c if c < 256 => f"\\x${c.toInt}%02x"
        case c => f"\\u${c.toInt}%04x"
      })
  )

  def round(value: Double, digits: Int): Double =
    BigDecimal(value).setScale(digits, BigDecimal.RoundingMode.HALF_EVEN).toDouble

  private def short(value: Any): String = value match {
    case whole @ (_: Int | _: Long) => "%,d".formatLocal(java.util.Locale.ROOT, whole)
    case real: Double if math.abs(real) >= 1000 => "%,.0f".formatLocal(java.util.Locale.ROOT, real)
    case real: Double =>
      val four = BigDecimal(real).round(new java.math.MathContext(4)).bigDecimal
      if (four.signum == 0) "0" else four.stripTrailingZeros.toPlainString
    case other => printable(Mask.text(other.toString))
  }
}
