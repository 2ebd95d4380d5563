package tfspark.job

import org.apache.spark.sql.expressions.Window
import org.apache.spark.sql.functions._
import org.apache.spark.sql.types._
import org.apache.spark.sql.{Column => Expression, DataFrame}
import scala.collection.immutable.VectorMap
import tfspark.shared.Shared.say
import tfspark.ContractViolation
import tfspark.job.Tables.{quote, Corrupt, Json, Raw, Reasons}

/** Row checks, as `tfspark/rowchecks/` has them: one pass over the raw table gives every bad row
  * all its reasons.
  */
private[tfspark] object RowChecks {
  private val Typed = "_tfspark_typed_"
  private val Times = "_tfspark_times_"
  private val JsonColumn = "_tfspark_fields"
  private val Base64 =
    "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?"

  /** Apply a contract to a raw table.
    *
    * @param where
    *   the table's name in messages
    * @param day
    *   the column that tells a row's day: a row without one is bad
    * @return
    *   the contract's columns, typed (null where a value is bad); `_tfspark_reasons`, an array of
    *   every reason why the row is bad, empty for a good row; `_tfspark_raw`, the raw text of a bad
    *   row, null for a good one
    * @throws ContractViolation
    *   a column is missing or has a type that cannot be taken without loss
    */
  def check(
      df: DataFrame,
      contract: Contract,
      where: String,
      day: Option[String] = None
  ): DataFrame = {
    val (raw, text) = fields(df, contract)
    columnsFit(raw, contract, where)
    val values = contract.columns.zipWithIndex.map { case (column, i) =>
      typed(column, raw.schema(column.name).dataType).as(Typed + i)
    }
    val counted = countUnique(raw.select(col("*") +: values: _*), contract)
    val all = array_compact(array(reasons(contract) ++ day.map(DayColumn.reason(df, _)): _*))
    // What was not cut into fields says nothing about its fields.
    val said =
      if (!counted.columns.contains(Corrupt)) all
      else {
        val broken = array(lit("the line does not have the fields of the table"))
        when(col(Corrupt).isNotNull, broken).otherwise(all)
      }
    val named = contract.columns.zipWithIndex.map { case (column, i) =>
      col(Typed + i).as(column.name)
    }
    val bad = when(size(col(Reasons)) > 0, text).as(Raw)
    counted.withColumn(Reasons, said).select(named ++ Seq(col(Reasons), bad): _*)
  }

  /** The raw columns by name, and the expression of a row's raw text. */
  private def fields(df: DataFrame, contract: Contract): (DataFrame, Expression) =
    if (df.columns.contains(Json)) {
      val names = contract.columns.map(_.name).filterNot(df.columns.contains)
      (withFields(df, names), make_valid_utf8(col(Json)))
    } else {
      val shown = df.columns.toSeq.filter(_ != Corrupt).map(name => col(quote(name)))
      val text = to_json(struct(shown: _*))
      val said = if (df.columns.contains(Corrupt)) coalesce(col(Corrupt), text) else text
      (df, make_valid_utf8(said))
    }

  /** Lines of JSON with their fields, and `_tfspark_corrupt`. */
  def withFields(df: DataFrame, names: Seq[String]): DataFrame = {
    val all = df.withColumn(JsonColumn, taken(names))
    val fields = names.zipWithIndex.map { case (name, i) => text(JsonColumn, i).as(name) }
    val kept = df.columns.toSeq.map(name => col(quote(name)))
    all.select((kept ++ fields) :+ text(JsonColumn, names.size).as(Corrupt): _*)
  }

  /** A field of JSON lines, as text. */
  def field(name: String): Expression = get(taken(Seq(name)), lit(0)).cast("string")

  private def taken(names: Seq[String]): Expression =
    udf((line: Array[Byte]) => JsonLines.fields(line, names)).apply(col(Json).cast("binary"))

  private def text(found: String, i: Int): Expression = get(col(found), lit(i)).cast("string")

  private def columnsFit(df: DataFrame, contract: Contract, where: String): Unit =
    for (column <- contract.columns) {
      if (!df.columns.contains(column.name)) {
        val there = df.columns.filterNot(_.startsWith("_tfspark")).toSeq
        val sign = Seq(";", "\t", "|").filter(sign => there.size == 1 && there.head.contains(sign))
        val hint = sign.headOption.fold("") { sign =>
          say("other_separator", "sign" -> sign.replace("\t", "\\t"))
        }
        val names = there.mkString(", ")
        val values =
          Seq("where" -> where, "column" -> column.name, "there" -> names, "hint" -> hint)
        throw new ContractViolation(say("no_column", values: _*))
      }
      val source = df.schema(column.name).dataType
      if (!takes(source, kind(column)))
        throw new ContractViolation(
          s"$where: column ${column.name} is ${source.simpleString}, the contract says " +
            s"${column.physicalType}: values would be lost; correct the contract or the table"
        )
    }

  private def kind(column: Column): DataType =
    Contract.sparkType(column.physicalType).getOrElse(StringType)

  private def isWhole(kind: DataType) =
    Set[DataType](ByteType, ShortType, IntegerType, LongType).contains(kind)

  private def isTime(kind: DataType) =
    Set[DataType](TimestampType, DateType, TimestampNTZType).contains(kind)

  /** Whether values of a type can be checked row by row against another without loss. */
  private def takes(source: DataType, target: DataType): Boolean = (source, target) match {
    case _ if source == target || source.isInstanceOf[StringType] => true
    case (_: ArrayType | _: StructType | _: MapType | BinaryType, _: StringType) => false
    case (_, _: StringType) => true
    case (_, FloatType) => source == ByteType || source == ShortType
    case (decimal: DecimalType, DoubleType) => decimal.precision <= 15
    case (_, DoubleType) => source.isInstanceOf[NumericType]
    case (_, whole) if isWhole(whole) => source.isInstanceOf[NumericType]
    case (_, _: DecimalType) => isWhole(source) || source.isInstanceOf[DecimalType]
    case (_, TimestampType | DateType) => isTime(source)
    case (from: ArrayType, to: ArrayType) =>
      takes(from.elementType, to.elementType) && !from.elementType.isInstanceOf[StringType]
    case _ => false
  }

  /** The value in the contract's type; null where it cannot be. */
  private def typed(column: Column, source: DataType): Expression = {
    val target = kind(column)
    val value = col(quote(column.name))
    (source, target) match {
      case _ if source == target => value
      case (_: StringType, BinaryType) => when(is(value, form(target)), unbase64(value))
      case (_: StringType, _) =>
        val text = formatted(trim(value), column)
        when(is(text, form(target)), parsed(text, target))
      case _ =>
        val cast = value.try_cast(target)
        when(cast.try_cast(source) <=> value, cast)
    }
  }

  /** A date or timestamp that is written otherwise, as ISO writes it. */
  private def formatted(text: Expression, column: Column): Expression =
    column.bounds.format
      .flatMap(DateFormat.rewriting(_, Contract.family(column.physicalType)))
      .fold(text) { case (pattern, iso) =>
        when(is(text, pattern), regexp_replace(text, s"\\A$pattern\\z", iso))
      }

  private def form(target: DataType): String = target match {
    case BooleanType => (OwnValues.True ++ OwnValues.False).mkString("(?i)(?:", "|", ")")
    case FloatType | DoubleType =>
      s"${OwnValues.Decimal}|(?i:[+-]?nan)|${OwnValues.Infinite}"
    case _: DecimalType => OwnValues.Decimal
    case DateType => OwnValues.Date
    case TimestampType => OwnValues.Timestamp
    case BinaryType => Base64
    case _: ArrayType => """(?s)\s*\[.*\]\s*"""
    case _ => OwnValues.Whole
  }

  private def is(text: Expression, form: String) = text.rlike(s"\\A(?:$form)\\z")

  /** A text that has the form of a type; null where a digit would be lost. */
  private def parsed(text: Expression, target: DataType): Expression = {
    val cast = target match {
      case TimestampType => DayColumn.withSeconds(text).try_cast(target)
      case _ => text.try_cast(target)
    }
    target match {
      case list: ArrayType =>
        // As a field, so that text behind the list is no JSON.
        val field = concat(lit("{\"a\":"), text, lit("}"))
        from_json(field, new StructType().add("a", list), Map.empty[String, String]).getField("a")
      case FloatType | DoubleType =>
        when(abs(cast) =!= Double.PositiveInfinity || is(text, OwnValues.Infinite), cast)
      case decimal: DecimalType =>
        when(fraction(text) <= decimal.scale, cast)
      case _ => cast
    }
  }

  /** How many digits of a decimal stand behind its point, zeros at the end not counted. */
  private def fraction(text: Expression): Expression = {
    val digits = regexp_replace(regexp_replace(text, "[eE].*", ""), "[^0-9]", "")
    val kept = length(regexp_replace(digits, "0+$", ""))
    val power = coalesce(regexp_extract(text, "[eE](.*)", 1).try_cast("int"), lit(0))
    val behind = length(regexp_extract(text, """\.([0-9]*)""", 1))
    when(kept === 0, 0).otherwise(behind - power - length(digits) + kept)
  }

  /** How many rows share the key, and each unique column's value: the only shuffles. */
  private def countUnique(df: DataFrame, contract: Contract): DataFrame =
    unique(contract).foldLeft(df) { case (df, (name, columns)) =>
      val values = columns.map(i => col(Typed + i))
      val complete = values.map(_.isNotNull).reduce(_ && _)
      // Rows without a complete key are spread, not gathered in one partition.
      val spread = when(!complete, monotonically_increasing_id())
      val times = count("*").over(Window.partitionBy(values :+ spread: _*))
      df.withColumn(Times + name, when(complete, times))
    }

  /** What must be unique: name for messages → positions of its columns. */
  private def unique(contract: Contract): VectorMap[String, Seq[Int]] = {
    val places = contract.columns.indices
    val keys = places.filter(contract.columns(_).key)
    val single = places.filter(contract.columns(_).unique).map { i =>
      contract.columns(i).name -> Seq(i)
    }
    VectorMap(keys.map(contract.columns(_).name).mkString(", ") -> keys) ++ single
  }

  private def reasons(contract: Contract): Seq[Expression] = {
    val checks = contract.columns.zipWithIndex.flatMap { case (column, i) =>
      ofColumn(column, col(quote(column.name)), col(Typed + i)).map { case (broken, said) =>
        when(broken, concat(lit(s"${column.name}: ") +: said: _*))
      }
    }
    checks ++ unique(contract).keys.map { name =>
      val times = col(quote(Times + name))
      val text = concat(lit(s"$name: there "), times.cast("string"), lit(" times"))
      when(times > 1, text)
    }
  }

  /** (is it broken, what to say of it) for every check of one column. */
  private def ofColumn(
      column: Column,
      raw: Expression,
      value: Expression
  ): Seq[(Expression, Seq[Expression])] = {
    val family = Contract.family(column.physicalType)
    val shown = substring(make_valid_utf8(raw.cast("string")), 1, 100)
    // An empty field of a text file is no value of any other type.
    val found =
      if (family == "string" || family == "binary") raw.isNotNull
      else raw.isNotNull && trim(raw.cast("string")) =!= ""
    // As Spark writes it, and so in every language.
    def own(value: Any) =
      lit(OwnValues.own(value, column.physicalType).fold(said => sys.error(said), identity))
        .cast(kind(column))
    def inWords(value: Any) = lit(value).cast("string")
    def told(text: String) = Seq(shown, lit(text))
    val bounds = column.bounds
    val nan = if (family == "float" || family == "double") isnan(value) else lit(false)
    Seq(
      Some((found && value.isNull) -> told(s" is not ${column.physicalType}")),
      Option.when(column.required || column.key)(!found -> Seq(lit("null"))),
      Option.when(family == "string") {
        !is_valid_utf8(raw.cast("string")) -> told(" is not UTF-8")
      },
      column.validValues.map { values =>
        val allowed = concat_ws(", ", values.map(inWords): _*)
        (value.isNotNull && !value.isin(values.map(own): _*)) ->
          (told(" is not one of ") :+ allowed)
      },
      bounds.minimum.map { end =>
        (value < own(end) || nan) -> (told(" is below the minimum ") :+ inWords(end))
      },
      bounds.exclusiveMinimum.map { end =>
        (value <= own(end) || nan) -> (told(" is not above ") :+ inWords(end))
      },
      // Spark sorts NaN above every number, so these refuse NaN too.
      bounds.maximum.map { end =>
        (value > own(end)) -> (told(" is above the maximum ") :+ inWords(end))
      },
      bounds.exclusiveMaximum.map { end =>
        (value >= own(end)) -> (told(" is not below ") :+ inWords(end))
      },
      bounds.multipleOf.map(n => (value % n =!= 0) -> told(s" is no multiple of $n")),
      bounds.pattern.map { pattern =>
        !Patterns.matching(pattern)(value) -> told(s" does not match $pattern")
      },
      bounds.minLength.map(n => (length(value) < n) -> told(s" is shorter than $n")),
      bounds.maxLength.map(n => (length(value) > n) -> told(s" is longer than $n")),
      bounds.minItems.map(n => (size(value) < n) -> told(s" has less than $n items")),
      bounds.maxItems.map(n => (size(value) > n) -> told(s" has more than $n items"))
    ).flatten
  }
}
