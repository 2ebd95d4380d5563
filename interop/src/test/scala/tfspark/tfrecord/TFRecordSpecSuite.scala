package tfspark.tfrecord

import com.fasterxml.jackson.databind.ObjectMapper
import java.nio.file.{Files => LocalFiles}
import java.nio.{ByteBuffer, ByteOrder}
import java.time.LocalDate
import org.apache.hadoop.conf.Configuration
import org.apache.spark.sql.Row
import org.apache.spark.sql.catalyst.{CatalystTypeConverters, InternalRow}
import org.apache.spark.sql.execution.vectorized.{OnHeapColumnVector, WritableColumnVector}
import org.apache.spark.sql.types._
import org.apache.spark.sql.vectorized.{ColumnVector, ColumnarBatch}
import org.scalatest.funsuite.AnyFunSuite
import scala.collection.immutable.VectorMap
import scala.jdk.CollectionConverters._
import tfspark.SpecSuite.{javas, list, map, read}
import tfspark.shared.Shared
import tfspark.{IntegrityError, Local}

/** `spec/tfrecord.yaml`: rows as the bytes of a file; `tests/spec/test_tfrecord.py` has the same of
  * Python.
  */
class TFRecordSpecSuite extends AnyFunSuite {
  private val json = new ObjectMapper()

  private def schema(spec: Map[String, Any]): StructType = {
    val fields = map(spec("schema")).toVector.map { case (name, kind) =>
      VectorMap("name" -> name, "type" -> kind, "nullable" -> true, "metadata" -> Map.empty)
    }
    val text = json.writeValueAsString(javas(VectorMap("type" -> "struct", "fields" -> fields)))
    DataType.fromJson(text).asInstanceOf[StructType]
  }

  /** A value of a case as Spark takes it inside. */
  private def value(told: Any, kind: DataType): Any = (told, kind) match {
    case (null, _) => null
    case (list: Seq[_], ArrayType(inner, _)) => list.map(value(_, inner))
    case (list: Seq[_], StructType(fields)) =>
      Row.fromSeq(list.zip(fields).map { case (one, field) => value(one, field.dataType) })
    case (text: String, BinaryType) =>
      text.grouped(2).map(Integer.parseInt(_, 16).toByte).toArray
    case (text, DateType) => LocalDate.parse(text.toString)
    case (micros: Long, TimestampType) =>
      java.time.Instant.ofEpochSecond(
        Math.floorDiv(micros, 1000000L),
        Math.floorMod(micros, 1000000L) * 1000
      )
    case (flag: Boolean, BooleanType) => flag
    case (number, ByteType) => number.toString.toByte
    case (number, ShortType) => number.toString.toShort
    case (number, IntegerType) => number.toString.toInt
    case (number, LongType) => number.toString.toLong
    case (number, FloatType) => number.toString.toFloat
    case (text, StringType) => text.toString
    case (text, kind: DecimalType) => new java.math.BigDecimal(text.toString).setScale(kind.scale)
    case other => fail(s"no value: $other")
  }

  /** Comparable: bytes and floats by their bits. */
  private def plain(value: Any): Any = value match {
    case bytes: Array[Byte] => bytes.toSeq
    case float: Float => java.lang.Float.floatToIntBits(float)
    case row: Row => row.toSeq.map(plain).toList
    case list: scala.collection.Seq[_] => list.map(plain).toList
    case time: java.sql.Timestamp => time.toInstant
    case date: java.sql.Date => date.toLocalDate
    case other => other
  }

  private def rows(spec: Map[String, Any]): Seq[Row] = {
    val kinds = schema(spec).map(_.dataType)
    list(spec("rows")).map(row => Row.fromSeq(list(row).zip(kinds).map((value _).tupled)))
  }

  private def hex(bytes: Array[Byte]): String = bytes.map(b => f"$b%02x").mkString

  private def bytes(hex: Any): Array[Byte] =
    hex.toString.grouped(2).filter(_.nonEmpty).map(Integer.parseInt(_, 16).toByte).toArray

