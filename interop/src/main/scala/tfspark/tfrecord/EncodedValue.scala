package tfspark.tfrecord

import java.nio.charset.StandardCharsets.US_ASCII
import org.apache.spark.sql.catalyst.expressions.{SpecializedGetters, UnsafeArrayData}
import org.apache.spark.sql.types._
import org.apache.spark.unsafe.Platform

/** The values of one feature, as they are in the list of a record. */
private abstract class EncodedValue {

  /** Bytes of one value. */
  def size(from: SpecializedGetters, at: Int): Long

  /** Write one value; where it ends. */
  def put(from: SpecializedGetters, at: Int, data: Array[Byte], start: Int): Int

  def sizeAll(from: UnsafeArrayData): Long = {
    val count = from.numElements
    var (total, at) = (0L, 0)
    while (at < count) {
      total += size(from, at)
      at += 1
    }
    total
  }

  def putAll(from: UnsafeArrayData, data: Array[Byte], start: Int): Int = {
    val count = from.numElements
    var (end, at) = (start, 0)
    while (at < count) {
      end = put(from, at, data, end)
      at += 1
    }
    end
  }
}

private object EncodedValue {
  def apply(feature: Feature, kind: DataType): EncodedValue = kind match {
    case BooleanType => new Integers((from, at) => if (from.getBoolean(at)) 1 else 0)
    case ByteType => new Integers((from, at) => from.getByte(at).toLong)
    case ShortType => new Integers((from, at) => from.getShort(at).toLong)
    case IntegerType | DateType => new Integers((from, at) => from.getInt(at).toLong)
    case FloatType => Floats
    case DoubleType => new Narrowed(feature, (from, at) => from.getDouble(at))
    case decimal: DecimalType if feature.kind == Kind.float =>
      new Narrowed(
        feature,
        (from, at) => from.getDecimal(at, decimal.precision, decimal.scale).toDouble
      )
    case decimal: DecimalType => new Decimals(decimal)
    case _: StringType | BinaryType => Strings
    case _ => new Integers((from, at) => from.getLong(at)) // times
  }

  private final class Integers(read: Reading) extends EncodedValue {
    def size(from: SpecializedGetters, at: Int): Long = Varint.width(read(from, at)).toLong
    def put(from: SpecializedGetters, at: Int, data: Array[Byte], start: Int): Int =
      Varint.put(data, start, read(from, at))
  }

  private trait Reading { def apply(from: SpecializedGetters, at: Int): Long }
  private trait ReadingDouble { def apply(from: SpecializedGetters, at: Int): Double }

  private def putFloat(data: Array[Byte], start: Int, value: Float): Int = {
    val bits = java.lang.Float.floatToRawIntBits(value)
    Platform.putInt(data, Platform.BYTE_ARRAY_OFFSET.toLong + start, bits)
    start + 4
  }

  private object Floats extends EncodedValue {
    def size(from: SpecializedGetters, at: Int): Long = 4
    def put(from: SpecializedGetters, at: Int, data: Array[Byte], start: Int): Int =
      putFloat(data, start, from.getFloat(at))

    override def sizeAll(from: UnsafeArrayData): Long = 4L * from.numElements
    // They lie there as a record has them: there is no null among them.
    override def putAll(from: UnsafeArrayData, data: Array[Byte], start: Int): Int = {
      val count = from.numElements
      val first = from.getBaseOffset + UnsafeArrayData.calculateHeaderPortionInBytes(count)
      val to = Platform.BYTE_ARRAY_OFFSET.toLong + start
      Platform.copyMemory(from.getBaseObject, first, data, to, 4L * count)
      start + 4 * count
    }
  }

  /** Doubles and decimals as floats. */
  private final class Narrowed(feature: Feature, read: ReadingDouble) extends EncodedValue {
    def size(from: SpecializedGetters, at: Int): Long = {
      val value = read(from, at)
      if (value.toFloat.isInfinite && !value.isInfinite)
        throw new RefusedError(
          feature.name,
          "a number beyond the range of float: narrow the column before"
        )
      4
    }
    def put(from: SpecializedGetters, at: Int, data: Array[Byte], start: Int): Int =
      putFloat(data, start, read(from, at).toFloat)
  }

  /** Text and bytes: both lie alike in Spark's rows. */
  private object Strings extends EncodedValue {
    def size(from: SpecializedGetters, at: Int): Long = {
      val size = from.getUTF8String(at).numBytes.toLong
      1 + Varint.width(size) + size
    }
    def put(from: SpecializedGetters, at: Int, data: Array[Byte], start: Int): Int = {
      val text = from.getUTF8String(at)
      data(start) = 0x0a
      val end = Varint.put(data, start + 1, text.numBytes.toLong)
      text.writeToMemory(data, Platform.BYTE_ARRAY_OFFSET.toLong + end)
      end + text.numBytes
    }
  }

  /** Decimals as their text, in Arrow's form: 1.5, -0.25, 1.E-7. */
  private final class Decimals(kind: DecimalType) extends EncodedValue {
    private def text(from: SpecializedGetters, at: Int): Array[Byte] = {
      val plain = from.getDecimal(at, kind.precision, kind.scale).toJavaBigDecimal
      val java = plain.setScale(kind.scale).toString
      val exponent = java.indexOf('E')
      val arrow =
        if (exponent < 0 || java.contains('.')) java
        else java.take(exponent) + "." + java.drop(exponent)
      arrow.getBytes(US_ASCII)
    }
    def size(from: SpecializedGetters, at: Int): Long = {
      val size = text(from, at).length
      1L + Varint.width(size.toLong) + size
    }
    def put(from: SpecializedGetters, at: Int, data: Array[Byte], start: Int): Int = {
      val bytes = text(from, at)
      data(start) = 0x0a
      val end = Varint.put(data, start + 1, bytes.length.toLong)
      System.arraycopy(bytes, 0, data, end, bytes.length)
      end + bytes.length
    }
  }
}
