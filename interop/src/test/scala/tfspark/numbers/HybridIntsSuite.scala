package tfspark.numbers

import java.io.IOException
import org.apache.parquet.bytes.HeapByteBufferAllocator
import org.apache.parquet.column.values.rle.RunLengthBitPackingHybridEncoder
import org.scalatest.funsuite.AnyFunSuite
import scala.util.Random

/** What Parquet's own encoder writes is read, however it is asked for. */
class HybridIntsSuite extends AnyFunSuite {
  private def encoded(values: Seq[Int], width: Int): Array[Byte] = {
    val encoder =
      new RunLengthBitPackingHybridEncoder(width, 64, 1 << 20, new HeapByteBufferAllocator)
    values.foreach(encoder.writeInt)
    encoder.toBytes.toInputStream.readAllBytes()
  }

  /** Runs and changes by turns. */
  private def some(random: Random, width: Int): Seq[Int] = {
    val all = if (width == 32) -1 else (1 << width) - 1
    Seq.fill(random.nextInt(8) + 1) {
      val length = random.nextInt(60) + 1
      if (random.nextBoolean()) Seq.fill(length)(random.nextInt() & all)
      else {
        val value = random.nextInt() & all
        Seq.fill(length)(value)
      }
    }.flatten
  }

  private def read(bytes: Array[Byte], width: Int, sizes: Iterator[Int], count: Int): Seq[Int] = {
    val ints = new HybridInts(bytes, 0, bytes.length, width)
    var found = Vector.empty[Int]
    while (found.size < count) {
      val size = math.min(sizes.next(), count - found.size)
      val to = new Array[Int](size)
      ints.take(to, size)
      found ++= to
    }
    found
  }

  test("any values of any width, in any portions") {
    for (seed <- 0 until 500; random = new Random(seed)) {
      val width = random.nextInt(33)
      val values = some(random, width)
      val bytes = encoded(values, width)
      val sizes = Iterator.continually(random.nextInt(70) + 1)
      assert(read(bytes, width, sizes, values.size) == values, s"seed $seed")
    }
  }

  test("the last group without the bytes of values that it has not") {
    val bytes = encoded(Seq(3, 1, 2), 2)
    assert(bytes.length == 3)
    assert(read(bytes.take(2), 2, Iterator.continually(2), 3) == Seq(3, 1, 2))
  }

  test("one run of a value") {
    val bytes = encoded(Seq.fill(100)(1), 1)
    def ints = new HybridInts(bytes, 0, bytes.length, 1)
    assert(ints.startsWith(1, 100) && !ints.startsWith(1, 101) && !ints.startsWith(0, 100))
    val mixed = encoded(Seq(1, 0, 1, 1, 0, 0, 1, 1), 1)
    assert(!new HybridInts(mixed, 0, mixed.length, 1).startsWith(1, 1))
  }

  test("too few bytes and lengths that are none") {
    def fails(bytes: Int*) = intercept[IOException] {
      val all = bytes.map(_.toByte).toArray
      new HybridInts(all, 0, all.length, 8).take(new Array[Int](100), 100)
    }
    assert(fails().getMessage == "fewer values than the page says")
    assert(fails(20, 7).getMessage == "fewer values than the page says") // ten of 7, no more
    assert(fails(25, 7, 7).getMessage == "fewer values than the page says") // packed
    assert(fails(0, 7).getMessage == "a run of no values")
    assert(fails(255, 255, 255, 255, 255, 255).getMessage.contains("no 32-bit number"))
  }

  test("any bytes: values or an error, nothing from beyond them") {
    for (seed <- 0 until 5000; random = new Random(seed)) {
      val bytes = new Array[Byte](random.nextInt(40))
      random.nextBytes(bytes)
      val width = random.nextInt(33)
      def values(behind: Byte): Either[String, Seq[Int]] = {
        val longer = bytes ++ Array.fill(16)(behind)
        val to = new Array[Int](64)
        try {
          new HybridInts(longer, 0, bytes.length, width).take(to, 64)
          Right(to.toSeq)
        } catch { case error: IOException => Left(error.getMessage) }
      }
      assert(values(0) == values(-1), s"seed $seed")
    }
  }
}
