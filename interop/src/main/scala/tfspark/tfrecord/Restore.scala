package tfspark.tfrecord

import java.math.{BigDecimal, BigInteger, RoundingMode}
import org.apache.spark.sql.execution.vectorized.WritableColumnVector
import org.apache.spark.sql.types.{Decimal, DecimalType}
import org.apache.spark.unsafe.Platform
import org.apache.spark.unsafe.types.UTF8String
import tfspark.tensors.Half
import tfspark.tfrecord.{ArrowType => A}

/** A record does not fit the schema. */
private[tfrecord] final class MisfitError(val reason: String) extends RuntimeException(reason)

/** A value that Spark's type does not hold. */
private[tfrecord] final class LossError(val reason: String) extends RuntimeException(reason)

/** A value as a record holds it, to the type that the schema declares: never another value. Its
  * errors are the reason only: [[Restore.of]] says which column it is.
  */
private[tfrecord] abstract class Restore {
  def int64(to: WritableColumnVector, at: Int, value: Long): Unit = wrong()
  def float(to: WritableColumnVector, at: Int, value: Float): Unit = wrong()
  def bytes(to: WritableColumnVector, at: Int, data: Array[Byte], from: Int, size: Int): Unit =
    wrong()

  private def wrong() = throw new IllegalStateException("a value of another kind")
}

