package tfspark.tfrecord

import java.nio.charset.StandardCharsets.UTF_8
import java.nio.{ByteBuffer, ByteOrder}

/** Where a record holds each feature.
  *
  * It knows the form that writers give records; another form that protocol buffers allow is made
  * anew by [[Wire]] first: right, and slow. Every length is checked against what is around it.
  *
  * @param features
  *   those of the file
  * @param wanted
  *   the places in the arrays below: number of the feature → place, or -1
  * @param sampled
  *   see [[Layout]]
  */
private[tfrecord] final class Spans(
    features: IndexedSeq[Feature],
    wanted: Array[Int],
    sampled: Option[Set[String]] = None
) {
  private val size = wanted.count(_ >= 0)

  /** Of each wanted feature: values, or inner lists; -1: it is not there, or of no kind. */
  val count = new Array[Int](size)

  /** The tag of its list; 0 for lists of lists. */
  val kind = new Array[Int](size)

  /** Where its values begin and end in `data`. */
  val begin, end = new Array[Int](size)

  /** Whether one that is not there is among the features of the other depth. */
  val elsewhere = new Array[Boolean](size)

  /** A feature that no sampled record has; null: there is none. */
  var strange: String = null

  /** The bytes that hold the record, with room for words behind it. */
  var data: Array[Byte] = Array.emptyByteArray
  private var words = ByteBuffer.wrap(data)

  private val keys = features.map(_.key).toArray
  private val nested = features.map(_.depth == 2).toArray
  private val next = Array.tabulate(features.size + 1)(at => if (at >= features.size) 0 else at + 1)
  private val seen = new Array[Boolean](size)

  // What the last field or list that was looked at holds.
  private var tag, from, to = 0
  var listKind, listBegin, listEnd, listCount = 0

  /** Find the features of a record; false: it is no message. */
  def locate(bytes: Array[Byte], first: Int, last: Int): Boolean = {
    use(bytes)
    walk(first, last) || {
      val usual =
        try Wire.usual(java.util.Arrays.copyOfRange(bytes, first, last))
        catch { case _: WireError => return false }
      use(java.util.Arrays.copyOf(usual, usual.length + Frame.Slack))
      walk(0, usual.length)
    }
  }

  private def use(bytes: Array[Byte]): Unit = if (bytes ne data) {
    data = bytes
    words = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN)
  }

  /** The tag of a length-delimited field, where its content begins and ends. */
  def field(start: Int, stop: Int): Boolean = {
    if (stop - start < 2) return false
    tag = data(start) & 0xff
    var at = start + 2
    var length = data(start + 1).toLong
    if (length < 0) {
      length &= 127
      var shift = 7
      var more = -1
      while (more < 0 && shift < 35 && at < stop) {
        more = data(at).toInt
        length |= (more & 127).toLong << shift
        shift += 7
        at += 1
      }
      if (more < 0) return false
    }
    from = at
    to = (at + length).toInt
    (tag & 0x87) == 2 && tag >= 8 && length <= stop - at
  }

  def contentBegin: Int = from
  def contentEnd: Int = to

  private def walk(first: Int, last: Int): Boolean = {
    java.util.Arrays.fill(count, -1)
    java.util.Arrays.fill(seen, false)
    java.util.Arrays.fill(elsewhere, false)
    strange = null
    var at = first
    var guess = next(features.size)
    var before = features.size
    while (at < last) {
      if (!field(at, last) || (tag != 0x0a && tag != 0x12)) return false
      val side = tag
      var entry = from
      val stop = to
      while (entry < stop) {
        if (!field(entry, stop) || tag != 0x0a) return false
        val entryEnd = to
        if (!field(from, entryEnd) || tag != 0x0a) return false
        val (name, nameEnd) = (from, to)
        if (!field(nameEnd, entryEnd) || tag != 0x12 || to != entryEnd) return false
        val (value, valueEnd) = (from, to)
        val found = find(name, nameEnd, guess)
        if (found >= 0) {
          next(before) = found // tried first after the same feature of the next record
          before = found
          guess = next(found)
          if (wanted(found) >= 0)
            if (nested(found) != (side == 0x12)) elsewhere(wanted(found)) ||= value < valueEnd
            else if (!put(wanted(found), nested(found), value, valueEnd)) return false
        } else if (sampled.isDefined && strange == null && value < valueEnd) {
          val key = new String(data, name, nameEnd - name, UTF_8)
          if (!sampled.get(key)) strange = key
        }
        entry = entryEnd
      }
      at = stop
    }
    true
  }

  private def put(place: Int, lists: Boolean, value: Int, valueEnd: Int): Boolean = {
    if (seen(place)) return false // twice
    if (lists) {
      val inner = countLists(value, valueEnd)
      if (inner < 0) return false
      kind(place) = 0
      count(place) = inner
      begin(place) = value
      end(place) = valueEnd
    } else {
      if (!list(value, valueEnd)) return false
      kind(place) = listKind
      count(place) = listCount
      begin(place) = listBegin
      end(place) = listEnd
    }
    seen(place) = count(place) >= 0
    true
  }

  private def find(name: Int, nameEnd: Int, guess: Int): Int = {
    var at = if (guess < keys.length) guess else 0
    var tried = 0
    while (tried < keys.length) {
      val key = keys(at)
      if (java.util.Arrays.equals(key, 0, key.length, data, name, nameEnd)) return at
      at = if (at + 1 < keys.length) at + 1 else 0
      tried += 1
    }
    -1
  }

  /** A Feature: its kind (0: none, and -1 values), where its values are and how many; false: it is
    * of an unusual form.
    */
  def list(start: Int, stop: Int): Boolean = {
    listKind = 0
    listBegin = start
    listEnd = stop
    listCount = -1
    if (start == stop) return true
    if (!field(start, stop) || to != stop) return false
    listKind = tag
    listBegin = from
    if (tag == Kind.bytes) {
      val n = countFields(from, stop)
      listCount = n
      return n >= 0
    }
    if (tag != Kind.float && tag != Kind.int64) return false
    listCount = 0
    if (from == stop) return true
    if (!field(from, stop) || tag != 0x0a || to != stop) return false
    listBegin = from
    listCount =
      if (listKind == Kind.int64) countNumbers(from, stop)
      else if ((stop - from & 3) == 0) stop - from >> 2
      else -1
    listCount >= 0
  }

  private def countFields(start: Int, stop: Int): Int = {
    var (count, at) = (0, start)
    while (at < stop) {
      if (!field(at, stop) || tag != 0x0a) return -1
      at = to
      count += 1
    }
    count
  }

  private def countLists(start: Int, stop: Int): Int = {
    var (count, at) = (0, start)
    while (at < stop) {
      if (!field(at, stop) || tag != 0x0a) return -1
      at = to
      if (!list(from, to)) return -1
      count += 1
    }
    count
  }

  /** How many varints; -1 if one does not end or is longer than ten bytes. */
  private def countNumbers(start: Int, stop: Int): Int = {
    var (count, run, at) = (0, 0, start)
    while (at < stop) {
      if (data(at) < 0) {
        run += 1
        if (run > 9) return -1
      } else {
        count += 1
        run = 0
      }
      at += 1
    }
    if (run == 0) count else -1
  }

  /** Where the varint that was read last ends. */
  var numberEnd = 0

  /** A varint that ends, of ten bytes at most. */
  def number(start: Int): Long = {
    var byte = data(start)
    var at = start + 1
    var number = byte & 127L
    var shift = 7
    while (byte < 0) {
      byte = data(at)
      at += 1
      number |= (byte & 127L) << shift
      shift += 7
    }
    numberEnd = at
    number
  }

  def float(at: Int): Float = words.getFloat(at)
}
