package tfspark.tfrecord

import java.time.LocalDate
import java.time.format.DateTimeParseException
import scala.util.matching.Regex
import tfspark.ConfigError
import tfspark.tfrecord.ArrowType.Plain

/** Which files of a partitioned folder are read: the option `where`.
  *
  * {{{day >= '2026-01-01' and country in ('de', 'at') and hour != 3}}}
  *
  * Comparisons (`=`, `!=`, `<>`, `<`, `<=`, `>`, `>=`, `in`) of a column with literals, joined by
  * `and`. A null matches none, as in SQL.
  */
private[tfspark] object Prune {
  private val literal = """'(?:[^']|'')*'|-?\d+|true|false"""
  private val term =
    ("""(?iU)\s*(`[^`]+`|[^\W\d]\w*)\s*(?:(=|!=|<>|<=|>=|<|>)\s*(""" + literal +
      """)|in\s*\(((?:\s*(?:""" + literal + """)\s*,?)+)\))\s*(?:and\b|$)""").r
  private val literals = s"(?i)$literal".r

  private type Test = FileEntry => Boolean

  /** The files whose partition values fulfil a condition; all for an empty one.
    *
    * @throws ConfigError
    *   it is no such condition, or names a column that is no partition column
    */
  def apply(folder: Folder, where: String): Seq[FileEntry] = {
    val text = where.replaceAll("\\s+$", "")
    def tests(at: Int): List[Test] =
      if (at >= text.length) Nil
      else
        term.findPrefixMatchOf(text.substring(at)) match {
          case Some(found) => test(folder, found) :: tests(at + found.end)
          case None =>
            throw new ConfigError(
              s"where: cannot read ${Repr(text.drop(at).trim)}; write comparisons of partition " +
                "columns with literals, joined by and: day >= '2026-01-01' and hour in (1, 2)"
            )
        }
    val all = tests(0)
    folder.files.filter(entry => all.forall(_(entry)))
  }

  private def test(folder: Folder, found: Regex.Match): Test = {
    val name = found.group(1).replaceAll("^`|`$", "")
    val column = folder.partitionBy.find(_.name == name).getOrElse {
      throw new ConfigError(
        s"where: $name is no partition column of ${folder.path}; those are " +
          Repr.list(folder.partitionBy.map(_.name))
      )
    }
    val listed = Option(found.group(3)).getOrElse(found.group(4))
    val values = literals.findAllIn(listed).map(value(name, _, column.kind)).toSeq
    def of(entry: FileEntry) = Option(entry.partition(name))
    def compared(fits: Int => Boolean): Test =
      entry => of(entry).exists(one => fits(compare(one, values.head)))
    found.group(2) match {
      case null => entry => of(entry).exists(values.contains)
      case "=" => compared(_ == 0)
      case "!=" | "<>" => compared(_ != 0)
      case "<" => compared(_ < 0)
      case "<=" => compared(_ <= 0)
      case ">" => compared(_ > 0)
      case _ => compared(_ >= 0)
    }
  }

  private def compare(one: Any, other: Any): Int = (one, other) match {
    case (a: Long, b: Long) => a.compare(b)
    case (a: Boolean, b: Boolean) => a.compare(b)
    case (a: LocalDate, b: LocalDate) => a.compareTo(b)
    // By code points, as Spark and Python do.
    case (a, b) => utf8(a).compareTo(utf8(b))
  }

  private def utf8(value: Any) =
    org.apache.spark.unsafe.types.UTF8String.fromString(value.toString)

  private def value(name: String, literal: String, kind: ArrowType): Any = {
    val text =
      if (literal.startsWith("'")) literal.drop(1).dropRight(1).replace("''", "'") else literal
    def none() = throw new ConfigError(s"where: $name is $kind, $literal is none")
    try
      kind match {
        case Plain("bool") => text.toLowerCase.toBooleanOption.getOrElse(none())
        case Plain("date32[day]") => LocalDate.parse(text)
        case Plain(int) if int.contains("int") => text.toLong
        case _ => text
      }
    catch { case _: DateTimeParseException | _: NumberFormatException => none() }
  }
}
