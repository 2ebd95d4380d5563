package tfspark.worker

import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.{SpecializedGetters, SpecificInternalRow}
import org.apache.spark.sql.types.{DataType, StringType}
import org.apache.spark.sql.vectorized.ColumnVector
import scala.collection.mutable
import scala.util.control.NonFatal
import tfspark.model.{OpenModel, Packed, Signature}
import tfspark.tensors.{Feed, FeedBuffer, Ints, NativeTensor, OutputColumn}
import tfspark.{ModelFailed, TfsparkException}

/** What travels to the executors to score rows there.
  *
  * @param feeds
  *   the model's inputs in its order; their columns come in this order in the rows that are scored
  * @param threads
  *   of TensorFlow for one op; tasks run beside each other in one JVM
  * @param batchRows
  *   the most rows of one call of the model
  * @param batchBytes
  *   how large the tensors of one call may be together
  */
private[tfspark] final case class Scorer(
    packed: Packed,
    signature: Signature,
    feeds: Seq[Feed],
    threads: Int,
    batchRows: Int,
    batchBytes: Long = 32L << 20
) {

  /** A column per output, and one with the reason why a row could not be scored, null if it was. */
  def kinds: Seq[DataType] = signature.outputs.map(OutputColumn.kindOf) :+ StringType

  override def toString: String = s"${packed.model} ${signature.name}"
}

/** Rows in, results out, a batch at a time; used again for the next batch.
  *
  * A row that fails does not fail the others.
  */
