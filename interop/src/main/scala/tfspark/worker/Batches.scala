package tfspark.worker

import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions._
import org.apache.spark.sql.types._
import org.apache.spark.sql.vectorized.ColumnarBatch

/** Rows of a task as they come, scored a batch at a time. */
private[tfspark] abstract class Batches(scorer: Scorer) {
  val batch = new Batch(scorer)

  /** Score the next rows; false if there are none. */
  def next(): Boolean = {
    batch.clear()
    fill()
    if (batch.size > 0) batch.run()
    batch.size > 0
  }

  /** The columns that stand beside the results of a row; changed by the next call. */
  def kept(row: Int): InternalRow

  /** The values of one of these columns in all rows, an array of numbers; None where they are not
    * at hand so.
    */
  def block(column: Int): Option[AnyRef]

  /** Add rows to the batch, which is empty. */
  protected def fill(): Unit
}

private[tfspark] object Batches {

  /** Of rows.
    *
    * @param inputs
    *   which fields of a row are the inputs' columns
    * @param keeping
    *   which are kept, with their places
    * @param isBad
    *   whether a row is not to be scored
    */
  def ofRows(
      rows: Iterator[InternalRow],
      scorer: Scorer,
      inputs: Array[Int],
      keeping: Seq[(Attribute, Int)],
      isBad: InternalRow => Boolean
  ): Batches = new Batches(scorer) {
    private val picked = new Picked(inputs)
    private val toKeep = UnsafeProjection.create(
      keeping.map { case (column, at) => BoundReference(at, column.dataType, column.nullable) }
    )
    private val waiting = new Array[UnsafeRow](scorer.batchRows)

    override protected def fill(): Unit = while (rows.hasNext && !batch.full) {
      val row = rows.next()
      // The row's memory is used again for the next one.
      waiting(batch.size) = toKeep(row).copy()
      if (isBad(row)) batch.skip() else batch.add(picked.of(row))
    }
    override def kept(row: Int): InternalRow = waiting(row)
    override def block(column: Int): Option[AnyRef] = None
  }

  /** Of Spark's column batches: no row is built. */
  def ofColumns(
      batches: Iterator[ColumnarBatch],
      scorer: Scorer,
      inputs: Array[Int],
      keeping: Seq[(Attribute, Int)],
      isBad: Option[InternalRow => Boolean]
  ): Batches = new Batches(scorer) {
    private val picked = new Picked(inputs)
    private val view = new Picked(keeping.map(_._2).toArray)
    private var columns: ColumnarBatch = _
    private var first = 0
    private var ahead = 0
    private var end = 0 // of `columns`, which forgets its size when the reader ends

    override protected def fill(): Unit = {
      // The memory of a column batch is used again for the next one: its rows go before.
      while (ahead == end && batches.hasNext) {
        columns = batches.next()
        ahead = 0
        end = columns.numRows
      }
      first = ahead
      val to = ahead + math.min(end - ahead, scorer.batchRows)
      if (to > ahead && isBad.isEmpty && batch.addColumns(inputs.map(columns.column(_)), ahead, to))
        ahead = to
      else
        while (ahead < end && !batch.full) {
          val row = columns.getRow(ahead)
          if (isBad.exists(_(row))) batch.skip() else batch.add(picked.of(row))
          ahead += 1
        }
    }
    override def kept(row: Int): InternalRow = view.of(columns.getRow(first + row))

    override def block(column: Int): Option[AnyRef] = {
      val values = columns.column(keeping(column)._2)
      if (values.hasNull) None
      else
        values.dataType match {
          case IntegerType | DateType => Some(values.getInts(first, batch.size))
          case LongType | TimestampType | TimestampNTZType =>
            Some(values.getLongs(first, batch.size))
          case FloatType => Some(values.getFloats(first, batch.size))
          case DoubleType => Some(values.getDoubles(first, batch.size))
          case _ => None
        }
    }
  }
}
