package tfspark.job

import java.math.{BigDecimal => Exact}
import java.nio.charset.StandardCharsets.UTF_8
import java.time.{DateTimeException, Instant, LocalDate, OffsetDateTime}
import tfspark.shared.Shared.say

/** The values that a contract names, in a column's own type: `tfspark/contracts/values.py`. */
private[tfspark] object OwnValues {
  val Whole = "[+-]?[0-9]+"
  val Decimal = """[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"""
  val Infinite = "(?i:[+-]?inf(?:inity)?)"
  val True: Seq[String] = Seq("t", "true", "y", "yes", "1")
  val False: Seq[String] = Seq("f", "false", "n", "no", "0")
  private val Day = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
  val Date: String = Day + """(?:[ T]00:00(?::00(?:\.0+)?)?)?"""
  val Timestamp: String = Day +
    """(?:[ T][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6}0*)?)?""" +
    "(?: ?(?:Z|UTC|GMT|[+-][0-9]{2}(?::[0-9]{2})?))?)?"
  val Bits: Map[String, Int] = Map("tinyint" -> 8, "smallint" -> 16, "int" -> 32, "bigint" -> 64)

  /** The value in the type: String, bytes, Boolean, Long, Double, BigDecimal, LocalDate, Instant;
    * or what is wrong with it.
    */
  def own(value: Any, physical: String): Either[String, Any] = {
    val text = spelled(value)
    val kind = Contract.family(physical)
    val made =
      try
        (kind, value) match {
          case ("string", said: String) => Some(said)
          case ("binary", said: String) => Some(said.getBytes(UTF_8))
          case ("boolean", _) =>
            val said = text.toLowerCase
            Option.when((True ++ False).contains(said))(True.contains(said))
          case (whole, _) if Bits.contains(whole) => ofWhole(value, text, Bits(whole))
          case (_, _: Boolean) | (_, null) => None
          case ("float" | "double", _) => ofFloat(text, kind)
          case ("decimal", _) => ofDecimal(text, physical)
          case ("date", _) =>
            Option.when(text.matches(Date))(LocalDate.parse(text.take(10)))
          case ("timestamp", _) => Option.when(text.matches(Timestamp))(instant(text))
          case _ => None
        }
      catch { case _: DateTimeException | _: NumberFormatException => None }
    made.toRight(say("no_own_value", "value" -> text, "type" -> physical))
  }

  /** As YAML has it. */
  def spelled(value: Any): String = value match {
    case null => "null"
    case number: Double if number.isWhole && math.abs(number) < 1e16 =>
      f"${number.toLong}%d.0"
    case number: Double if number.isNaN => "nan"
    case number: Double if number.isInfinite => if (number > 0) "inf" else "-inf"
    case other => other.toString
  }

  private def ofWhole(value: Any, text: String, bits: Int): Option[Long] = {
    val number = value match {
      case real: Double if real.isWhole => Some(BigDecimal(real).toBigInt)
      case _ if text.matches(Whole) => Some(BigInt(text.stripPrefix("+")))
      case _ => None
    }
    val most = BigInt(2).pow(bits - 1)
    number.filter(n => n >= -most && n < most).map(_.toLong)
  }

  private def ofFloat(text: String, kind: String): Option[Double] =
    Option.when(text.matches(s"$Decimal|(?i:[+-]?nan)|$Infinite")) {
      val number =
        if (text.matches(Infinite))
          if (text.startsWith("-")) Double.NegativeInfinity else Double.PositiveInfinity
        else if (text.toLowerCase.endsWith("nan")) Double.NaN
        else text.toDouble
      if (kind == "float") number.toFloat.toDouble else number
    }.filter(number => !number.isInfinite || text.matches(Infinite))

  private def ofDecimal(text: String, physical: String): Option[Exact] = {
    val digits = "[0-9]+".r.findAllIn(physical).map(_.toInt).toSeq
    val (precision, scale) = (digits.head, digits.last)
    Option.when(text.matches(Decimal))(new Exact(text)).filter { number =>
      val bare = number.stripTrailingZeros
      bare.scale <= scale && bare.precision - bare.scale <= precision - scale || bare.signum == 0
    }
  }

  private def instant(text: String): Instant = {
    val zoned = text.replaceFirst(" ?(?:Z|UTC|GMT)$", "+00:00").replaceFirst(" (?=[+-])", "")
    val (day, rest) = (zoned.take(10), zoned.drop(11))
    val (time, zone) = rest.span(c => c != '+' && c != '-')
    val clock = if (time.isEmpty) "00:00" else time.replaceFirst("""(\.[0-9]{1,6})0*$""", "$1")
    val offset = if (zone.isEmpty) "+00:00" else if (zone.length == 3) s"$zone:00" else zone
    OffsetDateTime.parse(s"${day}T$clock$offset").toInstant
  }
}

/** `format` of dates and timestamps as text: `tfspark/contracts/dateformat.py`. */
private[tfspark] object DateFormat {
  private val Parts = Map(
    "yyyy" -> 'y',
    "uuuu" -> 'y',
    "MM" -> 'M',
    "dd" -> 'd',
    "HH" -> 'H',
    "mm" -> 'm',
    "ss" -> 's'
  )
  private val Token = """yyyy|uuuu|MM|dd|HH|mm|ss|S{1,6}|[ZXx]+|'[^']*'|T|[^A-Za-z']""".r
  private val Whole = Set("yMd", "yMdHm", "yMdHms", "yMdHmsS", "yMdHmz", "yMdHmsz", "yMdHmsSz")

  /** The pattern of a text, and what stands for it in ISO, with the pattern's groups; None for
    * other letters, a part that is there twice, or one that is missing.
    */
  def rewriting(form: String, kind: String): Option[(String, String)] = {
    val tokens = Token.findAllIn(form).toSeq
    val parts = tokens.map { text =>
      Parts.get(text).orElse(text.head match {
        case 'S' => Some('S')
        case 'Z' | 'X' | 'x' => Some('z')
        case _ => None
      })
    }
    val named = parts.flatten
    val groups = named.zipWithIndex.map { case (part, i) => part -> s"$$${i + 1}" }.toMap
    val there = "yMdHmsSz".filter(groups.contains)
    val fits = if (kind == "date") there == "yMd" else Whole(there)
    Option.when(tokens.mkString == form && named.distinct == named && fits) {
      val pattern = tokens.zip(parts).map {
        case (_, Some('z')) => "(Z|[+-][0-9]{2}:?[0-9]{2})"
        case (text, Some(_)) => s"([0-9]{${text.length}})"
        case (text, None) => literal(if (text == "''") "'" else text.replaceAll("^'|'$", ""))
      }
      val clock = if (there.contains('H')) s" ${groups('H')}:${groups('m')}" else ""
      val seconds = groups.get('s').fold("")(":" + _) + groups.get('S').fold("")("." + _)
      val iso = s"${groups('y')}-${groups('M')}-${groups('d')}"
      (pattern.mkString, iso + clock + seconds + groups.getOrElse('z', ""))
    }
  }

  private def literal(text: String) = text.map {
    case c if c.isLetterOrDigit || c == ' ' => c.toString
    case c if c == '^' || c == '\\' => s"\\$c"
    case c => s"[$c]"
  }.mkString
}
