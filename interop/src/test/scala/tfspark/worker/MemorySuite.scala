package tfspark.worker

import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.UnsafeArrayData
import org.apache.spark.sql.types.{ArrayType, LongType}
import org.bytedeco.javacpp.Pointer
import tfspark.Local
import tfspark.plans.Scoring
import tfspark.tensors.{Feed, NativeTensor, TensorSpec, Values}

/** Tensors are released by whoever made them, not when Java collects its garbage. */
class MemorySuite extends Local {

  private def batches(): Int => Unit = {
    val found = Scoring.resolve(spark, model("tokens"), None)
    val feed = Feed(found.signature.inputs.head, Seq(ArrayType(LongType)), Seq("ids: "))
    val batch = new Batch(Scoring.scorer(spark, found, Seq(feed)))
    val ids = UnsafeArrayData.fromPrimitiveArray(Array.tabulate(100)(_.toLong))
    val one = InternalRow(ids)
    val bad = InternalRow(null)
    def score(rows: Int): Unit = {
      batch.clear()
      for (row <- 0 until rows) batch.add(if (row % 100 == 7) bad else one)
      batch.run()
      for (row <- 0 until rows) assert(batch(row).isNullAt(0) == (row % 100 == 7))
    }
    score
  }

  test("a thousand batches of varying sizes leave nothing behind") {
    val score = batches()
    def native = (NativeTensor.open, Pointer.totalCount(), Pointer.totalBytes())
    for (size <- 1 to 20) score(size)
    val before = native
    for (round <- 1 to 1000) score(1 + round * 37 % 41)
    assert(native == before)
    // A tensor that nobody closes would be seen.
    val values = Values.of(TensorSpec("ids", "int64", Nil))
    values.putEmpty()
    val held = values.tensor(Seq(1), 0, 1)
    assert(native != before)
    held.close()
    assert(native == before)
  }
}
