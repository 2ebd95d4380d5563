package tfspark.tfrecord

import java.io.ByteArrayOutputStream
import java.nio.file.{Files => LocalFiles, Path}
import org.apache.hadoop.conf.Configuration
import org.apache.spark.sql.Row
import org.apache.spark.sql.catalyst.{CatalystTypeConverters, InternalRow}
import org.apache.spark.sql.execution.vectorized.{OnHeapColumnVector, WritableColumnVector}
import org.apache.spark.sql.types._
import org.apache.spark.sql.vectorized.{ColumnVector, ColumnarBatch}
import org.scalatest.funsuite.AnyFunSuite
import scala.jdk.CollectionConverters._
import scala.util.Random
import tfspark.Local

/** The codec alone: random rows, every flipped byte, every cut, forms that no writer uses. */
class CodecSuite extends AnyFunSuite {
  private val leaves = Seq[DataType](
    BooleanType,
    ByteType,
    ShortType,
    IntegerType,
    LongType,
    FloatType,
    StringType,
    BinaryType,
    DecimalType(9, 2),
    DecimalType(38, 10)
  )

  /** A type: a value, a list, a list of lists, or a struct of such. */
  private def kind(random: Random, depth: Int): DataType = {
    val leaf = leaves(random.nextInt(leaves.size))
    random.nextInt(if (depth < 2) 8 else 6) match {
      case 0 | 1 => ArrayType(leaf)
      case 2 => ArrayType(ArrayType(leaf))
      case 6 | 7 =>
        StructType((0 until random.nextInt(4)).map { at =>
          StructField(s"s$at", kind(random, depth + 1))
        })
      case _ => leaf
    }
  }

  private def value(random: Random, kind: DataType, nulls: Boolean): Any = {
    def some[T](all: T*): T = all(random.nextInt(all.size))
    if (nulls && random.nextInt(4) == 0) null
    else
      kind match {
        case BooleanType => random.nextBoolean()
        case ByteType => random.nextInt().toByte
        case ShortType => random.nextInt().toShort
        case IntegerType => some(random.nextInt(), Int.MinValue, Int.MaxValue, 0, 127, 128)
        case LongType =>
          some(random.nextLong() >> random.nextInt(64), Long.MinValue, Long.MaxValue, 0L, 1L << 56)
        case FloatType =>
          some(random.nextFloat(), Float.NaN, Float.NegativeInfinity, -0.0f, Float.MinPositiveValue)
        case StringType =>
          some("", "é𝄞", "a" * random.nextInt(300), random.nextString(5).filter(_ < 0xd800))
        case BinaryType => random.nextBytes(random.nextInt(200))
        case decimal: DecimalType =>
          val digits = BigInt(1 + random.nextInt(decimal.precision) * 3, random)
          val wide = BigDecimal(digits, decimal.scale)
          val fits = if (wide.precision > decimal.precision) BigDecimal(0, decimal.scale) else wide
          some(fits, -fits, BigDecimal(0, decimal.scale)).bigDecimal
        case ArrayType(inner, _) =>
          // A null among values is refused; a null for a list is none of them.
          val inside = nulls && inner.isInstanceOf[ArrayType]
          Seq.fill(random.nextInt(5))(value(random, inner, inside))
        case StructType(fields) =>
          Row.fromSeq(fields.toSeq.map(field => value(random, field.dataType, nulls)))
        case other => fail(s"no values of $other")
      }
  }

  private def layoutOf(schema: StructType): Layout = Layout.toRead(SparkTypes.toArrow(schema))

  private def encoded(schema: StructType, rows: Seq[InternalRow]): Array[Byte] = {
    val encoder = new Encoder(layoutOf(schema), schema)
    rows.foreach(encoder.add)
    encoder.data.take(encoder.used)
  }

  private val folder: Path = Local.temporary("codec")

  private def frames(bytes: Array[Byte]): Frames = {
    val file = folder.resolve("a.tfrecord")
    LocalFiles.write(file, bytes)
    new Frames(new Source(Store(file.toString, new Configuration()), Some("none")))
  }

  /** The records that can be read, and why there are no more. */
  private def decoded(schema: StructType, bytes: Array[Byte]): (Seq[Row], Int, String) = {
    val layout = layoutOf(schema)
    val decoder = new Decoder(layout, layout.names)
    val all = frames(bytes)
    val vectors = OnHeapColumnVector.allocateColumns(256, decoder.schema)
    var (row, bad) = (0, 0)
    while (all.next())
      if (
        all.good &&
        decoder.decode(all.data, all.begin, all.end, vectors.map(v => v: WritableColumnVector), row)
      ) row += 1
      else bad += 1
    val batch = new ColumnarBatch(vectors.map(vector => vector: ColumnVector), row)
    val toRow = CatalystTypeConverters.createToScalaConverter(decoder.schema)
    val rows = batch.rowIterator.asScala.map(one => toRow(one.copy()).asInstanceOf[Row]).toList
    batch.close()
    (rows, bad, all.broken)
  }

