package tfspark.tensors

import org.apache.spark.sql.catalyst.expressions.SpecializedGetters
import org.apache.spark.sql.types.{ArrayType, DataType}
import org.apache.spark.sql.vectorized.ColumnVector

/** How columns become one input: one column, or several side by side as one tensor.
  *
  * @param columns
  *   the types of its columns
  * @param about
  *   what a message on a column begins with
  */
private[tfspark] final case class Feed(
    spec: TensorSpec,
    columns: Seq[DataType],
    about: Seq[String]
) {
  private def stacked = columns.size > 1

  /** Whether its column holds the values of a row end to end. */
  def raw: Boolean = !stacked && Reader.isRaw(columns.head, spec)

  /** Whether lists of open length are filled up to the longest of the batch. */
  def padded: Boolean = spec.pad.isDefined

  /** The sizes of the levels of its lists: none for one value, one for a flat list. */
  def levels: Array[Int] = {
    def depth(kind: DataType): Int = kind match {
      case list: ArrayType => 1 + depth(list.elementType)
      case _ => 0
    }
    val deep = depth(columns.head)
    if (deep == 0) Array.empty
    else if (deep == 1 && spec.shape.size > 1) Array(spec.shape.product.toInt)
    else spec.shape.map(_.toInt).toArray
  }

  /** The shape of a row where it is known before any row is. */
  def shape: Seq[Long] = {
    val rest = spec.shape.drop(1).product
    if (stacked && spec.shape.headOption.exists(_ < 0)) columns.size / rest +: spec.shape.drop(1)
    else spec.shape
  }
}

/** The rows of one input on their way into a tensor.
  *
  * @param first
  *   the number of its first column in the rows that are read
  */
private[tfspark] final class FeedBuffer(feed: Feed, first: Int) {
  private val levels = feed.levels
  private val values = Values.of(feed.spec)
  private val list = feed.columns.head match {
    case kind: ArrayType => new ListReader(kind, feed.spec, levels)
    case _ => null
  }
  private val whole = if (feed.raw) Reader.raw(feed.spec) else list
  private val leaves = if (whole != null) Array.empty[Reader]
  else feed.columns.map(Reader.leaf(_, feed.spec)).toArray

  /** Whether rows may have different shapes. */
  val open: Boolean = levels.exists(_ < 0)
  private val perRow = if (open) -1 else feed.shape.product.toInt
  private val openLevels = levels.indices.filter(levels(_) < 0).toArray

  // What a null row is: where a length is open it is one, whatever the rows beside it have.
  private val ofNulls = levels.map(math.abs).product

  // Of rows of different shapes: where each begins, and its open sizes.
  private val starts = new Ints
  private val sizes = new Ints

  def bytes: Long = values.bytes

  /** Add a row; null if it was taken, else the reason why not, and it is not in. */
  def add(row: SpecializedGetters): String = {
    val before = values.size
    val reason = if (whole != null) addWhole(row, before) else addValues(row)
    if (reason != null) values.truncate(before)
    reason
  }

  private def addValues(row: SpecializedGetters): String = {
    var i = 0
    while (i < leaves.length) {
      val reason = leaves(i).read(row, first + i, values)
      if (reason != null) return feed.about(i) + reason
      i += 1
    }
    null
  }

  private def addWhole(row: SpecializedGetters, before: Int): String = {
    if (row.isNullAt(first)) {
      if (feed.spec.empty.isEmpty) return feed.about.head + Reader.NoNull
      if (open) {
        starts.add(before)
        openLevels.foreach(_ => sizes.add(1))
      }
      for (_ <- 0 until (if (open) ofNulls else perRow)) values.putEmpty()
      return null
    }
    val reason = whole.read(row, first, values)
    if (reason != null) return feed.about.head + reason
    if (open) {
      starts.add(before)
      openLevels.foreach(level => sizes.add(list.found(level)))
    }
    null
  }

  /** Add rows of column vectors; false, and none is added, where one has to be looked at alone.
    *
    * @param columns
    *   of all feeds
    */
  def addColumns(columns: Array[ColumnVector], from: Int, to: Int): Boolean =
    values match {
      case blocks: Blocks if !open && list == null && !feed.raw =>
        val own = columns.slice(first, first + feed.columns.size)
        blocks.putColumns(own, feed.columns, from, to)
      case blocks: Blocks if !open && levels.length == 1 =>
        val kind = feed.columns.head.asInstanceOf[ArrayType].elementType
        blocks.putLists(columns(first), kind, from, to, perRow)
      case _ => false
    }

  /** Take the last rows back, as another input did not take them. */
  def drop(rows: Int): Unit =
    if (!open) values.truncate(values.size - rows * perRow)
    else for (_ <- 0 until rows) {
      values.truncate(starts(starts.size - 1))
      starts.truncate(starts.size - 1)
      sizes.truncate(starts.size * openLevels.length)
    }

  def clear(): Unit = {
    values.truncate(0)
    starts.truncate(0)
    sizes.truncate(0)
  }

  /** The open sizes of a row; where lists are filled up, those of the longest. */
  def openSizes(row: Int): Seq[Int] =
    if (open && feed.padded) Seq(sizes.max) else ownSizes(row)

  private def ownSizes(row: Int): Seq[Int] =
    openLevels.indices.map(i => sizes(row * openLevels.length + i))

  /** Rows next to each other as a tensor [to - from, shape of a row]; only where not `open`. */
  def slice(from: Int, to: Int): NativeTensor =
    values.tensor(shaped(to - from, feed.shape), from * perRow, (to - from) * perRow)

  /** Rows of one shape, in any order, as a tensor. */
  def gather(rows: Array[Int], open: Seq[Int]): NativeTensor = {
    val shape = feed.shape.toArray
    for ((level, i) <- openLevels.zipWithIndex) shape(level) = open(i).toLong
    val per = shape.product.toInt
    val chosen = values.fresh()
    for (row <- rows) {
      val start = if (this.open) starts(row) else row * perRow
      val own = if (this.open && feed.padded) ownSizes(row).head else per
      chosen.copy(values, start, own)
      for (_ <- own until per) chosen.putPad()
    }
    chosen.tensor(shaped(rows.length, shape.toSeq), 0, rows.length * per)
  }

  private def shaped(rows: Int, row: Seq[Long]) = rows.toLong +: row
}

/** A growing array. */
private[tfspark] final class Ints {
  private var values = new Array[Int](64)
  private var count = 0

  def size: Int = count
  def apply(at: Int): Int = values(at)
  def truncate(to: Int): Unit = count = to
  def max: Int = values.take(count).max
  def update(at: Int, value: Int): Unit = values(at) = value
  def add(value: Int): Unit = {
    if (count == values.length) values = java.util.Arrays.copyOf(values, count * 2)
    values(count) = value
    count += 1
  }
}
