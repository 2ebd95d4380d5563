package tfspark.table

import com.fasterxml.jackson.databind.ObjectMapper
import org.apache.hadoop.fs.Path
import org.apache.spark.TaskContext
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.{Attribute, SpecificInternalRow}
import org.apache.spark.sql.catalyst.util.{ArrayData, GenericArrayData}
import org.apache.spark.sql.tfspark.SendableConfiguration
import org.apache.spark.sql.types._
import org.apache.spark.sql.vectorized.ColumnarBatch
import tfspark.StorageError
import tfspark.storage.Storage
import tfspark.tensors.OutputColumn
import tfspark.worker.{Batch, Batches, Scorer}

/** What one attempt of a task wrote: as `Part` of `tfspark/scoring/worker/sink.py`.
  *
  * @param file
  *   of good rows, in the day's folder; None where none was good
  * @param stats
  *   of the file, as Delta's log has them
  * @param badFile
  *   of bad rows, in the staging folder; None where none was bad
  */
final case class Part(
    file: Option[String],
    bytes: Long,
    rows: Long,
    stats: String,
    badFile: Option[String],
    bad: Long
)

private[tfspark] object Part {
  private val json = new ObjectMapper()

  def write(part: Part): String = json
    .createObjectNode()
    .put("file", part.file.orNull)
    .put("bytes", part.bytes)
    .put("rows", part.rows)
    .put("stats", part.stats)
    .put("bad_file", part.badFile.orNull)
    .put("bad", part.bad)
    .toString

  def read(text: String): Part = {
    val root = json.readTree(text)
    def optional(name: String) = Option(root.get(name)).filterNot(_.isNull).map(_.asText)
    Part(
      optional("file"),
      root.get("bytes").asLong,
      root.get("rows").asLong,
      root.get("stats").asText,
      optional("bad_file"),
      root.get("bad").asLong
    )
  }
}

/** The task that writes a table's own files: rows in, scored, one Parquet file of the target out.
  *
  * @param columns
  *   the rows' fields: those that are used, and as it may be the reasons why a row is bad already
  *   and its text
  * @param used
  *   how many of them are used
  * @param kept
  *   which of these stand beside the predictions
  * @param about
  *   columns of one value, a String or an Instant
  * @param folder
  *   of the day, in the target
  * @param staging
  *   takes the bad rows: the used columns by number (`c0`, `c1`...), reasons and text
  */
private[tfspark] final case class TableTask(
    scorer: Scorer,
    columns: StructType,
    used: Int,
    kept: Seq[Int],
    about: Seq[(String, Any)],
    folder: String,
    staging: String,
    token: String,
    conf: SendableConfiguration
) {
  private def checked = columns.size > used

  def ofRows(rows: Iterator[InternalRow], inputs: Array[Int], at: Seq[(Attribute, Int)]): Part =
    write(Batches.ofRows(rows, scorer, inputs, at, if (checked) isBad(at) else _ => false))

  def ofColumns(
      batches: Iterator[ColumnarBatch],
      inputs: Array[Int],
      at: Seq[(Attribute, Int)]
  ): Part =
    write(Batches.ofColumns(batches, scorer, inputs, at, Option.when(checked)(isBad(at))))

  private def isBad(at: Seq[(Attribute, Int)]): InternalRow => Boolean = {
    val reasons = at(used)._2
    row => !row.isNullAt(reasons) && row.getArray(reasons).numElements() > 0
  }

  /** Score and write.
    *
    * @throws StorageError
    *   a file cannot be written, or the run has ended meanwhile
    */
  private def write(batches: Batches): Part = {
    val context = TaskContext.get()
    val number = f"${context.partitionId()}%05d"
    val name = s"part-$number-$token-${context.taskAttemptId()}.parquet"
    val check = () => checkOpen(file(folder, name))
    val good = new TableFile(file(folder, name), goodFields, about, conf.value, check)
    val bad = new TableFile(file(staging, name), badFields, Nil, conf.value, check)
    try {
      while (batches.next()) {
        if (batches.batch.bad == 0) putAll(batches, good)
        else
          for (row <- 0 until batches.batch.size)
            if (batches.batch.reason(row) == null) putGood(batches, row, good)
            else putBad(batches, row, bad)
      }
      val footer = good.close()
      bad.close()
      check()
      val stats = if (footer == null) "" else DeltaStats.of(footer, good.nulls)
      Part(
        Option.when(good.rows > 0)(name),
        good.bytes,
        good.rows,
        stats,
        Option.when(bad.rows > 0)(name),
        bad.rows
      )
    } catch {
      case error: Throwable =>
        good.remove()
        bad.remove()
        throw error
    }
  }

  /** As `_Output.check` of `sink.py`: a late task may be killed before it can remove a file. */
  private def checkOpen(path: Path): Unit = {
    val open = file(staging, TableFiles.Open)
    if (!Storage.fileSystem(open, conf.value).exists(open))
      throw new StorageError(s"${Storage.shown(path)}: written too late, the run has ended")
  }

  private def goodFields = StructType(kept.map(columns(_)) ++ outputs)

  @transient private lazy val badFields = StructType(
    columns.take(used).zipWithIndex.map { case (field, i) => field.copy(name = s"c$i") } ++
      Seq(
        StructField(TableFiles.Reasons, TableFiles.ReasonsType),
        StructField(TableFiles.Raw, StringType)
      )
  )

  private def outputs = scorer.signature.outputs.map { output =>
    StructField(output.name, OutputColumn.kindOf(output))
  }

  /** All rows of a batch, a column at a time. */
  private def putAll(batches: Batches, good: TableFile): Unit = {
    val rows = batches.batch.size
    for ((at, field) <- kept.zipWithIndex) {
      if (!batches.block(at).exists(good.putBlock(field, _)))
        for (row <- 0 until rows) good.put(field, batches.kept(row), at)
    }
    for (output <- scorer.signature.outputs.indices) {
      val (field, blocks) = (kept.size + output, batches.batch.blocks(output))
      // Blocks of one column are of one type: it takes all of them or none.
      if (blocks.isEmpty || !blocks.forall(good.putBlock(field, _)))
        for (row <- 0 until rows) good.put(field, batches.batch(row), output)
    }
    good.end(rows)
  }

  private def putGood(batches: Batches, row: Int, good: TableFile): Unit = {
    for ((at, field) <- kept.zipWithIndex) good.put(field, batches.kept(row), at)
    val results = batches.batch(row)
    for (output <- scorer.signature.outputs.indices) good.put(kept.size + output, results, output)
    good.end(1)
  }

  private def putBad(batches: Batches, row: Int, bad: TableFile): Unit = {
    val values = batches.kept(row)
    for (field <- 0 until used) bad.put(field, values, field)
    val reason = batches.batch.reason(row)
    val why =
      if (reason eq Batch.Skipped) values
      else {
        val text: ArrayData = new GenericArrayData(Array[Any](OutputColumn.utf8(reason)))
        val own = new SpecificInternalRow(badFields.map(_.dataType))
        own.update(used, text)
        own
      }
    for (field <- Seq(used, used + 1)) bad.put(field, why, field)
    bad.end(1)
  }

  private def file(folder: String, name: String) = new Path(Storage.pathOf(folder), name)
}