private[tfrecord] object Restore {

  def of(feature: Feature): Restore = feature.leaf match {
    case A.Plain("bool") => new Bool(feature)
    case A.Plain("int8") =>
      new Ranged(feature, -128, 127, (to, at, value) => to.putByte(at, value.toByte))
    case A.Plain("int16") =>
      new Ranged(feature, -32768, 32767, (to, at, value) => to.putShort(at, value.toShort))
    case A.Plain("uint8") =>
      new Ranged(feature, 0, 255, (to, at, value) => to.putShort(at, value.toShort))
    case A.Plain("int32" | "date32[day]") =>
      new Ranged(feature, Int.MinValue, Int.MaxValue, (to, at, value) => to.putInt(at, value.toInt))
    case A.Plain("uint16") =>
      new Ranged(feature, 0, 65535, (to, at, value) => to.putInt(at, value.toInt))
    case A.Plain("uint32") =>
      new Ranged(feature, 0, 4294967295L, (to, at, value) => to.putLong(at, value))
    case A.Plain("uint64") => new Unsigned(feature)
    case A.Plain("int64") => Long64
    case A.Plain("date64[ms]") =>
      new Divided(86_400_000, (to, at, value) => to.putInt(at, Math.toIntExact(value)))
    case A.Timed("time32", unit) => new Times(perNano(unit), feature, narrow = true)
    case A.Timed("time64", unit) => new Times(perNano(unit), feature)
    case A.Timestamp(unit, _) => micros(unit, feature)
    case A.Timed(_, unit) => micros(unit, feature)
    case A.Plain("halffloat") => new Half(feature)
    case A.Plain("float") => Float32
    case A.Decimal(_, precision, scale) => new Text(feature, precision, scale)
    case A.FixedBinary(size) => new Fixed(feature, size)
    case kind if A.isText(kind) => new Utf8(feature)
    case _ => Bytes
  }

  private type Put = (WritableColumnVector, Int, Long) => Unit

  private def misfit(feature: Feature, why: String) =
    throw new MisfitError(s"${feature.name} is no ${feature.leaf}: $why")

  private def perNano(unit: String): Long =
    Map("s" -> 1_000_000_000L, "ms" -> 1_000_000L, "us" -> 1000L, "ns" -> 1L)(unit)

  private def micros(unit: String, feature: Feature): Restore = unit match {
    case "us" => Long64
    case "ns" => new Divided(1000, (to, at, value) => to.putLong(at, value))
    case _ => new Times(perNano(unit) / 1000, feature)
  }

  private object Long64 extends Restore {
    override def int64(to: WritableColumnVector, at: Int, value: Long): Unit = to.putLong(at, value)
  }

  private object Float32 extends Restore {
    override def float(to: WritableColumnVector, at: Int, value: Float): Unit =
      to.putFloat(at, value)
  }

  private object Bytes extends Restore {
    override def bytes(to: WritableColumnVector, at: Int, data: Array[Byte], from: Int, n: Int)
        : Unit = to.putByteArray(at, data, from, n): Unit
  }

  private final class Bool(feature: Feature) extends Restore {
    override def int64(to: WritableColumnVector, at: Int, value: Long): Unit = {
      if ((value & ~1L) != 0) misfit(feature, "a boolean is 0 or 1")
      to.putBoolean(at, value == 1)
    }
  }

  private final class Ranged(feature: Feature, least: Long, most: Long, put: Put) extends Restore {
    override def int64(to: WritableColumnVector, at: Int, value: Long): Unit = {
      if (value < least || value > most)
        misfit(feature, s"Integer value $value not in range: $least to $most")
      put(to, at, value)
    }
  }

  private final class Unsigned(feature: Feature) extends Restore {
    override def int64(to: WritableColumnVector, at: Int, value: Long): Unit = {
      if (value < 0)
        misfit(feature, s"Integer value $value not in range: 0 to 18446744073709551615")
      to.putByteArray(at, BigInteger.valueOf(value).toByteArray): Unit
    }
  }

  /** To a finer unit. */
  private final class Times(factor: Long, feature: Feature, narrow: Boolean = false)
      extends Restore {
    override def int64(to: WritableColumnVector, at: Int, value: Long): Unit = {
      if (narrow && value != value.toInt)
        misfit(feature, s"Integer value $value not in range: ${Int.MinValue} to ${Int.MaxValue}")
      val high = Math.multiplyHigh(value, factor)
      val low = value * factor
      if (high != low >> 63) throw new LossError(s"would result in out of bounds value: $value")
      to.putLong(at, low)
    }
  }

  /** To a coarser unit, which the value is a multiple of. */
  private final class Divided(by: Long, put: Put) extends Restore {
    override def int64(to: WritableColumnVector, at: Int, value: Long): Unit = {
      if (value % by != 0) throw new LossError(s"would lose data: $value")
      put(to, at, value / by)
    }
  }

  private final class Half(feature: Feature) extends Restore {
    override def float(to: WritableColumnVector, at: Int, value: Float): Unit = {
      if (!value.isNaN && Half.nearest(value, "float16") != value)
        misfit(feature, "a number that half a float does not hold")
      to.putFloat(at, value)
    }
  }

  private final class Text(feature: Feature, precision: Int, scale: Int) extends Restore {
    private val kind = DecimalType(precision, scale)

    override def bytes(to: WritableColumnVector, at: Int, data: Array[Byte], from: Int, n: Int)
        : Unit = {
      val text = new String(data, from, n, java.nio.charset.StandardCharsets.UTF_8)
      val value =
        try new BigDecimal(text).setScale(scale)
        catch {
          case _: NumberFormatException =>
            misfit(feature, s"The string '$text' is not a valid ${feature.leaf} number")
          case _: ArithmeticException =>
            misfit(feature, s"$text would lose digits")
        }
      if (value.precision > precision)
        misfit(feature, s"$text does not fit in precision of ${feature.leaf}")
      to.putDecimal(at, Decimal(value, kind.precision, kind.scale), kind.precision)
    }

    /** Of a file that stores decimals as floats: the number that the float is, rounded. */
    override def float(to: WritableColumnVector, at: Int, value: Float): Unit =
      if (value.isNaN || value.isInfinite) put(to, at, null)
      else put(to, at, new BigDecimal(value.toDouble))

    override def int64(to: WritableColumnVector, at: Int, value: Long): Unit =
      put(to, at, BigDecimal.valueOf(value))

    private def put(to: WritableColumnVector, at: Int, value: BigDecimal): Unit = {
      val rounded = if (value == null) null else value.setScale(scale, RoundingMode.HALF_UP)
      if (rounded == null || rounded.precision > precision)
        misfit(feature, "a number that it does not hold")
      to.putDecimal(at, Decimal(rounded, kind.precision, kind.scale), kind.precision)
    }
  }

  private final class Fixed(feature: Feature, size: Int) extends Restore {
    override def bytes(to: WritableColumnVector, at: Int, data: Array[Byte], from: Int, n: Int)
        : Unit = {
      if (n != size) misfit(feature, s"it has $n bytes")
      to.putByteArray(at, data, from, n): Unit
    }
  }

  private final class Utf8(feature: Feature) extends Restore {
    override def bytes(to: WritableColumnVector, at: Int, data: Array[Byte], from: Int, n: Int)
        : Unit = {
      if (!isAscii(data, from, n) && !UTF8String.fromBytes(data, from, n).isValid)
        misfit(feature, "Invalid UTF8 payload")
      to.putByteArray(at, data, from, n): Unit
    }
  }

  private def isAscii(data: Array[Byte], from: Int, size: Int): Boolean = {
    val start = Platform.BYTE_ARRAY_OFFSET + from
    var at = 0
    while (at + 8 <= size) {
      if ((Platform.getLong(data, start + at.toLong) & 0x8080808080808080L) != 0) return false
      at += 8
    }
    while (at < size) {
      if (data(from + at) < 0) return false
      at += 1
    }
    true
  }
}
