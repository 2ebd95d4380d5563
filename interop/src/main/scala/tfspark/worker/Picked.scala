package tfspark.worker

import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions._

/** Some fields of a row, without copying them. */
private[tfspark] final class Picked(fields: Array[Int]) extends BaseGenericInternalRow {
  private var row: InternalRow = _

  def of(row: InternalRow): Picked = { this.row = row; this }

  override def numFields: Int = fields.length
  override protected def genericGet(ordinal: Int): Any =
    throw new UnsupportedOperationException("fields are read by their types")
  override def isNullAt(i: Int): Boolean = row.isNullAt(fields(i))
  override def getBoolean(i: Int): Boolean = row.getBoolean(fields(i))
  override def getByte(i: Int): Byte = row.getByte(fields(i))
  override def getShort(i: Int): Short = row.getShort(fields(i))
  override def getInt(i: Int): Int = row.getInt(fields(i))
  override def getLong(i: Int): Long = row.getLong(fields(i))
  override def getFloat(i: Int): Float = row.getFloat(fields(i))
  override def getDouble(i: Int): Double = row.getDouble(fields(i))
  override def getDecimal(i: Int, precision: Int, scale: Int) =
    row.getDecimal(fields(i), precision, scale)
  override def getUTF8String(i: Int) = row.getUTF8String(fields(i))
  override def getBinary(i: Int): Array[Byte] = row.getBinary(fields(i))
  override def getInterval(i: Int) = row.getInterval(fields(i))
  override def getVariant(i: Int) = row.getVariant(fields(i))
  override def getStruct(i: Int, numFields: Int) = row.getStruct(fields(i), numFields)
  override def getArray(i: Int) = row.getArray(fields(i))
  override def getMap(i: Int) = row.getMap(fields(i))
  override def setNullAt(i: Int): Unit = throw new UnsupportedOperationException("read only")
  override def update(i: Int, value: Any): Unit =
    throw new UnsupportedOperationException("read only")
}
