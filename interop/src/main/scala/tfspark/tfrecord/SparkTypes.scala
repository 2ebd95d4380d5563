package tfspark.tfrecord

import org.apache.spark.sql.types._
import tfspark.ConfigError
import tfspark.tfrecord.{ArrowType => A}

/** Spark's types and Arrow's, as a TFRecord folder holds them. */
private[tfspark] object SparkTypes {

  /** The Spark schema that rows are read as; everything may be null.
    *
    * Types that Spark lacks become the next that holds all their values: uint8 a short, uint64 a
    * decimal(20), half float a float, a time in any unit Spark's time.
    *
    * @throws ConfigError
    *   Spark has no type for a column
    */
  def toSpark(fields: Seq[ArrowField]): StructType = StructType(fields.map { field =>
    val kind = ofArrow(field.kind).getOrElse {
      throw new ConfigError(
        s"column ${field.name}: Spark has no type for ${field.kind}: leave it out (option columns)"
      )
    }
    StructField(field.name, kind)
  })

  private def ofArrow(kind: ArrowType): Option[DataType] = kind match {
    case A.Plain(name) => plain.get(name)
    case A.Timestamp(_, zone) => Some(if (zone == null) TimestampNTZType else TimestampType)
    case A.Timed("duration", _) => Some(DayTimeIntervalType())
    case A.Timed(_, _) => Some(TimeType())
    case A.Decimal(_, precision, scale) if precision <= DecimalType.MAX_PRECISION && scale >= 0 =>
      Some(DecimalType(precision, scale))
    case A.Decimal(_, _, _) => None
    case A.FixedBinary(_) => Some(BinaryType)
    case A.ListOf(_, item, _) => ofArrow(item.kind).map(ArrayType(_))
    case A.Struct(fields) =>
      val inner = fields.map(field => ofArrow(field.kind).map(StructField(field.name, _)))
      if (inner.forall(_.isDefined)) Some(StructType(inner.flatten)) else None
  }

  private val plain: Map[String, DataType] = Map(
    "bool" -> BooleanType,
    "int8" -> ByteType,
    "int16" -> ShortType,
    "int32" -> IntegerType,
    "int64" -> LongType,
    "uint8" -> ShortType,
    "uint16" -> IntegerType,
    "uint32" -> LongType,
    "uint64" -> DecimalType(20, 0),
    "halffloat" -> FloatType,
    "float" -> FloatType,
    "double" -> DoubleType,
    "date32[day]" -> DateType,
    "date64[ms]" -> DateType
  ) ++ Seq("string", "large_string", "string_view").map(_ -> StringType) ++
    Seq("binary", "large_binary", "binary_view").map(_ -> BinaryType)

  /** The Arrow schema of Spark's rows; timestamps are UTC, everything may be null.
    *
    * @throws ConfigError
    *   a column of a type that no TFRecord file holds
    */
  def toArrow(schema: StructType): Seq[ArrowField] =
    schema.map(field => ArrowField(field.name, toArrow(field.name, field.dataType), true))

  /** The same of a schema to read with: a column that may not be null stays one. */
  def toRead(schema: StructType): Seq[ArrowField] = {
    def strict(field: ArrowField, as: StructField): ArrowField = {
      val kind = (field.kind, as.dataType) match {
        case (A.Struct(fields), StructType(inner)) =>
          A.Struct(fields.zip(inner).map { case (one, other) => strict(one, other) })
        case (kind, _) => kind
      }
      field.copy(kind = kind, nullable = as.nullable)
    }
    toArrow(schema).zip(schema).map { case (one, other) => strict(one, other) }
  }

  private def toArrow(name: String, kind: DataType): ArrowType = kind match {
    case BooleanType => A.Plain("bool")
    case ByteType => A.Plain("int8")
    case ShortType => A.Plain("int16")
    case IntegerType => A.Plain("int32")
    case LongType => A.Plain("int64")
    case FloatType => A.Plain("float")
    case DoubleType => A.Plain("double")
    case _: StringType => A.Plain("string")
    case BinaryType => A.Plain("binary")
    case DateType => A.Plain("date32[day]")
    case TimestampType => A.Timestamp("us", "UTC")
    case TimestampNTZType => A.Timestamp("us", null)
    case _: DayTimeIntervalType => A.Timed("duration", "us")
    case _: TimeType => A.Timed("time64", "ns")
    case decimal: DecimalType => A.Decimal(128, decimal.precision, decimal.scale)
    case ArrayType(item, _) => A.ListOf("list", ArrowField("element", toArrow(name, item), true))
    case StructType(fields) =>
      A.Struct(fields.toSeq.map { field =>
        ArrowField(field.name, toArrow(s"$name.${field.name}", field.dataType), true)
      })
    case vector if Vectors.is(vector) => toArrow(name, Vectors.asArray)
    case _ =>
      throw new ConfigError(
        s"column $name: an Example holds no ${kind.simpleString}; leave the column out or make it " +
          "numbers, text or arrays of them"
      )
  }
}
