package tfspark.job

import java.time.LocalDate
import org.apache.spark.sql.functions._
import org.apache.spark.sql.types._
import org.apache.spark.sql.{Column => Expression, DataFrame}
import tfspark.ContractViolation
import tfspark.job.Tables.{quote, Json}

/** The column of a raw table that tells a row's day, and the day that is read:
  * `tfspark/daycolumn.py`. A row whose day is null, or cannot be read, is in none: it stays where a
  * day is read, for the checks to refuse.
  */
private[tfspark] final case class DayColumn(name: String, day: LocalDate) {

  /** The rows of the day, and those of no day.
    *
    * @throws ContractViolation
    *   there is no such column, or it cannot tell days
    */
  def rows(df: DataFrame, where: String): DataFrame = {
    val date = lit(java.sql.Date.valueOf(day))
    val found = DayColumn.of(df, name)
    if (!DayColumn.isJson(df)) {
      if (!df.columns.contains(name))
        throw new ContractViolation(
          s"$where: no column $name (source.day_column); there are: ${df.columns.mkString(", ")}"
        )
      df.schema(name).dataType match {
        case _: StringType | DateType | TimestampType | TimestampNTZType =>
        case kind =>
          throw new ContractViolation(
            s"$where: column $name (source.day_column) is ${kind.simpleString}, no date; have " +
              "days as YYYY-MM-DD, in a column of dates, timestamps or text"
          )
      }
    }
    df.where(found.isNull || found === date)
  }
}

private[tfspark] object DayColumn {
  // A date, or a time, of which the day counts in the session's zone. daycolumn.py has the same.
  private val Time =
    """\A(?!0000)[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6}0*)?)?""" +
      """(?: ?(?:Z|UTC|GMT|[+-][0-9]{2}(?::[0-9]{2})?))?)?\z"""

  /** The reason why a row is of no day; null where it has one. */
  def reason(df: DataFrame, name: String): Expression = {
    val shown = coalesce(substring(text(df, name), 1, 100), lit("null"))
    val said = concat(lit(s"$name: "), shown, lit(" is no day, YYYY-MM-DD"))
    when(of(df, name).isNull, said)
  }

  /** A time with its seconds: Spark's casts take a zone only behind them. */
  def withSeconds(text: Expression): Expression =
    regexp_replace(text, "^(.{16})([^:].*)$", "$1:00$2")

  /** The day of a row; null where there is none, or none that can be read: a number is none. */
  private def of(df: DataFrame, name: String): Expression =
    if (
      !isJson(df) && !df.schema.exists(f => f.name == name && f.dataType.isInstanceOf[StringType])
    )
      col(quote(name)).cast("date")
    else {
      val said = trim(text(df, name))
      when(said.rlike(Time), withSeconds(said).try_cast("timestamp").cast("date"))
    }

  private def text(df: DataFrame, name: String): Expression =
    if (!isJson(df)) col(quote(name)).cast("string")
    else {
      val fields = MapType(StringType, StringType)
      from_json(col(Json), fields, Map.empty[String, String]).getItem(name)
    }

  private def isJson(df: DataFrame) = df.columns.sameElements(Array(Json))
}
