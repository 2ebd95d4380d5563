package tfspark.tensors

import java.lang.Float.{floatToRawIntBits, intBitsToFloat}

/** Floats of two bytes, to the nearest, ties to even: IEEE 754 binary16, and bfloat16, which is the
  * upper half of a float.
  */
private[tfspark] object Half {
  def bits(value: Float, dtype: String): Short =
    (if (dtype == "float16") float16(value) else bfloat16(value)).toShort

  /** The value of this dtype that is nearest; infinite where a number is beyond them. */
  def nearest(value: Float, dtype: String): Float = this.value(bits(value, dtype), dtype)

  def value(bits: Short, dtype: String): Float =
    if (dtype == "float16") wide(bits & 0xffff) else intBitsToFloat(bits << 16)

  private def bfloat16(value: Float): Int = {
    val bits = floatToRawIntBits(value)
    if (value.isNaN) bits >>> 16 | 0x40 else (bits + 0x7fff + (bits >>> 16 & 1)) >>> 16
  }

  private def float16(value: Float): Int = {
    val bits = floatToRawIntBits(value)
    val sign = bits >>> 16 & 0x8000
    val size = bits & 0x7fffffff
    val half =
      if (value.isNaN) 0x7e00
      else if (size >= 0x47800000) 0x7c00 // 65536 and more
      else if (size >= 0x38800000) (size + 0xfff + (size >>> 13 & 1) - 0x38000000) >>> 13
      else math.rint(intBitsToFloat(size) * math.pow(2, 24)).toInt // below the least exponent
    sign | half
  }

  private def wide(bits: Int): Float = {
    val (exponent, fraction) = (bits >> 10 & 0x1f, bits & 0x3ff)
    val size = exponent match {
      case 0 => fraction * math.pow(2, -24)
      case 31 => if (fraction == 0) Double.PositiveInfinity else Double.NaN
      case _ => (1024 + fraction) * math.pow(2, exponent - 25)
    }
    (if ((bits & 0x8000) == 0) size else -size).toFloat
  }
}