  /** The rows of a file. */
  private def decoded(file: java.nio.file.Path, layout: Layout): List[Row] = {
    val all = new Frames(new Source(Store(file.toString, new Configuration()), None))
    val decoder = new Decoder(layout, layout.names)
    val vectors = OnHeapColumnVector.allocateColumns(256, decoder.schema)
    val columns = vectors.map(vector => vector: WritableColumnVector)
    var row = 0
    while (all.next()) {
      assert(all.good && decoder.decode(all.data, all.begin, all.end, columns, row))
      row += 1
    }
    assert(all.broken == null)
    val batch = new ColumnarBatch(vectors.map(vector => vector: ColumnVector), row)
    val toRow = CatalystTypeConverters.createToScalaConverter(decoder.schema)
    val found = batch.rowIterator.asScala.map(one => toRow(one.copy()).asInstanceOf[Row]).toList
    batch.close()
    found
  }

  private def framed(record: Array[Byte]): Array[Byte] = {
    val words = ByteBuffer.allocate(16 + record.length).order(ByteOrder.LITTLE_ENDIAN)
    val sums = new Sums
    words.putLong(record.length.toLong)
    words.putInt(sums(words.array, 0, 8)).put(record).putInt(sums(record, 0, record.length))
    words.array
  }

  /** It fails as the case says, or does not. */
  private def saying(spec: Map[String, Any])(run: => Any): Unit = spec.get("says") match {
    case Some(said) =>
      val found = intercept[RuntimeException](run).getMessage
      assert(found.contains(said.toString), found)
    case None => run: Unit
  }

  private val whole = map(read("tfrecord.yaml"))

  for (spec <- list(whole("options")).map(map)) test(s"options: ${spec("given")}") {
    val told = map(spec("given")).map { case (name, value) => name -> value.toString }
    saying(spec) {
      val options = new Options(told + ("path" -> "p"))
      val found = Seq(
        "codec" -> Some(options.written),
        "compression" -> options.compression,
        "recordType" -> options.recordType
      )
      assert(found.collect { case (name, Some(value)) => name -> value }.toMap ==
        map(spec("means")))
    }
  }

  test("compression by content") {
    for (spec <- list(whole("compression")).map(map))
      saying(spec) {
        assert(Compression.in(bytes(spec("bytes")), spec("name").toString) == spec("is"), spec)
      }
  }

  for (spec <- list(whole("layouts")).map(map)) test(s"layout: ${spec.removed("sidecar")}") {
    val narrow = map(spec.getOrElse("narrow", Map.empty)).map { case (n, way) => n -> way.toString }
    saying(spec) {
      val layout = Layout.of(
        SparkTypes.toArrow(schema(spec)),
        narrow,
        spec.get("recordType").map(_.toString)
      )
      assert(layout.features.map(f => f.name -> Kind.names(f.kind)).toMap == map(spec("features")))
      for (sidecar <- spec.get("sidecar"))
        assert(layout.toJson == json.readTree(json.writeValueAsString(javas(sidecar))))
    }
  }

  for (spec <- list(whole("reading")).map(map)) test(s"reading: ${spec("name")}") {
    val file = Local.temporary("spec").resolve("a.tfrecord")
    LocalFiles.write(file, list(spec("records")).flatMap(one => framed(bytes(one))).toArray)
    val sampled = spec.get("sampled").map(list(_).map(_.toString).toSet)
    val known = sampled.map(_ ++ schema(spec).fieldNames)
    val layout = Layout.toRead(SparkTypes.toArrow(schema(spec))).copy(sampled = known)
    saying(spec)(assert(decoded(file, layout).map(plain) == rows(spec).map(plain)))
  }

