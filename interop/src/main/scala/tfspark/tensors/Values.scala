package tfspark.tensors

import org.apache.spark.unsafe.Platform
import tfspark.SignatureError

/** The values of one input, as they come; rows at their end can be taken back.
  *
  * `put...` gives false for a value out of the dtype's range.
  */
private[tfspark] abstract class Values(spec: TensorSpec) {
  protected var count = 0

  def size: Int = count
  def truncate(to: Int): Unit = count = to

  def putLong(value: Long): Boolean = wrong(value)
  def putDouble(value: Double): Boolean = wrong(value)
  def putBytes(value: Array[Byte]): Boolean = wrong(value)

  /** The values of a row end to end, little endian. */
  def putRaw(value: Array[Byte]): Unit = wrong(value): Unit

  /** Whether there is a NaN from one value on. */
  def hasNan(from: Int): Boolean = from < 0

  /** What stands for null. */
  def putEmpty(): Unit

  /** What fills up a list. */
  def putPad(): Unit

  /** What is held, for text with its bytes. */
  def bytes: Long = count.toLong * spec.width

  /** `length` values from one on, as a tensor; the caller closes it. */
  def tensor(shape: Seq[Long], from: Int, length: Int): NativeTensor

  /** Of the same spec, with nothing in it. */
  def fresh(): Values

  /** Append values of another one of this spec. */
  def copy(other: Values, from: Int, length: Int): Unit

  private def wrong(value: Any): Boolean =
    throw new IllegalStateException(s"input ${spec.name} (${spec.dtype}) got $value")
}

