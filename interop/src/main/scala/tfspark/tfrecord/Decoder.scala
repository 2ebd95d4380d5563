package tfspark.tfrecord

import org.apache.spark.sql.execution.vectorized.WritableColumnVector
import org.apache.spark.sql.types.StructType
import tfspark.shared.Shared

/** Records to columns, a record at a time, without an object per value.
  *
  * @param names
  *   the columns that are decoded, in this order; the others are not
  */
private[tfrecord] final class Decoder(layout: Layout, names: Seq[String]) {
  private val fields = names.map(name => layout.fields.find(_.name == name).get)

  /** What Spark reads these columns as. */
  val schema: StructType = SparkTypes.toSpark(fields)

  private val features = layout.features.toIndexedSeq
  private val places = {
    var place = -1
    features.map { feature =>
      if (!names.contains(feature.path.head)) -1
      else { place += 1; place }
    }.toArray
  }
  private val raw = layout.raw
  private val spans = new Spans(features, places, layout.sampled)
  private val columns = fields.map(field => column(field, Seq(field.name), field.nullable)).toArray

  /** Decode a record into row `row` of the vectors; false: it is no message, nothing was put.
    *
    * @throws MisfitError
    *   it does not fit the schema
    * @throws LossError
    *   Spark's type does not hold a value
    */
  def decode(data: Array[Byte], begin: Int, end: Int, to: Array[WritableColumnVector], row: Int)
      : Boolean =
    if (raw) {
      to.foreach(_.putByteArray(row, data, begin, end - begin))
      true
    } else spans.locate(data, begin, end) && {
      if (spans.strange != null)
        throw new MisfitError(Shared.say("strange_feature", "name" -> spans.strange))
      var at = 0
      while (at < columns.length) {
        try columns(at).put(to(at), row)
        catch { case error: LossError => throw lost(fields(at), error) }
        at += 1
      }
      true
    }

  private def lost(field: ArrowField, error: LossError) = {
    val into = SparkTypes.toArrow(SparkTypes.toSpark(Seq(field))).head.kind
    new LossError(s"column ${field.name} is ${field.kind} and cannot be $into: ${error.reason}")
  }

  private def column(field: ArrowField, path: Seq[String], nullable: Boolean): Column = {
    val at = features.indexWhere(_.path == path)
    field.kind match {
      case ArrowType.Struct(inner) =>
        val marker = new Leaf(features(at), places(at), true, spans)
        val fields = inner.map(one => column(one, path :+ one.name, nullable || one.nullable))
        new Struct(marker, fields.toArray, field.nullable)
      case _ => new Leaf(features(at), places(at), nullable, spans)
    }
  }
}

/** A column of one record: where it goes, and whether it is there. */
private abstract class Column {
  def here: Boolean
  def put(to: WritableColumnVector, row: Int): Unit
}

private final class Struct(marker: Leaf, fields: Array[Column], nullable: Boolean) extends Column {
  def here: Boolean = marker.here || fields.exists(_.here)

  def put(to: WritableColumnVector, row: Int): Unit = {
    marker.check()
    if (nullable && !here) to.putNull(row)
    var at = 0
    while (at < fields.length) {
      fields(at).put(to.getChild(at), row)
      at += 1
    }
  }
}

private final class Leaf(feature: Feature, place: Int, nullable: Boolean, spans: Spans)
    extends Column {
  private val restore = Restore.of(feature)
  private val kind = if (feature.depth == 2) 0 else feature.kind
  private val size = if (feature.depth == 0) 1 else feature.sizes.head
  private val inner = feature.sizes.lastOption.getOrElse(1)
  private val decimal = feature.leaf.isInstanceOf[ArrowType.Decimal]

  def here: Boolean = spans.count(place) >= 0

  def put(to: WritableColumnVector, row: Int): Unit =
    if (check()) {
      val (count, begin) = (spans.count(place), spans.begin(place))
      if (feature.depth == 0) values(to, row, spans.kind(place), begin, spans.end(place))
      else {
        val items = to.arrayData()
        val at = items.getElementsAppended
        to.putArray(row, at, count)
        items.reserve(at + count)
        items.addElementsAppended(count)
        if (feature.depth == 1) values(items, at, spans.kind(place), begin, spans.end(place), count)
        else lists(items, at, begin, spans.end(place))
      }
    } else to.putNull(row)

  /** Whether the record has the feature.
    *
    * @throws MisfitError
    *   it does not fit the schema
    */
  def check(): Boolean = {
    if (here) fits(spans.kind(place), spans.count(place), kind, size)
    else if (!feature.marker && spans.elsewhere(place)) {
      val (lists, single) = ("a list of lists", "values")
      val (found, wanted) = if (feature.depth < 2) (lists, single) else (single, lists)
      val values = Seq("name" -> feature.name, "found" -> found, "wanted" -> wanted)
      throw new MisfitError(Shared.say("other_depth", values: _*))
    } else if (!nullable) throw new MisfitError(s"has no feature ${feature.name}")
    here
  }

  private def fits(found: Int, count: Int, wanted: Int, size: Int): Unit = {
    val same = found == wanted || count == 0 || (wanted == Kind.float && found == Kind.int64) ||
      (decimal && wanted != 0)
    if (!same)
      throw new MisfitError(
        s"holds ${Kind.names(found)} values in ${feature.name}, the schema says " +
          Kind.names(feature.kind)
      )
    if (size >= 0 && count != size) {
      val says = if (feature.depth == 0) "the schema says one" else s"the type says $size"
      throw new MisfitError(s"has $count values in ${feature.name}, $says")
    }
  }

  private def lists(to: WritableColumnVector, first: Int, begin: Int, end: Int): Unit = {
    val items = to.arrayData()
    var (at, row) = (begin, first)
    while (at < end) {
      spans.field(at, end)
      at = spans.contentEnd
      spans.list(spans.contentBegin, at)
      val count = spans.listCount
      if (count < 0) to.putNull(row)
      else {
        fits(spans.listKind, count, feature.kind, inner)
        val place = items.getElementsAppended
        to.putArray(row, place, count)
        items.reserve(place + count)
        items.addElementsAppended(count)
        values(items, place, spans.listKind, spans.listBegin, spans.listEnd, count)
      }
      row += 1
    }
  }

  private def values(
      to: WritableColumnVector,
      first: Int,
      found: Int,
      begin: Int,
      end: Int,
      count: Int = 1
  ): Unit = {
    val last = first + count
    var (row, at) = (first, begin)
    if (count > 0) (if (decimal) found else feature.kind) match {
      case Kind.int64 =>
        while (row < last) {
          restore.int64(to, row, spans.number(at))
          at = spans.numberEnd
          row += 1
        }
      case Kind.float if found == Kind.int64 =>
        while (row < last) {
          restore.float(to, row, exact(spans.number(at)))
          at = spans.numberEnd
          row += 1
        }
      case Kind.float =>
        while (row < last) {
          restore.float(to, row, spans.float(at))
          at += 4
          row += 1
        }
      case _ =>
        while (row < last) {
          spans.field(at, end)
          at = spans.contentEnd
          restore.bytes(to, row, spans.data, spans.contentBegin, at - spans.contentBegin)
          row += 1
        }
    }
  }

  /** An integer that is exactly a float. */
  private def exact(value: Long): Float = {
    val lowest = value & -value
    if (lowest > 0 && lowest < (1L << 39) && math.abs(value) >= (lowest << 24))
      throw new MisfitError(s"holds an integer in ${feature.name} that is no float")
    value.toFloat
  }
}
