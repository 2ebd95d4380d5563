package tfspark

import java.nio.file.{Files, Path, Paths}
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.UnsafeArrayData
import org.apache.spark.sql.types._
import org.apache.spark.unsafe.types.UTF8String
import org.bytedeco.javacpp.Pointer
import scala.jdk.CollectionConverters._
import scala.util.Random
import tfspark.model.Binding
import tfspark.plans.Scoring
import tfspark.tensors.NativeTensor
import tfspark.worker.Batch

/** Scores batches of varying sizes with several models, and writes down what the process holds
  * after each: `java ... tfspark.SoakMain MODELS OUT`, a line of tab-separated numbers a batch.
  *
  * Columns: rows of the batch; resident memory in bytes; how many objects outside of the heap are
  * open; and every [[Every]] batches what of the heap is in use after a collection, else -1.
  */
object SoakMain {
  val WarmUp = 200
  val Batches: Int = if (sys.env.contains("TESTS_SOAK")) 1000 else 500
  val Every = 250
  private val Largest = 20000

  def main(arguments: Array[String]): Unit = {
    val (models, out) = (Paths.get(arguments(0)), Paths.get(arguments(1)))
    val random = new Random(7)
    val ways = Seq(mlp(models, random), mixed(models, random), tokens(models, random))
    def sizes = Iterator.continually(1 + random.nextInt(Largest))
    for ((size, at) <- sizes.take(WarmUp).zipWithIndex) ways(at % ways.size)(size)
    val lines = sizes.take(Batches).zipWithIndex.map { case (size, at) =>
      ways(at % ways.size)(size)
      Seq(
        size,
        resident,
        NativeTensor.open + Pointer.totalCount,
        if (at % Every == Every - 1) heap else -1
      )
        .mkString("\t")
    }
    Files.write(out, lines.toSeq.asJava)
    Local.spark.stop()
  }

  private def mlp(models: Path, random: Random): Int => Unit =
    scoring(models.resolve("mlp"), new StructType().add("features", ArrayType(DoubleType, false))) {
      InternalRow(UnsafeArrayData.fromPrimitiveArray(Array.fill(4)(random.nextDouble())))
    }

  private def mixed(models: Path, random: Random): Int => Unit = {
    val schema = new StructType()
      .add("age", DoubleType)
      .add("sex", StringType)
      .add("siblings", LongType)
      .add("paid", BooleanType)
    scoring(models.resolve("mixed"), schema) {
      val sex = UTF8String.fromString("e" * random.nextInt(40))
      InternalRow(random.nextDouble() * 80, sex, random.nextLong(9), random.nextBoolean())
    }
  }

  private def tokens(models: Path, random: Random): Int => Unit =
    scoring(models.resolve("tokens"), new StructType().add("ids", ArrayType(LongType, false))) {
      // Lists of one length are scored together; and a row without one is bad.
      val ids = Array.fill(1 + random.nextInt(4))(random.nextLong(1000))
      InternalRow(if (random.nextInt(50) == 0) null else UnsafeArrayData.fromPrimitiveArray(ids))
    }

  /** Scores that many rows, and reads all results. */
  private def scoring(model: Path, schema: StructType)(row: => InternalRow): Int => Unit = {
    val found = Scoring.resolve(Local.spark, model.toString, None)
    val feeds = Binding.bind(found, schema, Map.empty, caseSensitive = true).map(_.feed)
    // Columns in the order of the inputs.
    val order = found.signature.inputs.map(input => schema.fieldIndex(input.name))
    val types = order.map(schema(_).dataType)
    val rows = Seq.fill(500) {
      val one = row
      InternalRow.fromSeq(order.zip(types).map { case (at, kind) => one.get(at, kind) })
    }
    val batch = new Batch(Scoring.scorer(Local.spark, found, feeds))
    size => {
      batch.clear()
      for (at <- 0 until size) batch.add(rows(at % rows.size))
      batch.run()
      var scored = 0
      for (at <- 0 until size) if (!batch(at).isNullAt(0)) scored += 1
      require(scored + batch.bad == size && scored > 0)
    }
  }

  private def resident: Long = {
    val line =
      Files.readAllLines(Paths.get("/proc/self/status")).asScala.find(_.startsWith("VmRSS"))
    line.get.split("\\s+")(1).toLong * 1024
  }

  private def heap: Long = {
    System.gc()
    val runtime = Runtime.getRuntime
    runtime.totalMemory - runtime.freeMemory
  }
}