  private def internal(schema: StructType, rows: Seq[Row]): Seq[InternalRow] = {
    val convert = CatalystTypeConverters.createToCatalystConverter(schema)
    rows.map(row => convert(row).asInstanceOf[InternalRow])
  }

  /** Comparable: bytes and floats by their bits. */
  private def plain(value: Any): Any = value match {
    case bytes: Array[Byte] => bytes.toSeq
    case float: Float => java.lang.Float.floatToIntBits(float)
    case row: Row => row.toSeq.map(plain)
    case list: scala.collection.Seq[_] => list.map(plain).toList
    case other => other
  }

  test("any rows of any schema come back") {
    for (seed <- 0 until 150) withClue(s"seed $seed: ") {
      val random = new Random(seed)
      val schema = StructType((0 to random.nextInt(5)).map { at =>
        StructField(random.nextString(3).filter(c => c != '.' && c < 0xd800) + at, kind(random, 0))
      })
      val nulls = random.nextBoolean()
      val rows = Seq.fill(random.nextInt(20)) {
        Row.fromSeq(schema.map(field => value(random, field.dataType, nulls)))
      }
      val (found, bad, broken) = decoded(schema, encoded(schema, internal(schema, rows)))
      assert(found.map(plain) == rows.map(plain))
      assert(bad == 0 && broken == null)
    }
  }

  private val small = StructType.fromDDL("n int, s string, x array<float>, l array<array<int>>")
  private val smallRows = Seq(
    Row(1, "a", Seq(1.5f), Seq(Seq(1), null)),
    Row(300, null, Seq.empty[Float], null),
    Row(null, "", null, Seq.empty[Seq[Int]]),
    Row(-1, "four", Seq(2f, 3f), Seq(Seq.empty[Int]))
  )

  private def starts(bytes: Array[Byte]): Seq[Int] = {
    val words = java.nio.ByteBuffer.wrap(bytes).order(java.nio.ByteOrder.LITTLE_ENDIAN)
    Iterator.iterate(0)(at => at + 16 + words.getLong(at).toInt).takeWhile(_ <
      bytes.length).toSeq :+
      bytes.length
  }

  test("every flipped byte is found") {
    val bytes = encoded(small, internal(small, smallRows))
    val begins = starts(bytes)
    for (place <- bytes.indices; flip <- Seq(0x01, 0x80, 0xff)) {
      val damaged = bytes.clone()
      damaged(place) = (damaged(place) ^ flip).toByte
      val record = begins.lastIndexWhere(_ <= place)
      val inHeader = place - begins(record) < 12
      val (found, bad, broken) = decoded(small, damaged)
      val left = if (inHeader) Nil else smallRows.drop(record + 1)
      assert(found.map(plain) == (smallRows.take(record) ++ left).map(plain))
      assert(if (inHeader) broken == "the sum of its length is wrong" else bad == 1)
    }
  }

  test("every cut is found, but those between records") {
    val bytes = encoded(small, internal(small, smallRows))
    val begins = starts(bytes)
    for (size <- bytes.indices) {
      val whole = begins.lastIndexWhere(_ <= size)
      val (found, bad, broken) = decoded(small, bytes.take(size))
      assert(found.map(plain) == smallRows.take(whole).map(plain) && bad == 0)
      if (begins.contains(size)) assert(broken == null)
      else assert(broken.startsWith("the file ends too early, its "))
    }
  }

  private def framed(record: Array[Byte]): Array[Byte] = {
    val words = java.nio.ByteBuffer.allocate(16 + record.length)
    words.order(java.nio.ByteOrder.LITTLE_ENDIAN).putLong(record.length.toLong)
    val sums = new Sums
    words.putInt(sums(words.array, 0, 8)).put(record).putInt(sums(record, 0, record.length))
    words.array
  }

  private def field(number: Int, content: Array[Byte]): Array[Byte] =
    Wire.one(number.toLong << 3 | 2) ++ Wire.one(content.length.toLong) ++ content

  private def entry(key: String, feature: Array[Byte]): Array[Byte] =
    field(1, field(1, field(1, key.getBytes) ++ field(2, feature)))

  test("right sums around bytes that are no message") {
    for (seed <- 0 until 300) {
      val random = new Random(seed)
      val good = encoded(small, internal(small, smallRows.take(1)))
      val record = good.slice(12, good.length - 4)
      for (_ <- 0 to random.nextInt(3))
        record(random.nextInt(record.length)) = random.nextInt().toByte
      val outcome =
        try decoded(small, framed(record) ++ good)._1.map(plain).last
        catch { case _: MisfitError => plain(smallRows.head) }
      assert(outcome == plain(smallRows.head), s"seed $seed")
    }
  }

