package tfspark.tensors

import org.scalatest.funsuite.AnyFunSuite

/** Values that tensors hold otherwise than Java does. */
class NativeTensorSuite extends AnyFunSuite {

  test("texts of every length go through a tensor") {
    val random = new scala.util.Random(5)
    val texts = Array.tabulate(500)(i =>
      random.nextString(if (i < 60) i else random.nextInt(5000)).getBytes("UTF-8")
    )
    for ((from, to) <- Seq((0, 500), (17, 40), (3, 3))) {
      val tensor = NativeText.tensor(Seq(to - from.toLong), texts, from, to)
      try
        for (i <- from until to)
          assert(NativeText.read(tensor.address + (i - from) * 24L).sameElements(texts(i)))
      finally tensor.close()
    }
  }

  test("floats of two bytes are the nearest") {
    for (dtype <- Seq("float16", "bfloat16"); bits <- Short.MinValue to Short.MaxValue) {
      val value = Half.value(bits.toShort, dtype)
      if (!value.isNaN) assert(Half.bits(value, dtype) == bits.toShort, s"$dtype $bits")
      else assert(Half.nearest(value, dtype).isNaN)
    }
    val ties = Seq(1f + 1f / 2048 -> 1f, 1f + 3f / 2048 -> (1f + 4f / 2048), 65519f -> 65504f)
    for ((value, nearest) <- ties)
      assert(Half.nearest(value, "float16") == nearest)
    assert(Half.nearest(65520f, "float16").isInfinite)
    assert(Half.nearest(1f + 1f / 256, "bfloat16") == 1f)
    assert(Half.nearest(5.9604645e-8f, "float16") == 5.9604645e-8f)
    assert(Half.nearest(1e-8f, "float16") == 0f && Half.nearest(-0.0f, "float16").equals(-0.0f))
    assert(Half.nearest(Float.NegativeInfinity, "float16") == Float.NegativeInfinity)
  }
}
