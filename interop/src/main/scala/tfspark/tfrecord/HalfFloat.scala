package tfspark.tfrecord

/** IEEE half floats, which Java 17 has not. */
private[tfrecord] object HalfFloat {

  /** The half float that is nearest, as a float; infinite where a number is beyond them. */
  def nearest(value: Float): Float = {
    // Of its 24 bits a half float keeps 11, and below 2^-14 those down to 2^-24.
    val exponent = math.max(Math.getExponent(value), -14)
    val unit = Math.scalb(1.0, exponent - 10)
    val rounded = Math.rint(value / unit) * unit
    if (value.isInfinite || math.abs(rounded) <= 65504.0) rounded.toFloat
    else Math.copySign(Float.PositiveInfinity, value)
  }
}
