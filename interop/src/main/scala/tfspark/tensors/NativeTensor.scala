package tfspark.tensors

import java.util.concurrent.atomic.AtomicLong
import org.apache.spark.unsafe.Platform
import org.tensorflow.internal.c_api.TF_Tensor
import org.tensorflow.internal.c_api.global.{tensorflow => c}

/** A tensor in TensorFlow's memory, of any dtype: TensorFlow for Java's own classes lack some.
  *
  * @param texts
  *   memory that its strings refer to; 0 where there is none
  */
private[tfspark] final class NativeTensor(private[tfspark] val handle: TF_Tensor, texts: Long = 0)
    extends AutoCloseable {
  NativeTensor.counted.incrementAndGet(): Unit

  /** Its sizes, the batch dimension first. */
  def shape: Seq[Long] = (0 until c.TF_NumDims(handle)).map(c.TF_Dim(handle, _))

  /** Where its values begin; 0 if it has none. */
  def address: Long = {
    val data = c.TF_TensorData(handle)
    if (data == null) 0 else data.address()
  }

  /** Copy its values, end to end, into an array of which the first element is at `offset`. */
  def read(to: AnyRef, offset: Int, bytes: Long): Unit =
    if (bytes > 0) Platform.copyMemory(null, address, to, offset.toLong, bytes)

  override def close(): Unit = {
    // TensorFlow frees the bytes of large strings one by one, which these are not made for: to it,
    // they are empty ones.
    if (texts != 0) Platform.setMemory(address, 0, c.TF_TensorByteSize(handle))
    c.TF_DeleteTensor(handle)
    NativeTensor.counted.decrementAndGet(): Unit
    if (texts != 0) Platform.freeMemory(texts)
  }
}

private[tfspark] object NativeTensor {

  private val counted = new AtomicLong

  /** How many are there that nobody has closed. */
  def open: Long = counted.get

  /** Bytes of a string in a tensor: see `NativeText`. */
  val TextBytes = 24

  /** A tensor with nothing in it yet. */
  def allocate(dtype: String, shape: Seq[Long], bytes: Long): TF_Tensor =
    // Not by JavaCPP's own `allocateTensor`, which frees the memory of strings one by one.
    c.TF_AllocateTensor(TensorSpec.code(dtype), shape.toArray, shape.size, bytes)

  /** A tensor of numbers, as bytes, little endian, of an array from a place on. */
  def numbers(dtype: String, shape: Seq[Long], from: Array[Byte], at: Long, bytes: Long)
      : NativeTensor = {
    val tensor = new NativeTensor(allocate(dtype, shape, bytes))
    if (bytes > 0)
      Platform.copyMemory(from, Platform.BYTE_ARRAY_OFFSET + at, null, tensor.address, bytes)
    tensor
  }
}

/** Strings in a tensor, 24 bytes each, as TensorFlow's `ctstring_internal.h` has them: in the first
  * two bits the kind; a small one holds up to 22 bytes in itself, a large one its size, its
  * capacity and where its bytes are.
  */
private[tfspark] object NativeText {
  private val (small, large, offset) = (0, 1, 2)
  private val most = 22 // bytes of a small one

  /** A tensor of strings: the bytes of the large ones lie in one block, which goes with it. */
  def tensor(shape: Seq[Long], texts: Array[Array[Byte]], from: Int, to: Int): NativeTensor = {
    var outside = 0L
    for (i <- from until to) if (texts(i).length > most) outside += texts(i).length
    val block = if (outside > 0) Platform.allocateMemory(outside) else 0L
    val count = (to - from).toLong
    val handle = NativeTensor.allocate("string", shape, count * NativeTensor.TextBytes)
    val tensor = new NativeTensor(handle, block)
    var place = tensor.address
    var free = block
    if (count > 0) Platform.setMemory(place, 0, count * NativeTensor.TextBytes)
    var i = from
    while (i < to) {
      val text = texts(i)
      val size = text.length
      if (size <= most) {
        Platform.putByte(null, place, (size << 2 | small).toByte)
        Platform.copyMemory(text, Platform.BYTE_ARRAY_OFFSET, null, place + 1, size)
      } else {
        Platform.putLong(null, place, size.toLong << 2 | large)
        Platform.putLong(null, place + 8, size.toLong)
        Platform.putLong(null, place + 16, free)
        Platform.copyMemory(text, Platform.BYTE_ARRAY_OFFSET, null, free, size)
        free += size
      }
      place += NativeTensor.TextBytes
      i += 1
    }
    tensor
  }

  /** The string at a place. */
  def read(place: Long): Array[Byte] = {
    val first = Platform.getByte(null, place)
    val (size, from) = first & 3 match {
      case `small` => ((first & 0xff) >>> 2).toLong -> (place + 1)
      case `large` => (Platform.getLong(null, place) >>> 2) -> Platform.getLong(null, place + 16)
      case `offset` =>
        val word = Platform.getInt(null, place) & 0xffffffffL
        (word >>> 2) -> (place + (Platform.getInt(null, place + 4) & 0xffffffffL))
      case _ => (Platform.getLong(null, place) >>> 2) -> Platform.getLong(null, place + 8)
    }
    val bytes = new Array[Byte](Math.toIntExact(size))
    if (size > 0) Platform.copyMemory(null, from, bytes, Platform.BYTE_ARRAY_OFFSET, size)
    bytes
  }
}
