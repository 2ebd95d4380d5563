package tfspark.job

import com.fasterxml.jackson.databind.JsonNode
import java.time.{DateTimeException, LocalDate}
import tfspark.job.Misfit.refuse
import tfspark.shared.Shared.say

/** Single values as the Python side takes them: `strict` takes a value's own type alone. */
private[tfspark] object Scalars {

  def text(spec: JsonNode, value: Any, path: Vector[Any]): String = value match {
    case text: String =>
      val least = spec.path("minLength").asInt(0)
      if (text.length < least) refuse(path, say("too_short", "min_length" -> least))
      val pattern = spec.path("pattern").asText
      // The end of the text, as Python has it, and not before a line's end there.
      if (pattern.nonEmpty && pattern.replaceAll("\\$$", "\\\\z").r.findFirstIn(text).isEmpty)
        refuse(path, say("string_pattern_mismatch", "pattern" -> pattern))
      text
    case _ => refuse(path, say("string_type"))
  }

  def whole(value: Any, path: Vector[Any], strict: Boolean): Any = {
    def refused = refuse(path, say("int_type"))
    value match {
      case _: Long | _: BigInt => value
      case _ if strict => refused
      case flag: Boolean => if (flag) 1L else 0L
      case number: Double if number == math.rint(number) && math.abs(number) < 1e18 => number.toLong
      case text: String =>
        text.trim.replaceFirst("""^\+?(\d+)\.0+$""", "$1").toLongOption.getOrElse(refused)
      case _ => refused
    }
  }

  def number(value: Any, path: Vector[Any], strict: Boolean): Any = {
    def refused = refuse(path, say("float_type"))
    value match {
      case _: Double => value
      case _ if strict => refused
      case whole: Long => whole.toDouble
      case whole: BigInt => whole.toDouble
      case flag: Boolean => if (flag) 1.0 else 0.0
      case text: String => text.trim.toDoubleOption.getOrElse(refused)
      case _ => refused
    }
  }

  def bounded(spec: JsonNode, value: Any, path: Vector[Any]): Any = {
    val number = value match {
      case whole: Long => BigDecimal(whole)
      case real: Double if real.isNaN || real.isInfinite => return value
      case other => BigDecimal(other.toString)
    }
    def check(name: String, text: String, short: String)(fits: BigDecimal => Boolean): Unit =
      if (spec.has(name) && !fits(BigDecimal(spec.get(name).asText)))
        refuse(path, say(text, short -> spec.get(name).asText.stripSuffix(".0")))
    check("exclusiveMinimum", "greater_than", "gt")(number > _)
    check("minimum", "greater_than_equal", "ge")(number >= _)
    check("exclusiveMaximum", "less_than", "lt")(number < _)
    check("maximum", "less_than_equal", "le")(number <= _)
    value
  }

  def boolean(value: Any, path: Vector[Any], strict: Boolean): Boolean = {
    def refused = refuse(path, say("bool_type"))
    value match {
      case flag: Boolean => flag
      case _ if strict => refused
      case text: String =>
        text.toLowerCase match {
          case "1" | "true" | "t" | "yes" | "y" | "on" => true
          case "0" | "false" | "f" | "no" | "n" | "off" => false
          case _ => refused
        }
      case 1L => true
      case 0L => false
      case _ => refused
    }
  }

  def date(value: Any, path: Vector[Any]): LocalDate = {
    def refused = refuse(path, say("date_type"))
    value match {
      case date: LocalDate => date
      case text: String if text.matches("\\d{4}-\\d\\d-\\d\\d([T ]00:00(:00)?Z?)?") =>
        try Some(LocalDate.parse(text.take(10))).filter(_.getYear > 0).getOrElse(refused)
        catch { case _: DateTimeException => refused }
      case _ => refused
    }
  }
}
