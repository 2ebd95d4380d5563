package tfspark.table

import com.fasterxml.jackson.databind.ObjectMapper
import com.fasterxml.jackson.databind.node.ObjectNode
import java.time.temporal.ChronoUnit.{MICROS, MILLIS}
import java.time.format.DateTimeFormatter
import java.time.{Instant, LocalDate, LocalDateTime, ZoneOffset}
import java.util.Comparator
import org.apache.parquet.column.statistics.Statistics
import org.apache.parquet.hadoop.metadata.ParquetMetadata
import org.apache.parquet.io.api.Binary
import org.apache.spark.sql.types._
import scala.jdk.CollectionConverters._

/** Statistics of a Parquet file as Delta's log has them, so that queries skip files; as on the
  * Python side (`tfspark/scoring/worker/statistics.py`).
  *
  * A bound that might be wrong is left out: Delta takes a missing one as unknown.
  */
private[tfspark] object DeltaStats {
  private val Columns = 32 // as many as Delta itself keeps statistics of
  private val Letters = 32 // of a bound
  private val json = new ObjectMapper()

  /** The JSON of `numRecords`, `minValues`, `maxValues` and `nullCount`.
    *
    * @param fields
    *   of the file, with the nulls that were counted of each
    */
  def of(footer: ParquetMetadata, fields: Seq[(StructField, Long)]): String = {
    val root = json.createObjectNode()
    root.put("numRecords", footer.getBlocks.asScala.map(_.getRowCount).sum)
    val (low, high) = (root.putObject("minValues"), root.putObject("maxValues"))
    val nulls = root.putObject("nullCount")
    for ((field, count) <- fields.take(Columns)) field.dataType match {
      case _: StructType => () // Delta counts the nulls of its fields
      case kind =>
        nulls.put(field.name, count)
        for ((least, most) <- bounds(footer, field.name)) {
          put(low, field.name, kind, least, up = false)
          put(high, field.name, kind, most, up = true)
        }
    }
    root.toString
  }

  /** The least and the greatest value of a flat column, if every row group tells. */
  private def bounds(footer: ParquetMetadata, name: String): Option[(Any, Any)] = {
    val chunks = footer.getBlocks.asScala.toSeq.flatMap { block =>
      block.getColumns.asScala.filter { column =>
        column.getPath.size == 1 && column.getPath.toDotString == name
      }
    }
    val told = chunks
      .filter(chunk => chunk.getStatistics.getNumNulls < chunk.getValueCount)
      .map(_.getStatistics: Statistics[_])
    if (told.isEmpty || !told.forall(_.hasNonNullValue)) None
    else {
      val order = told.head.comparator().asInstanceOf[Comparator[Any]]
      val least = told.map(_.genericGetMin: Any).min(Ordering.comparatorToOrdering(order))
      val most = told.map(_.genericGetMax: Any).max(Ordering.comparatorToOrdering(order))
      Some(least -> most)
    }
  }

  /** A bound as JSON has it; none of what Delta keeps none of, or JSON cannot say exactly. */
  private def put(to: ObjectNode, name: String, kind: DataType, value: Any, up: Boolean): Unit =
    (kind, value) match {
      case (DateType, days: Integer) =>
        to.put(name, LocalDate.ofEpochDay(days.toLong).toString): Unit
      case (ByteType | ShortType | IntegerType, whole: Integer) => to.put(name, whole): Unit
      case (LongType, whole: java.lang.Long) => to.put(name, whole): Unit
      case (TimestampType, micros: java.lang.Long) =>
        to.put(name, time(micros, up) + "Z"): Unit
      case (TimestampNTZType, micros: java.lang.Long) => to.put(name, time(micros, up)): Unit
      case (FloatType, found: java.lang.Float) => number(to, name, found.toDouble)
      case (DoubleType, found: java.lang.Double) => number(to, name, found)
      case (_: StringType, bytes: Binary) =>
        val text = bytes.toStringUsingUTF8
        val letters = text.codePointCount(0, text.length)
        if (letters <= Letters) to.put(name, text): Unit
        else if (!up)
          to.put(name, text.substring(0, text.offsetByCodePoints(0, Letters))): Unit
      case _ => ()
    }

  /** NaN is above every number, so a bound that is none says nothing of the other either. */
  private def number(to: ObjectNode, name: String, value: Double): Unit =
    if (!value.isNaN && !value.isInfinite) to.put(name, value): Unit

  private def time(micros: Long, up: Boolean): String = {
    val exact = Instant.EPOCH.plus(micros, MICROS)
    val down = exact.truncatedTo(MILLIS)
    val bound = if (up && down != exact) down.plusMillis(1) else down
    LocalDateTime.ofInstant(bound, ZoneOffset.UTC).format(Milliseconds)
  }

  private val Milliseconds =
    DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.SSS")
}