private[tfspark] final class Batch(scorer: Scorer) {
  private val model = OpenModel.of(scorer.packed, scorer.signature, scorer.threads)
  private val buffers = {
    val firsts = scorer.feeds.scanLeft(0)(_ + _.columns.size)
    scorer.feeds.zip(firsts).map { case (feed, first) => new FeedBuffer(feed, first) }.toArray
  }
  private val open = buffers.exists(_.open)
  private val outputs = scorer.signature.outputs.toArray

  // Of each row: its reason, or which chunk of results it is in, and where.
  private var reasons = new Array[String](1024)
  private val good = new Ints
  private val chunkOf = new Ints
  private val placeIn = new Ints
  private val chunks = mutable.ArrayBuffer.empty[Array[OutputColumn]]
  private val result = new SpecificInternalRow(scorer.kinds)

  private var count = 0
  private var refused = 0

  def size: Int = count

  def full: Boolean = size >= scorer.batchRows || bytes >= scorer.batchBytes

  private def bytes: Long = {
    var sum = 0L
    var i = 0
    while (i < buffers.length) { sum += buffers(i).bytes; i += 1 }
    sum
  }

  /** How many rows have a reason. */
  def bad: Int = refused

  /** Add a row, whose fields are the columns of the feeds. */
  def add(row: SpecializedGetters): Unit = {
    var taken = 0
    var reason: String = null
    while (reason == null && taken < buffers.length) {
      reason = buffers(taken).add(row)
      if (reason == null) taken += 1
    }
    if (reason == null) good.add(size)
    else for (i <- 0 until taken) buffers(i).drop(1)
    place(reason)
  }

  /** Add a row that is not to be scored: it has a reason of its own. */
  def skip(): Unit = place(Batch.Skipped)

  /** Add rows of column vectors, which are the columns of the feeds; false, and none is added,
    * where they have to be looked at one by one.
    */
  def addColumns(columns: Array[ColumnVector], from: Int, to: Int): Boolean = {
    var taken = 0
    while (taken < buffers.length && buffers(taken).addColumns(columns, from, to)) taken += 1
    val all = taken == buffers.length
    if (!all) for (i <- 0 until taken) buffers(i).drop(to - from)
    else {
      var row = from
      while (row < to) {
        good.add(count)
        place(null)
        row += 1
      }
    }
    all
  }

  /** Why a row was not scored; null if it was. */
  def reason(row: Int): String = reasons(row)

  private def place(reason: String): Unit = {
    if (count == reasons.length) reasons = java.util.Arrays.copyOf(reasons, count * 2)
    refuse(count, reason)
    count += 1
    chunkOf.add(-1)
    placeIn.add(-1)
  }

  private def refuse(row: Int, reason: String): Unit = {
    reasons(row) = reason
    if (reason != null) refused += 1
  }

  /** Score all rows that were added. */
  def run(): Unit = {
    if (good.size == 0) ()
    else if (!open) score(Range(0, good.size))
    else groups().foreach { case (shape, rows) => score(rows, shape) }
  }

  /** The results of a row, in a row that the next call changes: the outputs, and the reason. */
  def apply(row: Int): InternalRow = {
    val chunk = chunkOf(row)
    val reason = reasons(row)
    var i = 0
    while (i < outputs.length) {
      if (reason == null) chunks(chunk)(i).put(placeIn(row), result, i) else result.setNullAt(i)
      i += 1
    }
    result.update(outputs.length, OutputColumn.utf8(reason))
    result
  }

  /** The results of all rows for one output, as arrays of numbers end to end; none where they are
    * not at hand so.
    */
  def blocks(output: Int): Seq[AnyRef] = {
    // Chunks are in the order of the rows where all rows are of one shape and none is bad.
    val found = if (open || bad > 0) Nil else chunks.toSeq.map(_(output).block)
    if (found.contains(None)) Nil else found.flatten
  }

  def clear(): Unit = {
    buffers.foreach(_.clear())
    Seq(good, chunkOf, placeIn).foreach(_.truncate(0))
    count = 0
    refused = 0
    chunks.clear()
  }

  /** Rows of one shape together, if inputs take lists of any one length. */
  private def groups(): Seq[(Seq[Seq[Int]], Seq[Int])] = (0 until good.size)
    .groupBy(row => buffers.toSeq.map(_.openSizes(row)))
    .toSeq
    .sortBy(_._2.head)

  private def score(rows: Seq[Int], shape: Seq[Seq[Int]] = buffers.toSeq.map(_ => Nil)): Unit = {
    val each = math.max(1L, bytes / math.max(1, good.size))
    val step = math.max(1L, scorer.batchBytes / each).toInt
    rows.grouped(step).foreach(attempt(_, shape))
  }

  /** Score rows; halve them until the row that fails stands alone. */
  private def attempt(rows: Seq[Int], shape: Seq[Seq[Int]]): Unit =
    try {
      scorer.signature.batch match {
        case None => keep(rows, call(rows, rows.size, shape))
        case Some(size) =>
          // All or nothing, as for any other model: a failure is of all of these rows.
          val parts = rows.grouped(size).map { part =>
            part -> call(part ++ Seq.fill(size - part.size)(part.last), part.size, shape)
          }
          parts.toVector.foreach { case (part, columns) => keep(part, columns) }
      }
      model.succeeded = true
    } catch {
      case error: TfsparkException => throw error
      case NonFatal(error) =>
        if (rows.size > 1) {
          val (left, right) = rows.splitAt(rows.size / 2)
          attempt(left, shape)
          attempt(right, shape)
        } else failed(rows.head, error)
    }

  private def call(rows: Seq[Int], wanted: Int, shape: Seq[Seq[Int]]): Seq[OutputColumn] = {
    val tensors = mutable.ArrayBuffer.empty[NativeTensor]
    try {
      for ((buffer, i) <- buffers.zipWithIndex)
        tensors +=
          (rows match {
            case range: Range if !buffer.open => buffer.slice(range.start, range.start + range.size)
            case _ => buffer.gather(rows.toArray, shape(i))
          })
      val inputs = tensors.toSeq
      val results = model.run(inputs)
      tensors ++= results
      outputs.toSeq.zip(results).map { case (spec, tensor) =>
        OutputColumn.read(tensor, spec, wanted, rows.size)
      }
    } finally tensors.foreach(_.close())
  }

  private def keep(rows: Seq[Int], columns: Seq[OutputColumn]): Unit = {
    var place = 0
    while (place < rows.length) {
      val row = good(rows(place))
      chunkOf(row) = chunks.size
      placeIn(row) = place
      place += 1
    }
    chunks += columns.toArray
  }

  private def failed(row: Int, error: Throwable): Unit = {
    refuse(good(row), s"the model failed: ${OpenModel.telling(error)}")
    val failures = model.failures.incrementAndGet()
    if (failures >= Scorer.Hopeless && !model.succeeded)
      throw new ModelFailed(
        s"model ${scorer.packed.model}: failed for each of the first $failures rows, so it is not " +
          s"the rows; the last time with: ${OpenModel.telling(error)}",
        error
      )
  }
}

private[tfspark] object Batch {

  /** In place of the reason of a row that was not to be scored. */
  val Skipped = ""
}

private[tfspark] object Scorer {

  /** Rows that fail one by one, before any succeeds, until the model and not the rows is blamed. */
  val Hopeless = 1000
}