private[tfspark] object Values {

  /** Every dtype that a column can become or come from, in the order in which messages name them.
    */
  val Dtypes: Seq[String] =
    Seq("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64") ++
      Seq("float16", "bfloat16", "float32", "float64", "string")

  def of(spec: TensorSpec): Values = spec.dtype match {
    case "string" => new Texts(spec)
    case "float32" => new Floats(spec)
    case "float64" => new Doubles(spec)
    case "float16" | "bfloat16" => new Halves(spec)
    case "bool" => new Integers(spec, 0, 1)
    case "int8" => new Integers(spec, Byte.MinValue, Byte.MaxValue)
    case "int16" => new Integers(spec, Short.MinValue, Short.MaxValue)
    case "int32" => new Integers(spec, Int.MinValue, Int.MaxValue)
    case "int64" => new Integers(spec, Long.MinValue, Long.MaxValue)
    case "uint8" => new Integers(spec, 0, 0xff)
    case "uint16" => new Integers(spec, 0, 0xffff)
    case "uint32" => new Integers(spec, 0, 0xffffffffL)
    case "uint64" => new Integers(spec, 0, Long.MaxValue)
  }

  /** Numbers of one width, as the bytes that a tensor holds. */
  private[tfspark] abstract class Numbers(spec: TensorSpec) extends Values(spec) {
    private val width = spec.width
    protected var buffer = new Array[Byte](1024 * width)

    /** Where the next value goes. */
    protected def next(): Long = {
      if ((count + 1) * width > buffer.length) grow(count + 1)
      val place = Platform.BYTE_ARRAY_OFFSET.toLong + count.toLong * width
      count += 1
      place
    }

    private def grow(least: Int): Unit = {
      val wanted = math.max(least.toLong * width, buffer.length * 2L)
      buffer = java.util.Arrays.copyOf(buffer, math.min(wanted, Int.MaxValue - 64L).toInt)
    }

    /** Room for values, which are put in by their places. */
    protected def reserve(values: Int): Unit = {
      if ((count + values).toLong * width > buffer.length) grow(count + values)
      count += values
    }

    override def putRaw(value: Array[Byte]): Unit = append(value, 0, value.length / width)

    override def copy(other: Values, from: Int, length: Int): Unit =
      append(other.asInstanceOf[Numbers].buffer, from, length)

    private def append(source: Array[Byte], from: Int, length: Int): Unit = {
      if ((count + length) * width > buffer.length) grow(count + length)
      System.arraycopy(source, from * width, buffer, count * width, length * width)
      count += length
    }

    override def tensor(shape: Seq[Long], from: Int, length: Int): NativeTensor = NativeTensor
      .numbers(spec.dtype, shape, buffer, from.toLong * width, length.toLong * width)

    override def fresh(): Values = of(spec)
  }

  private final class Doubles(spec: TensorSpec) extends Numbers(spec) {
    private val empty = double(spec.empty)
    private val pad = double(spec.pad)

    override def hasNan(from: Int): Boolean = (from until count).exists { at =>
      Platform.getDouble(buffer, Platform.BYTE_ARRAY_OFFSET.toLong + at * 8L).isNaN
    }
    override def putLong(value: Long): Boolean = putDouble(value.toDouble)
    override def putDouble(value: Double): Boolean = {
      val place = next()
      Platform.putDouble(buffer, place, value)
      true
    }
    override def putEmpty(): Unit = putDouble(empty): Unit
    override def putPad(): Unit = putDouble(pad): Unit
  }

  /** Floats of two bytes. */
  private final class Halves(spec: TensorSpec) extends Numbers(spec) {
    private val empty = double(spec.empty)
    private val pad = double(spec.pad)
    // Half-way from the largest value to the next power of two: from there on it rounds to infinity.
    private val limit = if (spec.dtype == "float16") 65520.0 else 255.5 * math.pow(2, 120)

    override def putLong(value: Long): Boolean = putDouble(value.toDouble)
    override def putDouble(value: Double): Boolean = {
      val place = next()
      Platform.putShort(buffer, place, Half.bits(value.toFloat, spec.dtype))
      value.isInfinite || !(math.abs(value) >= limit)
    }
    override def putEmpty(): Unit = putDouble(empty): Unit
    override def putPad(): Unit = putDouble(pad): Unit
    override def hasNan(from: Int): Boolean = (from until count).exists { at =>
      val bits = Platform.getShort(buffer, Platform.BYTE_ARRAY_OFFSET.toLong + at * 2L)
      Half.value(bits, spec.dtype).isNaN
    }
  }

  private final class Integers(spec: TensorSpec, least: Long, most: Long) extends Numbers(spec) {
    private val width = spec.width
    private val empty = whole(spec.empty)
    private val pad = whole(spec.pad)

    private def whole(value: Option[Any]): Long = value match {
      case Some(value: Long) if value >= least && value <= most => value
      case Some(value: Boolean) => if (value) 1L else 0L
      case None => 0L
      case Some(value) =>
        throw new SignatureError(s"the null or pad value $value is no ${spec.dtype}")
    }

    override def putLong(value: Long): Boolean = {
      val place = next()
      width match {
        case 8 => Platform.putLong(buffer, place, value)
        case 4 => Platform.putInt(buffer, place, value.toInt)
        case 2 => Platform.putShort(buffer, place, value.toShort)
        case _ => Platform.putByte(buffer, place, value.toByte)
      }
      value >= least && value <= most
    }
    override def putEmpty(): Unit = putLong(empty): Unit
    override def putPad(): Unit = putLong(pad): Unit
    override def putRaw(value: Array[Byte]): Unit =
      if (spec.dtype != "bool") super.putRaw(value)
      else value.foreach(flag => putLong(if (flag == 0) 0 else 1))
  }

  private final class Texts(spec: TensorSpec) extends Values(spec) {
    private var texts = new Array[Array[Byte]](1024)
    private val empty = spec.empty.fold("")(_.toString).getBytes("UTF-8")
    private val pad = spec.pad.fold("")(_.toString).getBytes("UTF-8")
    private var held = 0L

    override def putBytes(value: Array[Byte]): Boolean = {
      room(1)
      texts(count) = value
      count += 1
      held += value.length
      true
    }
    override def putEmpty(): Unit = putBytes(empty): Unit
    override def putPad(): Unit = putBytes(pad): Unit
    override def truncate(to: Int): Unit = {
      for (at <- to until count) held -= texts(at).length
      super.truncate(to)
    }
    override def bytes: Long = super.bytes + held
    override def copy(other: Values, from: Int, length: Int): Unit =
      append(other.asInstanceOf[Texts].texts, from, length)

    override def tensor(shape: Seq[Long], from: Int, length: Int): NativeTensor =
      NativeText.tensor(shape, texts, from, from + length)

    override def fresh(): Values = of(spec)

    private def append(source: Array[Array[Byte]], from: Int, length: Int): Unit = {
      room(length)
      System.arraycopy(source, from, texts, count, length)
      count += length
    }

    private def room(more: Int): Unit =
      if (count + more > texts.length)
        texts = java.util.Arrays.copyOf(texts, math.max(count + more, texts.length * 2))
  }

  private[tfspark] def double(value: Option[Any]): Double = value match {
    case Some(value: Double) => value
    case _ => 0.0
  }
}