  test("forms that no writer uses are read as what they mean") {
    val int64 = (values: Array[Byte]) => field(3, values)
    val packed = field(1, Array[Byte](1, 2))
    val cases = Seq(
      "unpacked" -> entry("a", int64(Array[Byte](8, 1, 8, 2))),
      "half packed" -> entry("a", int64(field(1, Array[Byte](1)) ++ Array[Byte](8, 2))),
      "twice: the last counts" ->
        (entry("a", int64(field(1, Array[Byte](9)))) ++
          entry("a", int64(packed))),
      "merged" -> field(
        1,
        field(
          1,
          field(1, "a".getBytes) ++ field(2, int64(field(1, Array[Byte](1)))) ++
            field(2, int64(field(1, Array[Byte](2))))
        )
      ),
      "unknown fields" -> (field(9, Array[Byte](1)) ++ entry("a", int64(packed))),
      "the value before the key" ->
        field(1, field(1, field(2, int64(packed)) ++ field(1, "a".getBytes))),
      "other features" -> (entry("zz", int64(packed)) ++ entry("a", int64(packed)))
    )
    for ((what, record) <- cases) {
      val (found, bad, _) = decoded(StructType.fromDDL("a array<bigint>"), framed(record))
      assert(found == Seq(Row(Seq(1L, 2L))) && bad == 0, what)
    }
  }

  test("what does not fit the schema is refused with the reason") {
    def refused(ddl: String, feature: Array[Byte]): String = intercept[MisfitError] {
      decoded(StructType.fromDDL(ddl), framed(entry("a", feature)))
    }.reason
    val two = field(3, field(1, Array[Byte](1, 2)))
    val text = field(1, field(1, Array[Byte](0xff.toByte)))
    val big = field(3, field(1, Wire.one(16777217)))
    assert(refused("a bigint", two) == "has 2 values in a, the schema says one")
    assert(refused("a bigint", field(3, Array())) == "has 0 values in a, the schema says one")
    assert(refused("a string", two) == "holds int64 values in a, the schema says bytes")
    assert(refused("a string", text).startsWith("a is no string: Invalid UTF8"))
    assert(refused("a float", big) == "holds an integer in a that is no float")
    assert(refused("a boolean", field(3, field(1, Array[Byte](2)))).contains("a boolean is 0 or 1"))
    assert(
      refused("a tinyint", field(3, field(1, Wire.one(300)))) ==
        "a is no int8: Integer value 300 not in range: -128 to 127"
    )
    assert(refused("a decimal(3,1)", field(1, field(1, "1.23".getBytes))).contains("lose digits"))
    assert(refused("a decimal(3,1)", field(1, field(1, "x".getBytes))).contains("is not a valid"))
  }

  test("taken: integers that are floats, empty lists of any kind, a feature of no kind") {
    def read(ddl: String, feature: Array[Byte]) =
      decoded(StructType.fromDDL(ddl), framed(entry("a", feature)))._1
    val ints = field(3, field(1, Wire.one(3) ++ Wire.one(1L << 40)))
    assert(read("a array<float>", ints) == Seq(Row(Seq(3f, (1L << 40).toFloat))))
    assert(read("a array<string>", field(3, Array())) == Seq(Row(Seq())))
    assert(read("a string", Array()) == Seq(Row(null)))
  }

  test("a length that is claimed takes no memory") {
    val words = java.nio.ByteBuffer.allocate(12).order(java.nio.ByteOrder.LITTLE_ENDIAN)
    words.putLong(Int.MaxValue.toLong - 100)
    words.putInt(new Sums()(words.array, 0, 8))
    val all = frames(words.array ++ new Array[Byte](100))
    assert(!all.next() && all.broken.startsWith("the file ends too early"))
    assert(all.data.length <= Frames.Chunk + Frame.Slack)
    words.putLong(0, Int.MaxValue.toLong + 1).putInt(8, new Sums()(words.array, 0, 8))
    val long = frames(words.array)
    assert(!long.next() &&
      long.broken == "its length is 2147483648 bytes, the longest record has 2147483647")
  }

  test("compressed: members in a row, cut off, damaged, followed by something else") {
    val bytes = encoded(small, internal(small, smallRows))
    for (kind <- Seq("gzip", "zlib")) {
      def squeezed(data: Array[Byte]) = {
        val out = new ByteArrayOutputStream
        val to = Compression.writing(out, kind)
        to.write(data)
        to.close()
        out.toByteArray
      }
      def read(data: Array[Byte]): (Int, String) = {
        val file = folder.resolve("a.tfrecord." + kind)
        LocalFiles.write(file, data)
        val all = new Frames(new Source(Store(file.toString, new Configuration()), Some(kind)))
        var count = 0
        while (all.next()) count += 1
        (count, all.broken)
      }
      val one = squeezed(bytes)
      assert(read(Array()) == (0, null))
      assert(read(one) == (4, null))
      assert(read(one ++ one) == (8, null))
      assert(read(one.take(one.length / 2))._2.startsWith("its compressed data is damaged ("))
      assert(read(one ++ "garbage".getBytes)._2.startsWith("its compressed data is damaged ("))
      assert(read("no such thing".getBytes)._2.startsWith("its compressed data is damaged ("))
      for (place <- one.indices) {
        val damaged = one.clone()
        damaged(place) = (damaged(place) ^ 0x10).toByte
        val (count, broken) = read(damaged)
        assert(count == 4 || broken != null, s"$kind, byte $place")
      }
    }
  }
}
