package tfspark.table

import org.apache.parquet.column.{ColumnDescriptor, ColumnWriteStore, ColumnWriter}
import org.apache.parquet.io.api.Binary
import org.apache.parquet.schema.MessageType
import org.apache.spark.sql.catalyst.expressions.SpecializedGetters
import org.apache.spark.sql.types._
import scala.jdk.CollectionConverters._

/** Writes values of one field, nested or not, into Parquet's columns with their levels, as in
  * "Dremel: Interactive Analysis of Web-Scale Datasets" (2010) and parquet-format's LogicalTypes.
  *
  * @param defined
  *   the definition level of a null: its parents are there
  */
private[tfspark] sealed abstract class FieldWriter(defined: Int) {

  /** Nulls that `write` met. */
  var nulls = 0L

  /** Go on with the column writers of a new row group. */
  def bind(store: ColumnWriteStore): Unit

  /** A value of a row, of which there may be none. */
  def write(from: SpecializedGetters, at: Int): Unit = write(from, at, 0)

  /** A value, where `repeated` says which list it goes on with. */
  final def write(from: SpecializedGetters, at: Int, repeated: Int): Unit =
    if (from.isNullAt(at)) {
      nulls += 1
      none(repeated, defined)
    } else some(from, at, repeated)

  /** No value: it ends at a level. */
  def none(repeated: Int, level: Int): Unit

  protected def some(from: SpecializedGetters, at: Int, repeated: Int): Unit
}

