package tfspark.job

import com.fasterxml.jackson.databind.JsonNode
import java.time.{DateTimeException, LocalDate}
import tfspark.job.Misfit.refuse

/** Single values as pydantic takes them: `strict` takes a value's own type alone. */
private[tfspark] object Scalars {

  def text(spec: JsonNode, value: Any, path: Vector[Any]): String = value match {
    case text: String =>
      val least = spec.path("minLength").asInt(0)
      if (text.length < least) {
        val plural = if (least == 1) "" else "s"
        refuse(path, s"String should have at least $least character$plural")
      }
      val pattern = spec.path("pattern").asText
      if (pattern.nonEmpty && pattern.r.findFirstIn(text).isEmpty)
        refuse(path, s"String should match pattern '$pattern'")
      text
    case _ => refuse(path, "Input should be a valid string")
  }

  def whole(value: Any, path: Vector[Any], strict: Boolean): Any = {
    val what = "Input should be a valid integer"
    value match {
      case _: Long | _: BigInt => value
      case _ if strict => refuse(path, what)
      case flag: Boolean => if (flag) 1L else 0L
      case number: Double if number == math.rint(number) && math.abs(number) < 1e18 => number.toLong
      case _: Double => refuse(path, s"$what, got a number with a fractional part")
      case text: String =>
        text.trim.replaceFirst("""^\+?(\d+)\.0+$""", "$1").toLongOption
          .getOrElse(refuse(path, s"$what, unable to parse string as an integer"))
      case _ => refuse(path, what)
    }
  }

  def number(value: Any, path: Vector[Any], strict: Boolean): Any = {
    val what = "Input should be a valid number"
    value match {
      case _: Double => value
      case _ if strict => refuse(path, what)
      case whole: Long => whole.toDouble
      case whole: BigInt => whole.toDouble
      case flag: Boolean => if (flag) 1.0 else 0.0
      case text: String =>
        text.trim.toDoubleOption
          .getOrElse(refuse(path, s"$what, unable to parse string as a number"))
      case _ => refuse(path, what)
    }
  }

  def bounded(spec: JsonNode, value: Any, path: Vector[Any]): Any = {
    val number = value match {
      case whole: Long => BigDecimal(whole)
      case real: Double if real.isNaN || real.isInfinite => return value
      case other => BigDecimal(other.toString)
    }
    def check(name: String, said: String)(fits: BigDecimal => Boolean): Unit =
      if (spec.has(name) && !fits(BigDecimal(spec.get(name).asText)))
        refuse(path, s"Input should be $said ${spec.get(name).asText.stripSuffix(".0")}")
    check("exclusiveMinimum", "greater than")(number > _)
    check("minimum", "greater than or equal to")(number >= _)
    check("exclusiveMaximum", "less than")(number < _)
    check("maximum", "less than or equal to")(number <= _)
    value
  }

  def boolean(value: Any, path: Vector[Any], strict: Boolean): Boolean = {
    val what = "Input should be a valid boolean"
    value match {
      case flag: Boolean => flag
      case _ if strict => refuse(path, what)
      case text: String =>
        text.toLowerCase match {
          case "1" | "true" | "t" | "yes" | "y" | "on" => true
          case "0" | "false" | "f" | "no" | "n" | "off" => false
          case _ => refuse(path, s"$what, unable to interpret input")
        }
      case 1L => true
      case 0L => false
      case _: Long => refuse(path, s"$what, unable to interpret input")
      case _ => refuse(path, what)
    }
  }

  def date(value: Any, path: Vector[Any]): LocalDate = {
    def wrong(why: String) = refuse(path, s"Input should be a valid date or datetime, $why")
    value match {
      case date: LocalDate => date
      case text: String =>
        def digits(from: Int, until: Int, what: String): Int = {
          val part = text.substring(from, until)
          if (part.forall(_.isDigit)) part.toInt else wrong(s"invalid character in $what")
        }
        if (text.length < 10) wrong("input is too short")
        val year = digits(0, 4, "year")
        if (text(4) != '-') wrong("invalid date separator, expected `-`")
        val month = digits(5, 7, "month")
        if (text(7) != '-') wrong("invalid date separator, expected `-`")
        val day = digits(8, 10, "day")
        if (month < 1 || month > 12) wrong("month value is outside expected range of 1-12")
        val date =
          try LocalDate.of(year, month, day)
          catch { case _: DateTimeException => wrong("day value is outside expected range") }
        if (text.length > 10 && !text.substring(10).matches("[Tt_ ]00:00(:00)?Z?"))
          wrong("invalid datetime separator, expected `T`, `t`, `_` or space")
        date
      case _ => refuse(path, "Input should be a valid date")
    }
  }
}