  for (spec <- list(whole("record types")).map(map)) test(s"record types: $spec") {
    val declared = spec("declared").toString
    val ddl = Map("Example" -> "a bigint", "SequenceExample" -> "l array<array<float>>")
    val fields = SparkTypes.toArrow(StructType.fromDDL(ddl.getOrElse(declared, "b binary")))
    val layout = Layout.of(fields, recordType = Some(declared))
    val options = new Options(Map("path" -> "F", "recordType" -> spec("asked").toString))
    val folder = Folder("F", Some(layout), Nil)
    saying(spec)(assert(TFRecordSource.declared(folder, options).contains(layout)))
  }

  private def strict(fields: Map[String, Any]): StructType =
    StructType(fields.toSeq.map { case (name, kind) =>
      val inner = if (kind.isInstanceOf[Map[_, _]]) strict(map(kind)) else LongType
      StructField(name.stripPrefix("!"), inner, !name.startsWith("!"))
    })

  private def nested(value: Any): Any = value match {
    case row: Seq[_] => InternalRow.fromSeq(row.map(nested))
    case number: Int => number.toLong
    case other => other
  }

  for (spec <- list(whole("nulls")).map(map)) test(s"nulls: $spec") {
    val row = nested(list(spec("row"))).asInstanceOf[InternalRow]
    val found = NotNull.missing(strict(map(spec("schema"))), row)
    assert(found.map(name => Shared.say("null_refused", "name" -> name)) == spec.get("says"))
  }

  for (spec <- list(whole("structs")).map(map)) test(s"structs: $spec") {
    val deep = (1 to spec("deep").toString.toInt).foldLeft(ArrowType.Plain("int64"): ArrowType) {
      (inner, _) => ArrowType.Struct(Seq(ArrowField("s", inner, nullable = true)))
    }
    saying(spec)(Parts.split(Seq(ArrowField("s", deep, nullable = true)), Nil))
  }

  for (spec <- list(whole("cases")).map(map)) {
    val kind = schema(spec)
    def layout = Layout.toRead(SparkTypes.toArrow(kind))

    test(s"written: ${spec("name")}") {
      val encoder = new Encoder(layout, kind)
      val convert = CatalystTypeConverters.createToCatalystConverter(kind)
      rows(spec).foreach(row => encoder.add(convert(row).asInstanceOf[InternalRow]))
      assert(hex(encoder.data.take(encoder.used)) == spec("bytes"))
    }

    test(s"read: ${spec("name")}") {
      val file = Local.temporary("spec").resolve("a.tfrecord")
      val bytes = spec("bytes").toString.grouped(2).filter(_.nonEmpty)
      LocalFiles.write(file, bytes.map(Integer.parseInt(_, 16).toByte).toArray)
      assert(decoded(file, layout).map(plain) == rows(spec).map(plain))
    }

    test(s"sidecar: ${spec("name")}") {
      val expected = json.readTree(json.writeValueAsString(javas(spec("sidecar"))))
      assert(json.readTree(json.writeValueAsString(layout.toJson)) == expected)
    }
  }

  private val manifests = map(read("manifest.yaml"))

  for (spec <- list(manifests("cases")).map(map))
    test(s"manifest: ${spec.removed("says")}") {
      val base = map(manifests("base")).removedAll(spec.get("without").map(_.toString))
      val there = json.writeValueAsString(javas(base ++ map(spec.getOrElse("with", Map.empty))))
      val folder = Local.temporary("manifest")
      val file = folder.resolve(Manifest.File)
      val deep = spec.get("deep").map("[" * _.toString.toInt)
      LocalFiles.writeString(file, deep.getOrElse(spec.get("text").fold(there)(_.toString)))
      val store = Store(folder.toString, new Configuration())
      spec.get("says") match {
        case Some(said) =>
          assert(intercept[IntegrityError](Manifest.read(store)).getMessage == s"$file $said")
        case None =>
          val found = Manifest.read(store).get
          LocalFiles.delete(file)
          found.write(store, None)
          assert(json.readTree(LocalFiles.readString(file)) == json.readTree(there))
      }
    }
}