private[tfspark] object FieldWriter {

  /** The writer of a top-level field of a schema that Spark made. */
  def apply(schema: MessageType, field: StructField): FieldWriter = {
    val leaves = schema.getColumns.asScala.iterator.filter(_.getPath.head == field.name)
    of(field.dataType, leaves, 0, 0)
  }

  private type Leaves = Iterator[ColumnDescriptor]

  /** @param defined
    *   the level at which a null ends
    * @param repeated
    *   lists around it
    */
  private def of(kind: DataType, leaves: Leaves, defined: Int, repeated: Int): FieldWriter =
    kind match {
      case struct: StructType =>
        val fields = struct.fields.map(f => of(f.dataType, leaves, defined + 1, repeated))
        new StructWriter(fields, defined)
      case ArrayType(element, _) =>
        new ListWriter(of(element, leaves, defined + 2, repeated + 1), defined, repeated)
      case MapType(key, value, _) =>
        // A key is required: it has no level of its own.
        val keys = of(key, leaves, defined + 1, repeated + 1)
        val values = of(value, leaves, defined + 2, repeated + 1)
        new MapWriter(keys, values, defined, repeated)
      case leaf => new LeafWriter(leaves.next(), leaf, defined)
    }

  /** Whether values of a type can be written. */
  def takes(kind: DataType): Boolean = kind match {
    case struct: StructType => struct.nonEmpty && struct.forall(field => takes(field.dataType))
    case ArrayType(element, _) => takes(element)
    case MapType(key, value, _) => takes(key) && takes(value)
    case BooleanType | ByteType | ShortType | IntegerType | LongType | FloatType | DoubleType |
        DateType | TimestampType | TimestampNTZType | BinaryType | _: DecimalType |
        _: StringType =>
      true
    case _ => false
  }

  /** A function of primitives: `Function3` would box the place of each value. */
  private trait Put { def apply(from: SpecializedGetters, at: Int, repeated: Int): Unit }

  private final class LeafWriter(
      column: ColumnDescriptor,
      kind: DataType,
      defined: Int
  ) extends FieldWriter(defined) {
    private var to: ColumnWriter = _
    private val full = column.getMaxDefinitionLevel

    override def bind(store: ColumnWriteStore): Unit = to = store.getColumnWriter(column)
    override def none(repeated: Int, level: Int): Unit = to.writeNull(repeated, level)
    override protected def some(from: SpecializedGetters, at: Int, repeated: Int): Unit =
      put(from, at, repeated)

    private val put: Put = kind match {
      case BooleanType => (from, at, repeated) => to.write(from.getBoolean(at), repeated, full)
      case ByteType => (from, at, repeated) => to.write(from.getByte(at).toInt, repeated, full)
      case ShortType => (from, at, repeated) => to.write(from.getShort(at).toInt, repeated, full)
      case IntegerType | DateType =>
        (from, at, repeated) => to.write(from.getInt(at), repeated, full)
      case LongType | TimestampType | TimestampNTZType =>
        (from, at, repeated) => to.write(from.getLong(at), repeated, full)
      case FloatType => (from, at, repeated) => to.write(from.getFloat(at), repeated, full)
      case DoubleType => (from, at, repeated) => to.write(from.getDouble(at), repeated, full)
      case BinaryType =>
        (from, at, repeated) => binary(from.getBinary(at), repeated)
      case _: StringType =>
        (from, at, repeated) => binary(from.getUTF8String(at).getBytes, repeated)
      case decimal: DecimalType =>
        val (precision, scale) = (decimal.precision, decimal.scale)
        if (precision <= Decimal.MAX_INT_DIGITS)
          (from, at, repeated) =>
            to.write(from.getDecimal(at, precision, scale).toUnscaledLong.toInt, repeated, full)
        else if (precision <= Decimal.MAX_LONG_DIGITS)
          (from, at, repeated) =>
            to.write(from.getDecimal(at, precision, scale).toUnscaledLong, repeated, full)
        else {
          val width = Decimal.minBytesForPrecision(precision)
          (from, at, repeated) => {
            val short = from.getDecimal(at, precision, scale).toJavaBigDecimal.unscaledValue
            val bytes = short.toByteArray
            val fill: Byte = if (short.signum < 0) -1 else 0
            binary(Array.fill(width - bytes.length)(fill) ++ bytes, repeated)
          }
        }
      case other => throw new IllegalArgumentException(s"a column of ${other.sql}")
    }

    private def binary(bytes: Array[Byte], repeated: Int): Unit =
      to.write(Binary.fromConstantByteArray(bytes), repeated, full)
  }

  private final class StructWriter(fields: Array[FieldWriter], defined: Int)
      extends FieldWriter(defined) {
    override def bind(store: ColumnWriteStore): Unit = fields.foreach(_.bind(store))
    override def none(repeated: Int, level: Int): Unit = fields.foreach(_.none(repeated, level))
    override protected def some(from: SpecializedGetters, at: Int, repeated: Int): Unit = {
      val struct = from.getStruct(at, fields.length)
      for (i <- fields.indices) fields(i).write(struct, i, repeated)
    }
  }

  private final class ListWriter(element: FieldWriter, defined: Int, lists: Int)
      extends FieldWriter(defined) {
    override def bind(store: ColumnWriteStore): Unit = element.bind(store)
    override def none(repeated: Int, level: Int): Unit = element.none(repeated, level)
    override protected def some(from: SpecializedGetters, at: Int, repeated: Int): Unit = {
      val list = from.getArray(at)
      val length = list.numElements()
      if (length == 0) none(repeated, defined + 1)
      var i = 0
      while (i < length) {
        element.write(list, i, if (i == 0) repeated else lists + 1)
        i += 1
      }
    }
  }

  private final class MapWriter(keys: FieldWriter, values: FieldWriter, defined: Int, lists: Int)
      extends FieldWriter(defined) {
    override def bind(store: ColumnWriteStore): Unit = Seq(keys, values).foreach(_.bind(store))
    override def none(repeated: Int, level: Int): Unit =
      Seq(keys, values).foreach(_.none(repeated, level))
    override protected def some(from: SpecializedGetters, at: Int, repeated: Int): Unit = {
      val map = from.getMap(at)
      if (map.numElements() == 0) none(repeated, defined + 1)
      for (i <- 0 until map.numElements()) {
        val level = if (i == 0) repeated else lists + 1
        keys.write(map.keyArray(), i, level)
        values.write(map.valueArray(), i, level)
      }
    }
  }
}
