package tfspark.tensors

import org.apache.spark.sql.execution.vectorized.WritableColumnVector
import org.apache.spark.sql.types.{DataType, DoubleType, FloatType, IntegerType, LongType}
import org.apache.spark.sql.vectorized.ColumnVector
import org.apache.spark.unsafe.Platform

/** Values that are taken a column at a time where no row of it needs a look by itself. */
private[tfspark] trait Blocks {

  /** Put the values of columns side by side, a row after the other; false, and none is put, where a
    * row has to be looked at.
    */
  def putColumns(columns: Array[ColumnVector], kinds: Seq[DataType], from: Int, to: Int): Boolean

  /** Put a list of `length` values of every row; false as for `putColumns`. */
  def putLists(column: ColumnVector, kind: DataType, from: Int, to: Int, length: Int): Boolean
}

/** Numbers of single precision, also taken a column at a time: no call for a value. */
private[tfspark] final class Floats(spec: TensorSpec)
    extends Values.Numbers(spec)
    with Blocks {
  private val empty = Values.double(spec.empty).toFloat
  private val pad = Values.double(spec.pad).toFloat

  override def hasNan(from: Int): Boolean = (from until count).exists { at =>
    Platform.getFloat(buffer, Platform.BYTE_ARRAY_OFFSET.toLong + at * 4L).isNaN
  }
  override def putLong(value: Long): Boolean = put(value.toFloat)
  override def putDouble(value: Double): Boolean = {
    val narrow = value.toFloat
    put(narrow) && (!narrow.isInfinite || value.isInfinite)
  }
  override def putEmpty(): Unit = put(empty): Unit
  override def putPad(): Unit = put(pad): Unit

  override def putColumns(
      columns: Array[ColumnVector],
      kinds: Seq[DataType],
      from: Int,
      to: Int
  ): Boolean = {
    val before = count
    reserve((to - from) * columns.length)
    val taken = columns.indices.forall { i =>
      val place = Platform.BYTE_ARRAY_OFFSET + (before + i) * 4L
      putColumn(columns(i), kinds(i), from, to, place, columns.length * 4L)
    }
    if (!taken) truncate(before)
    taken
  }

  /** One value of a row, `step` bytes apart from `place` on. */
  private def putColumn(
      column: ColumnVector,
      kind: DataType,
      from: Int,
      to: Int,
      place: Long,
      step: Long
  ): Boolean = {
    val nulls = column.hasNull
    var good = !nulls || spec.empty.isDefined
    var at = place
    var row = from
    def each(value: Int => Float): Unit = while (good && row < to) {
      val found = if (nulls && column.isNullAt(row)) empty else value(row)
      if (spec.refuseNan && found.isNaN) good = nulls && column.isNullAt(row)
      Platform.putFloat(buffer, at, found)
      at += step
      row += 1
    }
    kind match {
      case FloatType if !nulls && !spec.refuseNan =>
        val values = column.getFloats(from, to - from)
        while (row < to) {
          Platform.putFloat(buffer, at, values(row - from))
          at += step
          row += 1
        }
      case FloatType => each(column.getFloat)
      case DoubleType => each { row =>
          val wide = column.getDouble(row)
          val narrow = wide.toFloat
          if (narrow.isInfinite && !wide.isInfinite) good = false
          narrow
        }
      case IntegerType => each(column.getInt(_).toFloat)
      case LongType => each(column.getLong(_).toFloat)
      case _ => good = false
    }
    good
  }

  override def putLists(
      column: ColumnVector,
      kind: DataType,
      from: Int,
      to: Int,
      length: Int
  ): Boolean = column match {
    case lists: WritableColumnVector if kind == FloatType && !lists.hasNull =>
      val values = lists.arrayData()
      // Lists of the right length lie end to end: one block.
      val first = lists.getArrayOffset(from)
      val whole = !values.hasNull && (from until to).forall { row =>
        lists.getArrayLength(row) == length &&
        lists.getArrayOffset(row) == first + (row - from) * length
      }
      whole && {
        val block = values.getFloats(first, (to - from) * length)
        val fine = !spec.refuseNan || !block.exists(_.isNaN)
        if (fine) {
          val place = Platform.BYTE_ARRAY_OFFSET + count * 4L
          reserve(block.length)
          Platform.copyMemory(
            block,
            Platform.FLOAT_ARRAY_OFFSET,
            buffer,
            place,
            block.length * 4L
          )
        }
        fine
      }
    case _ => false
  }

  private def put(value: Float): Boolean = {
    val place = next()
    Platform.putFloat(buffer, place, value)
    true
  }
}
