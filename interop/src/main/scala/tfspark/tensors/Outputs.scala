package tfspark.tensors

import java.nio.charset.StandardCharsets.UTF_8
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.util.{ArrayData, GenericArrayData}
import org.apache.spark.sql.types._
import org.apache.spark.unsafe.Platform
import org.apache.spark.unsafe.types.UTF8String
import tfspark.SignatureError

/** One output of a batch, on the heap: the tensor may be closed. */
private[tfspark] abstract class OutputColumn {

  /** Put the value of a row into a field. */
  def put(row: Int, to: InternalRow, field: Int): Unit

  /** The values of all rows as an array; None where they are lists. */
  def block: Option[AnyRef] = None
}

/** A value of a model that no column can hold: the model's fault for that row. */
private[tfspark] final class BadOutput(message: String) extends RuntimeException(message)

private[tfspark] object OutputColumn {

  /** The dtypes of outputs that a column can hold. */
  val Dtypes: Seq[String] = Values.Dtypes

  /** The column that an output becomes: `[rows]` and `[rows, 1]` give one value, else lists. */
  def kindOf(spec: TensorSpec): DataType = {
    val leaf = spec.dtype match {
      case "bool" => BooleanType
      // Spark has no unsigned numbers: the next wider type holds them.
      case "int8" => ByteType
      case "uint8" | "int16" => ShortType
      case "uint16" | "int32" => IntegerType
      case "uint32" | "int64" | "uint64" => LongType
      case "float16" | "bfloat16" | "float32" => FloatType
      case "float64" => DoubleType
      case "string" => StringType
    }
    if (isScalar(spec)) leaf
    else spec.shape.foldLeft(leaf: DataType)((kind, _) => ArrayType(kind))
  }

  /** The first `rows` rows of an output.
    *
    * @throws SignatureError
    *   it is not what the signature promises
    * @throws BadOutput
    *   a text that is no UTF-8, an uint64 that no Spark type holds
    */
  def read(tensor: NativeTensor, spec: TensorSpec, rows: Int, fed: Int): OutputColumn = {
    val shape = tensor.shape
    def printed(sizes: Seq[Long]) =
      if (sizes.size == 1) s"(${sizes.head},)" else sizes.mkString("(", ", ", ")")
    if (shape.isEmpty || shape.head != fed)
      throw new SignatureError(
        s"output ${spec.name} has shape ${printed(shape)} for $fed rows: the model does not give " +
          "one result a row, so it cannot score a table"
      )
    val row = shape.tail
    if (isScalar(spec)) {
      if (row.product != 1)
        throw new SignatureError(
          s"a tensor of shape ${printed(shape)} does not hold one value a row"
        )
    } else if (row.size != spec.shape.size || !row.zip(spec.shape).forall(fits))
      throw new SignatureError(
        s"rows of shape ${printed(row)}, the signature says ${printed(spec.shape)}"
      )
    val values = leaves(tensor, spec.dtype, rows * row.product.toInt)
    if (isScalar(spec)) values else new Lists(values, row.map(_.toInt))
  }

  private val TooLarge = "above the largest bigint"

  private def isScalar(spec: TensorSpec) = spec.shape.isEmpty || spec.shape == Seq(1L)

  private def fits(sizes: (Long, Long)) = sizes._2 < 0 || sizes._1 == sizes._2

  /** Values end to end, not yet in lists. */
  private abstract class Leaves(values: Array[_]) extends OutputColumn {
    override def block: Option[AnyRef] = Some(values)
    def array(from: Int, count: Int): ArrayData =
      ArrayData.toArrayData(values.slice(from, from + count))
  }

  private def leaves(tensor: NativeTensor, dtype: String, count: Int): Leaves = {
    def shorts = {
      val values = new Array[Short](count)
      tensor.read(values, Platform.SHORT_ARRAY_OFFSET, count * 2L)
      values
    }
    def ints = {
      val values = new Array[Int](count)
      tensor.read(values, Platform.INT_ARRAY_OFFSET, count * 4L)
      values
    }
    def longs = {
      val values = new Array[Long](count)
      tensor.read(values, Platform.LONG_ARRAY_OFFSET, count * 8L)
      values
    }
    def bytes = {
      val values = new Array[Byte](count)
      tensor.read(values, Platform.BYTE_ARRAY_OFFSET, count.toLong)
      values
    }
    dtype match {
      case "float32" =>
        val values = new Array[Float](count)
        tensor.read(values, Platform.FLOAT_ARRAY_OFFSET, count * 4L)
        new FloatLeaves(values)
      case "float16" | "bfloat16" => new FloatLeaves(shorts.map(Half.value(_, dtype)))
      case "float64" =>
        val values = new Array[Double](count)
        tensor.read(values, Platform.DOUBLE_ARRAY_OFFSET, count * 8L)
        new Leaves(values) {
          def put(row: Int, to: InternalRow, field: Int) = to.setDouble(field, values(row))
        }
      case "int64" => new LongLeaves(longs)
      case "uint32" => new LongLeaves(ints.map(_ & 0xffffffffL))
      case "uint64" =>
        val values = longs
        if (values.exists(_ < 0)) throw new BadOutput(TooLarge)
        new LongLeaves(values)
      case "int32" => new IntLeaves(ints)
      case "uint16" => new IntLeaves(shorts.map(_ & 0xffff))
      case "int16" => new ShortLeaves(shorts)
      case "uint8" => new ShortLeaves(bytes.map(value => (value & 0xff).toShort))
      case "int8" =>
        val values = bytes
        new Leaves(values) {
          def put(row: Int, to: InternalRow, field: Int) = to.setByte(field, values(row))
        }
      case "bool" =>
        val flags = bytes.map(_ != 0)
        new Leaves(flags) {
          def put(row: Int, to: InternalRow, field: Int) = to.setBoolean(field, flags(row))
        }
      case "string" => new TextLeaves(texts(tensor, count))
    }
  }

  private final class LongLeaves(values: Array[Long]) extends Leaves(values) {
    def put(row: Int, to: InternalRow, field: Int): Unit = to.setLong(field, values(row))
  }

  private final class ShortLeaves(values: Array[Short]) extends Leaves(values) {
    def put(row: Int, to: InternalRow, field: Int): Unit = to.setShort(field, values(row))
  }

  private final class FloatLeaves(values: Array[Float]) extends Leaves(values) {
    def put(row: Int, to: InternalRow, field: Int): Unit = to.setFloat(field, values(row))
  }

  private final class IntLeaves(values: Array[Int]) extends Leaves(values) {
    def put(row: Int, to: InternalRow, field: Int): Unit = to.setInt(field, values(row))
  }

  private final class TextLeaves(values: Array[UTF8String]) extends Leaves(values) {
    def put(row: Int, to: InternalRow, field: Int): Unit = to.update(field, values(row))
  }

  /** Values of rows of one shape, as lists of lists. */
  private final class Lists(values: Leaves, shape: Seq[Int]) extends OutputColumn {
    private val perRow = shape.product

    def put(row: Int, to: InternalRow, field: Int): Unit =
      to.update(field, list(row * perRow, shape))

    private def list(from: Int, shape: Seq[Int]): ArrayData =
      if (shape.size == 1) values.array(from, shape.head)
      else {
        val inner = shape.tail
        val width = inner.product
        new GenericArrayData(
          Array.tabulate[Any](shape.head)(place => list(from + place * width, inner))
        )
      }
  }

  private def texts(tensor: NativeTensor, count: Int): Array[UTF8String] = {
    val first = tensor.address
    Array.tabulate(count) { i =>
      val text = UTF8String.fromBytes(NativeText.read(first + i.toLong * NativeTensor.TextBytes))
      if (!text.isValid) throw new BadOutput("Invalid UTF8 payload")
      text
    }
  }

  private[tfspark] def utf8(text: String): UTF8String =
    if (text == null) null else UTF8String.fromBytes(text.getBytes(UTF_8))
}
