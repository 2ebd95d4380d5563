package tfspark.job

import org.apache.spark.sql.expressions.Window
import org.apache.spark.sql.functions._
import org.apache.spark.sql.types._
import org.apache.spark.sql.{Column => Expression, DataFrame}
import scala.collection.immutable.VectorMap
import tfspark.ContractViolation
import tfspark.job.Tables.{quote, Corrupt, Json, Raw, Reasons}

/** Row checks, as `tfspark/contracts/checks.py` has them: one pass over the raw table gives every
  * bad row all its reasons.
  */
private[tfspark] object RowChecks {
  private val Typed = "_tfspark_typed_"
  private val Times = "_tfspark_times_"
  private val NotUtf8 = "\ufffd"
  // What Spark's casts take, and more, is taken only in these forms; checks.py has the same.
  private val Digits = """[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"""
  private val Infinite = "(?i)[+-]?inf(?:inity)?"
  private val Day = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
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
    if (df.columns.sameElements(Array(Json))) {
      // In brackets, so that text behind an object is no JSON.
      val inside = concat(lit("["), col(Json), lit("]"))
      val maps = ArrayType(MapType(StringType, StringType))
      val found = from_json(inside, maps, Map("allowSingleQuotes" -> "false"))
      val parsed = when(size(found) === 1, get(found, lit(0)))
      val taken = contract.columns.map(c => parsed.getItem(c.name).as(c.name))
      // from_json gives an empty map or null for what is no object.
      val broken = when(parsed.isNull || size(parsed) === 0, col(Json)).as(Corrupt)
      (df.select((col(Json) +: taken) :+ broken: _*), col(Json))
    } else {
      val shown = df.columns.toSeq.filter(_ != Corrupt).map(name => col(quote(name)))
      val text = to_json(struct(shown: _*))
      (df, if (df.columns.contains(Corrupt)) coalesce(col(Corrupt), text) else text)
    }

  private def columnsFit(df: DataFrame, contract: Contract, where: String): Unit =
    for (column <- contract.columns) {
      if (!df.columns.contains(column.name)) {
        val there = df.columns.filterNot(_.startsWith("_tfspark")).mkString(", ")
        throw new ContractViolation(
          s"$where: column ${column.name} of the contract is missing; there are: $there"
        )
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
        val text = trim(value)
        when(is(text, form(target)), parsed(text, target))
      case _ =>
        val cast = value.try_cast(target)
        when(cast.try_cast(source) <=> value, cast)
    }
  }

  private def form(target: DataType): String = target match {
    case BooleanType => "(?i)(?:t|true|y|yes|1|f|false|n|no|0)"
    case FloatType | DoubleType => s"$Digits|(?i)[+-]?nan|$Infinite"
    case _: DecimalType => Digits
    case DateType => Day + """(?:[ T]00:00(?::00(?:\.0+)?)?)?"""
    case TimestampType =>
      Day + """(?:[ T][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6}0*)?)?""" +
        "(?: ?(?:Z|UTC|GMT|[+-][0-9]{2}(?::[0-9]{2})?))?)?"
    case BinaryType => Base64
    case _: ArrayType => """(?s)\s*\[.*\]\s*"""
    case _ => "[+-]?[0-9]+"
  }

  private def is(text: Expression, form: String) = text.rlike(s"\\A(?:$form)\\z")

  /** A text that has the form of a type; null where a digit would be lost. */
  private def parsed(text: Expression, target: DataType): Expression = {
    val cast = text.try_cast(target)
    target match {
      case list: ArrayType =>
        // As a field, so that text behind the list is no JSON.
        val field = concat(lit("{\"a\":"), text, lit("}"))
        from_json(field, new StructType().add("a", list), Map.empty[String, String]).getField("a")
      case FloatType | DoubleType =>
        when(abs(cast) =!= Double.PositiveInfinity || is(text, Infinite), cast)
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
    val shown = substring(raw.cast("string"), 1, 100)
    // An empty field of a text file is no value of any other type.
    val found =
      if (family == "string" || family == "binary") raw.isNotNull
      else raw.isNotNull && trim(raw.cast("string")) =!= ""
    // As Spark writes it, and so in every language.
    def inWords(value: Any) = lit(value).cast("string")
    def told(text: String) = Seq(shown, lit(text))
    val bounds = column.bounds
    val nan = if (family == "float" || family == "double") isnan(value) else lit(false)
    Seq(
      Some((found && value.isNull) -> told(s" is not ${column.physicalType}")),
      Option.when(column.required || column.key)(!found -> Seq(lit("null"))),
      Option.when(family == "string") {
        (raw.contains(NotUtf8) || !is_valid_utf8(raw.cast("string"))) -> told(" is not UTF-8")
      },
      column.validValues.map { values =>
        val allowed = concat_ws(", ", values.map(inWords): _*)
        (value.isNotNull && !value.isin(values: _*)) -> (told(" is not one of ") :+ allowed)
      },
      bounds.minimum.map { least =>
        (value < least || nan) -> (told(" is below the minimum ") :+ inWords(least))
      },
      // Spark sorts NaN above every number, so this refuses NaN too.
      bounds.maximum.map { most =>
        (value > most) -> (told(" is above the maximum ") :+ inWords(most))
      },
      bounds.pattern.map { pattern =>
        !value.rlike(s"\\A(?:$pattern)\\z") -> told(s" does not match $pattern")
      },
      bounds.minLength.map(n => (length(value) < n) -> told(s" is shorter than $n")),
      bounds.maxLength.map(n => (length(value) > n) -> told(s" is longer than $n"))
    ).flatten
  }
}
