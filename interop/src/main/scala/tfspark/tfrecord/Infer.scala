package tfspark.tfrecord

import java.nio.charset.StandardCharsets.{ISO_8859_1, UTF_8}
import org.apache.hadoop.conf.Configuration
import org.apache.spark.unsafe.types.UTF8String
import scala.collection.mutable
import scala.util.Using
import tfspark.tfrecord.ArrowType.{ListOf, Plain}
import tfspark.{IntegrityError, StorageError}

/** A schema from records that came without one. */
private[tfspark] object Infer {
  private val FilesOpened = 16

  /** The schema that fits the first records of files; columns are sorted by name.
    *
    * Every column is int64, float (also where some records hold integers), or text where all
    * sampled bytes are UTF-8, else binary; a list where a record has none or several values; a list
    * of lists in `feature_lists`. A column without any value in the sample is left out.
    *
    * @param records
    *   as many in all, of 16 files from the first to the last; None: all records of all files
    * @param skips
    *   damaged records are left out
    * @throws IntegrityError
    *   a damaged record, or one that holds bytes in a feature where another holds numbers, or an
    *   integer that no float is where another holds floats, or a feature among the feature lists
    *   where another has one of its name beside them
    * @throws StorageError
    *   a file cannot be read, or none has a record
    */
  def apply(
      paths: Seq[String],
      records: Option[Long],
      compression: Option[String],
      conf: Configuration,
      skips: Boolean = false
  ): Seq[ArrowField] = {
    val opened = records.fold(paths.size)(_ => math.min(paths.size, FilesOpened))
    val spread = (0 until opened).map { at =>
      if (opened == 1) 0 else (at.toDouble * (paths.size - 1) / (opened - 1)).toInt
    }
    val seen = mutable.LinkedHashMap.empty[(Boolean, String), Seen]
    var count = 0
    val rest = paths.indices.filterNot(spread.toSet)
    val most = records.fold(Long.MaxValue)(all => math.max(1, all / math.max(1, spread.size)))
    // The others only as long as all are empty.
    for (number <- (spread ++ rest).iterator.takeWhile(at => count == 0 || spread.contains(at)))
      each(paths(number), most, compression, conf, skips) { (at, record) =>
        val parsed =
          try Some(Wire.parse(record))
          catch {
            case _: WireError if skips => None
            case error: WireError =>
              throw new IntegrityError(
                s"$at is damaged: ${error.getMessage}; records of another kind are read with " +
                  "recordType ByteArray"
              )
          }
        for ((single, lists) <- parsed) {
          count += 1
          for ((key, values) <- single)
            seen.getOrElseUpdate((false, key), new Seen(key)).take(values, at)
          for ((key, inner) <- lists; values <- inner)
            seen.getOrElseUpdate((true, key), new Seen(key)).take(values, at)
        }
      }
    if (count == 0 && skips)
      apply(paths, records, compression, conf, skips = false) // says what is damaged
    else if (count == 0) {
      val named =
        if (paths.size == 1) s"${paths.head} has no" else s"none of ${paths.size} files has a"
      throw new StorageError(s"$named record to take a schema from: give the schema")
    } else fields(seen.toSeq)
  }

  private def fields(seen: Seq[((Boolean, String), Seen)]): Seq[ArrowField] = {
    val found = seen.sortBy(_._1._2).flatMap { case ((nested, _), one) =>
      one.kind(nested).map(kind => (nested, one, ArrowField(one.name, kind, nullable = true)))
    }
    for (
      Seq((nested, first, _), (_, second, field)) <- found.sliding(2) if first.name == field.name
    ) {
      val shapes = Seq("values", "a list of lists")
      val (one, other) = if (nested) (shapes(1), shapes.head) else (shapes.head, shapes(1))
      throw new IntegrityError(
        s"${second.at} holds $other in ${field.name}, ${first.at} $one: give the schema of the " +
          "records that you want"
      )
    }
    found.map(_._3)
  }

  private def each(
      path: String,
      most: Long,
      compression: Option[String],
      conf: Configuration,
      skips: Boolean
  )(use: (String, Array[Byte]) => Unit): Unit =
    Using.resource(new Source(Store(path, conf), compression)) { source =>
      val frames = new Frames(source)
      var left = most
      while (left > 0 && frames.next()) {
        val at = s"$path: record ${frames.record} at byte ${frames.offset}"
        if (frames.good)
          use(at, java.util.Arrays.copyOfRange(frames.data, frames.begin, frames.end))
        else if (!skips)
          throw new IntegrityError(s"$at is damaged: the sum of its data is wrong")
        left -= 1
      }
      if (frames.broken != null && !skips)
        throw new IntegrityError(
          s"$path: record ${frames.record} at byte ${frames.offset} is damaged: ${frames.said}; " +
            "give the schema"
        )
    }

  /** What a sample holds of one feature. */
  private final class Seen(key: String) {
    var at = "" // where the first list is
    private val kinds = mutable.LinkedHashMap.empty[Int, String] // where the first one is
    private var empty = 0 // the kind of a list that holds none
    private var (single, text) = (true, true)
    private var noFloat: Option[String] = None

    val name: String = new String(key.getBytes(ISO_8859_1), UTF_8)

    def take(values: Values, at: String): Unit = if (values.kind != 0) {
      if (this.at.isEmpty) this.at = at
      single &&= values.values.size == 1
      if (values.values.isEmpty) empty = values.kind
      else {
        kinds.getOrElseUpdate(values.kind, at)
        if (kinds.contains(Kind.bytes) && kinds.size > 1) {
          val Seq((first, _), (_, there)) = kinds.toSeq: @unchecked
          throw new IntegrityError(
            s"$there holds ${Kind.names(values.kind)} values in $name, records before it " +
              s"${Kind.names(first)}: give the schema of the records that you want"
          )
        }
        values.values.foreach {
          case bytes: Array[Byte] => text &&= UTF8String.fromBytes(bytes).isValid
          case value: Long if noFloat.isEmpty && BigDecimal(value.toFloat.toDouble) != value =>
            noFloat = Some(s"$at holds $value in $name")
          case _ =>
        }
      }
    }

    def kind(nested: Boolean): Option[ArrowType] = {
      val tag =
        if (kinds.contains(Kind.float)) Kind.float else kinds.keys.headOption.getOrElse(empty)
      if (tag == Kind.float) for (where <- noFloat)
        throw new IntegrityError(
          s"$where, which no float is, and other records hold floats there: leave the column out " +
            "by giving the schema of the others"
        )
      val leaf = tag match {
        case Kind.float => Some("float")
        case Kind.int64 => Some("int64")
        case Kind.bytes => Some(if (text) "string" else "binary")
        case _ => None
      }
      def list(kind: ArrowType): ArrowType = ListOf("list", ArrowField("item", kind, true))
      leaf.map(Plain(_)).map { kind =>
        if (nested) list(list(kind)) else if (single) kind else list(kind)
      }
    }
  }
}
