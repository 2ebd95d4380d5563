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
  private val Float =
    """(?i)^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|nan|inf|infinity)$"""

  /** Apply a contract to a raw table.
    *
    * @param where
    *   the table's name in messages
    * @return
    *   the contract's columns, typed (null where a value is bad); `_tfspark_reasons`, an array of
    *   every reason why the row is bad, empty for a good row; `_tfspark_raw`, the raw text of a bad
    *   row, null for a good one
    * @throws ContractViolation
    *   a column is missing or has a type that cannot be taken without loss
    */
  def check(df: DataFrame, contract: Contract, where: String): DataFrame = {
    val (raw, text) = fields(df, contract)
    columnsFit(raw, contract, where)
    val values = contract.columns.zipWithIndex.map { case (column, i) =>
      typed(column, raw.schema(column.name).dataType).as(Typed + i)
    }
    val counted = countUnique(raw.select(col("*") +: values: _*), contract)
    val all = array_compact(array(reasons(contract): _*))
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
      val parsed = from_json(col(Json), MapType(StringType, StringType), Map.empty[String, String])
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
      case (_: StringType, list: ArrayType) => from_json(value, list, Map.empty[String, String])
      case (_: StringType, BinaryType) => expr(s"try_to_binary(${quote(column.name)}, 'base64')")
      case (_: StringType, FloatType | DoubleType) =>
        // Java's parser would take a trailing d or f too.
        when(trim(value).rlike(Float), trim(value).try_cast(target))
      case (_: StringType, _) => trim(value).try_cast(target)
      case _ =>
        val cast = value.try_cast(target)
        when(cast.try_cast(source) <=> value, cast)
    }
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
      Option.when(family == "string")(raw.contains(NotUtf8) -> told(" is not UTF-8")),
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
