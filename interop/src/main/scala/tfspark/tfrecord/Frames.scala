package tfspark.tfrecord

import java.nio.{ByteBuffer, ByteOrder}
import java.util.zip.CRC32C

/** A record's frame: uint64 length, masked CRC32C of the length, the record, masked CRC32C of the
  * record (tensorflow/core/lib/io/record_writer.h).
  */
private[tfrecord] object Frame {
  val Header = 12
  val Trailer = 4

  /** Bytes of the longest record: a protocol buffer ends at 2 GiB. */
  val Longest: Long = Int.MaxValue

  /** Bytes behind the last record of a buffer, so that words may be read there. */
  val Slack = 16

  /** The longest array that Java makes. */
  val LongestArray: Int = Int.MaxValue - 16

  /** Whether the sum of the length at the beginning is right. */
  def sumFits(header: Array[Byte]): Boolean = {
    val words = ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN)
    new Sums()(header, 0, 8) == words.getInt(8)
  }
}

/** Masked CRC32C sums of pieces of an array. */
private[tfrecord] final class Sums {
  private val crc = new CRC32C

  def apply(data: Array[Byte], at: Int, size: Int): Int = {
    crc.reset()
    crc.update(data, at, size)
    Integer.rotateRight(crc.getValue.toInt, 15) + 0xa282ead8
  }
}

/** From frame to frame through a file, every sum checked; memory is bounded by the longest record
  * that is there.
  *
  * {{{
  * while (frames.next()) if (frames.good) use(frames.data, frames.begin, frames.end)
  * }}}
  */
private[tfrecord] final class Frames(source: Source) {
  import Frame._

  var data = new Array[Byte](Frames.Chunk + Slack)

  /** Where the record begins and ends in `data`. */
  var begin, end = 0

  /** Whether the sum of the record's data is right. */
  var good = false

  /** The record's number in the file, and the byte of its frame, before compression. */
  var record = -1L
  var offset = 0L

  /** Once `next` gave false: why nothing more can be read; null at the file's end. `record` and
    * `offset` are those of the damaged frame then.
    */
  var broken: String = null

  /** `broken`, of the first frame with what else the file may be. */
  def said: String = if (offset > 0) broken else s"$broken; or it is no TFRecord file"

  private var words = ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN)
  private var at, have = 0 // what is not yet walked is data[at:have]
  private var base = 0L // where `data` begins in the file
  private var ended = false
  private var cut: String = null
  private val sum = new Sums

  /** Go to the next record; false: there is none. */
  def next(): Boolean = {
    record += 1
    if (have - at < Header) fill(Header)
    offset = base + at
    if (have - at < Header) return stop()
    if (sum(data, at, 8) != words.getInt(at + 8)) return break("the sum of its length is wrong")
    val size = words.getLong(at)
    if (size < 0 || size > Longest) {
      val said = java.lang.Long.toUnsignedString(size)
      return break(s"its length is $said bytes, the longest record has $Longest")
    }
    val whole = Header + size + Trailer
    if (have - at < whole) fill(whole)
    if (have - at < whole) return stop()
    begin = at + Header
    end = begin + size.toInt
    good = sum(data, begin, size.toInt) == words.getInt(end)
    at = end + Trailer
    true
  }

  private def stop(): Boolean = {
    val needs = if (at < have) s", its ${have - at} bytes are no whole frame" else ""
    if (cut != null) break(cut)
    else if (at < have) break(s"the file ends too early$needs")
    else false
  }

  private def break(why: String): Boolean = {
    broken = why
    false
  }

  /** Have so many bytes from `at` on, where the file has them. */
  private def fill(wanted: Long): Unit = {
    val rest = have - at
    System.arraycopy(data, at, data, 0, rest)
    base += at
    at = 0
    have = rest
    val most = math.max(Frames.Chunk.toLong, wanted)
    try
      while (have < most && !ended) {
        if (have + Slack == data.length) grow()
        val room = math.min(most, (data.length - Slack).toLong).toInt - have
        val size = source.read(data, have, room)
        if (size < 0) ended = true else have += size
      }
    catch {
      case error: DamageError =>
        cut = s"its compressed data is damaged (${error.getMessage})"
        ended = true
    }
  }

  /** It grows with what is there, not with what is said. */
  private def grow(): Unit = {
    if (data.length == LongestArray)
      throw new DamageError(s"a record is longer than $LongestArray bytes, Java's limit")
    data = java.util.Arrays.copyOf(data, math.min(data.length * 2L, LongestArray.toLong).toInt)
    words = ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN)
  }
}

private[tfrecord] object Frames {

  /** Bytes that are read at once. */
  val Chunk: Int = 1 << 20
}
