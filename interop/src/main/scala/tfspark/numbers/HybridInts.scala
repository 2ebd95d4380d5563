package tfspark.numbers

import java.io.IOException
import org.apache.spark.unsafe.Platform

/** Unsigned integers as Parquet's levels and dictionary indices are kept: runs of one value, and
  * groups of eight packed bit by bit. They are taken many at a time.
  *
  * This machine's byte order is the little one. The format: "RLE/Bit-Packing Hybrid" of Parquet's
  * Encodings.md.
  *
  * @param width
  *   bits of a value, 0 to 32
  * @param end
  *   of the bytes
  */
private[tfspark] final class HybridInts(bytes: Array[Byte], from: Int, end: Int, width: Int) {
  private val mask = (1L << width) - 1
  private var at = from
  private var left = 0 // of the run
  private var packed = false
  private var same = 0 // of all values of the run that is not packed
  private var bit = 0L // where the next value is that is packed, from the start of the bytes

  /** Whether the next `count` values are one run of `value`. */
  def startsWith(value: Int, count: Int): Boolean = {
    if (left == 0) open()
    !packed && same == value && left >= count
  }

  /** Take the next values.
    *
    * @throws IOException
    *   there are fewer
    */
  def take(to: Array[Int], count: Int): Unit = {
    var done = 0
    while (done < count) {
      if (left == 0) open()
      val some = math.min(left, count - done)
      if (packed) unpack(to, done, done + some)
      else java.util.Arrays.fill(to, done, done + some, same)
      left -= some
      done += some
    }
  }

  private def unpack(to: Array[Int], first: Int, stop: Int): Unit = {
    var place = first
    while (place < stop) {
      val byte = (bit >>> 3).toInt
      val word =
        if (byte + 8 <= end) Platform.getLong(bytes, Platform.BYTE_ARRAY_OFFSET.toLong + byte)
        else last(byte)
      to(place) = ((word >>> (bit & 7)) & mask).toInt
      bit += width
      place += 1
    }
  }

  /** The bytes that are left: the last group of a page may lack those of values that it has not. */
  private def last(byte: Int): Long = {
    if (bit + width > end * 8L) throw tooFew
    (byte until end).zipWithIndex.map { case (b, i) => (bytes(b) & 0xffL) << (8 * i) }.sum
  }

  /** The next run. */
  private def open(): Unit = {
    val header = varint()
    packed = (header & 1) == 1
    val length = header >>> 1
    if (length == 0) throw new IOException("a run of no values")
    if (packed) {
      val groups = math.min(length, Int.MaxValue / 8) // no page has more
      left = groups * 8
      bit = at * 8L
      at = math.min(at + groups.toLong * width, end.toLong).toInt
    } else {
      left = length
      same = 0
      for (byte <- 0 until (width + 7) / 8) same |= next() << (8 * byte)
    }
  }

  private def varint(): Int = {
    var (value, shift, more) = (0, 0, true)
    while (more) {
      val byte = next()
      if (shift > 28) throw new IOException("the length of a run is no 32-bit number")
      value |= (byte & 0x7f) << shift
      shift += 7
      more = (byte & 0x80) != 0
    }
    value
  }

  private def next(): Int = {
    if (at >= end) throw tooFew
    at += 1
    bytes(at - 1) & 0xff
  }

  private def tooFew = new IOException("fewer values than the page says")
}
