package tfspark.tensors

import org.apache.spark.sql.catalyst.expressions.SpecializedGetters
import org.apache.spark.sql.catalyst.util.ArrayData
import org.apache.spark.sql.types._

/** Takes a value of a column of one type into the values of an input, without an object a number.
  *
  * `read` gives null for a good value, else the reason why it is none.
  */
private[tfspark] trait Reader {
  def read(from: SpecializedGetters, at: Int, to: Values): String
}

private[tfspark] object Reader {
  val NoNull = "null, and nothing stands for null in this input"
  val NullInside = "a null list inside"
  val NaN = "NaN, and this input refuses NaN"

  /** The reader of one value. */
  def leaf(kind: DataType, spec: TensorSpec): Reader = {
    val outside = s"outside the range of ${spec.dtype}"
    val refuseNan = spec.refuseNan && (kind == FloatType || kind == DoubleType)
    def reader(put: Put): Reader = {
      val leaf = new Leaf(put, spec.empty.isDefined, outside)
      if (refuseNan) new NanReader(leaf, kind == FloatType) else leaf
    }
    kind match {
      case ByteType => reader((from, at, to) => to.putLong(from.getByte(at)))
      case ShortType => reader((from, at, to) => to.putLong(from.getShort(at)))
      case IntegerType | DateType => reader((from, at, to) => to.putLong(from.getInt(at)))
      case LongType | TimestampType | TimestampNTZType =>
        reader((from, at, to) => to.putLong(from.getLong(at)))
      case FloatType => reader((from, at, to) => to.putDouble(from.getFloat(at)))
      case DoubleType => reader((from, at, to) => to.putDouble(from.getDouble(at)))
      case BooleanType =>
        reader((from, at, to) => to.putLong(if (from.getBoolean(at)) 1 else 0))
      case d: DecimalType =>
        reader((from, at, to) => to.putDouble(from.getDecimal(at, d.precision, d.scale).toDouble))
      case _: StringType =>
        // Copied: the row's memory is used again for the next one.
        reader((from, at, to) => to.putBytes(from.getUTF8String(at).getBytes))
      case BinaryType => reader((from, at, to) => to.putBytes(from.getBinary(at)))
      case _ => // void: every value is null
        reader((_, _, _) => throw new IllegalStateException(s"a value of type ${kind.sql}"))
    }
  }

  /** A binary value that holds a tensor's values end to end: pixels, mostly. */
  def raw(spec: TensorSpec): Reader = {
    val values = spec.shape.product.toInt
    (from, at, to) => {
      val bytes = from.getBinary(at)
      if (bytes.length != values * spec.width)
        s"holds ${bytes.length} bytes, ${values * spec.width} needed"
      else {
        to.putRaw(bytes)
        if (spec.refuseNan && to.hasNan(to.size - values)) NaN else null
      }
    }
  }

  /** Whether a column of this type holds all values of a row end to end. */
  def isRaw(kind: DataType, spec: TensorSpec): Boolean =
    kind == BinaryType && spec.dtype != "string" && spec.shape.nonEmpty && spec.shape.forall(_ >= 0)

  private final class NanReader(leaf: Reader, narrow: Boolean) extends Reader {
    override def read(from: SpecializedGetters, at: Int, to: Values): String =
      if (from.isNullAt(at)) leaf.read(from, at, to)
      else if ((if (narrow) from.getFloat(at).toDouble else from.getDouble(at)).isNaN) NaN
      else leaf.read(from, at, to)
  }

  /** A function of primitives: `Function3` would box the place of each value. */
  private trait Put { def apply(from: SpecializedGetters, at: Int, to: Values): Boolean }

  private final class Leaf(put: Put, nullable: Boolean, outside: String) extends Reader {
    override def read(from: SpecializedGetters, at: Int, to: Values): String =
      if (!from.isNullAt(at)) { if (put(from, at, to)) null else outside }
      else if (nullable) { to.putEmpty(); null }
      else NoNull
  }
}

/** Reads lists, nested or not.
  *
  * @param sizes
  *   of each level; -1 where any is taken, so long as it is the same throughout a row
  * @param found
  *   the sizes of the row that was read last
  */
private[tfspark] final class ListReader(kind: ArrayType, spec: TensorSpec, sizes: Array[Int])
    extends Reader {
  private val levels = sizes.length
  private val kinds = Iterator.iterate[DataType](kind) {
    case list: ArrayType => list.elementType
    case other => other
  }.take(levels + 1).toArray
  private val leaf = Reader.leaf(kinds(levels), spec)
  private val padded = spec.pad.isDefined
  private val inside = sizes.indices.map(level => sizes.drop(level + 1).product).toArray
  val found: Array[Int] = sizes.clone()

  /** One list that is not null. */
  override def read(from: SpecializedGetters, at: Int, to: Values): String = {
    System.arraycopy(sizes, 0, found, 0, levels)
    val list = from.getArray(at)
    if (!walk(list, 0, to)) return diagnosis(list)
    for (level <- 0 until levels) if (found(level) < 0) found(level) = 0
    null
  }

  private def walk(list: ArrayData, level: Int, to: Values): Boolean = {
    val length = list.numElements()
    if (found(level) < 0) found(level) = length
    if (if (padded) length > found(level) else length != found(level)) return false
    var i = 0
    if (level == levels - 1) {
      while (i < length) {
        if (leaf.read(list, i, to) != null) return false
        i += 1
      }
    } else
      while (i < length) {
        if (list.isNullAt(i) || !walk(list.getArray(i), level + 1, to)) return false
        i += 1
      }
    // Of a level that is open, `found` is this list's own length, and nothing is missing.
    var missing = (found(level) - length) * inside(level)
    while (missing > 0) {
      to.putPad()
      missing -= 1
    }
    true
  }

  /** The first thing that is wrong, in the order in which the Python side looks: level by level. */
  private def diagnosis(top: ArrayData): String = wrong(Seq(top), 0)

  private def wrong(lists: Seq[ArrayData], level: Int): String = {
    val lengths = lists.map(_.numElements()).distinct
    def some(test: (ArrayData, Int) => Boolean) =
      lists.exists(list => (0 until list.numElements()).exists(test(list, _)))
    if (sizes(level) >= 0 && padded && lengths.exists(_ > sizes(level)))
      s"a list of more than ${sizes(level)} values"
    else if (sizes(level) >= 0 && !padded && lengths.exists(_ != sizes(level)))
      s"a list of another length than ${sizes(level)}"
    else if (sizes(level) < 0 && lengths.size > 1) "inner lists of different lengths"
    else if (level < levels - 1) {
      if (some(_.isNullAt(_))) Reader.NullInside
      else wrong(lists.flatMap(list => (0 until list.numElements()).map(list.getArray)), level + 1)
    } else {
      val values = Values.of(spec.copy(shape = Nil))
      if (spec.empty.isEmpty && some(_.isNullAt(_))) Reader.NoNull
      else {
        val said = lists.flatMap(l => (0 until l.numElements()).map(leaf.read(l, _, values)))
        said.find(_ == Reader.NaN).orElse(said.find(_ != null)).get
      }
    }
  }
}
