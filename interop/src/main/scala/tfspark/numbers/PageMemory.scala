package tfspark.numbers

import java.io.IOException
import java.nio.ByteBuffer
import java.util.concurrent.ConcurrentLinkedQueue
import org.apache.hadoop.conf.Configuration
import org.apache.parquet.bytes.{ByteBufferAllocator, BytesInput}
import org.apache.parquet.compression.CompressionCodecFactory
import org.apache.parquet.compression.CompressionCodecFactory.{
  BytesInputCompressor,
  BytesInputDecompressor
}
import org.apache.parquet.hadoop.CodecFactory
import org.apache.parquet.hadoop.metadata.CompressionCodecName
import org.xerial.snappy.Snappy
import scala.collection.mutable

/** An array that grows, for one page after the other. */
private[numbers] final class PageArray {
  private var bytes = Array.emptyByteArray

  def of(size: Int): Array[Byte] = {
    if (bytes.length < size) bytes = new Array[Byte](size)
    bytes
  }
}

/** What one reader of files needs for compressed row groups and for pages, used again from page to
  * page and from file to file. As new arrays, a megabyte each, they are what a garbage collector
  * has most of its work with.
  */
private[numbers] final class PageMemory(conf: Configuration)
    extends ByteBufferAllocator
    with CompressionCodecFactory {
  private val codecs = new CodecFactory(conf, 0)
  private val free = mutable.ArrayBuffer.empty[ByteBuffer]
  private val arrays = mutable.Map.empty[(Int, Boolean), PageArray]
  private var into: PageArray = _

  /** Where the next page is unpacked to.
    *
    * @param column
    *   its number: what was unpacked for it last is overwritten
    */
  def use(column: Int, dictionary: Boolean): Unit =
    into = arrays.getOrElseUpdate((column, dictionary), new PageArray)

  override def allocate(size: Int): ByteBuffer = {
    val fit = free.filter(_.capacity >= size).minByOption(_.capacity)
    fit.foreach(free -= _)
    val buffer = fit.getOrElse(ByteBuffer.allocate(size))
    buffer.clear().limit(size)
  }

  override def release(buffer: ByteBuffer): Unit = {
    free += buffer
    if (free.size > PageMemory.Kept) free -= free.minBy(_.capacity)
  }

  override def isDirect: Boolean = false

  override def getCompressor(codec: CompressionCodecName): BytesInputCompressor =
    codecs.getCompressor(codec)

  override def getDecompressor(codec: CompressionCodecName): BytesInputDecompressor = {
    val plain = codecs.getDecompressor(codec)
    if (codec == CompressionCodecName.SNAPPY) new FromSnappy(plain) else plain
  }

  override def release(): Unit = codecs.release()

  private final class FromSnappy(plain: BytesInputDecompressor) extends BytesInputDecompressor {
    override def decompress(bytes: BytesInput, size: Int): BytesInput = {
      val from = Bytes.of(bytes)
      val found =
        if (from.length == 0) 0 else Snappy.uncompressedLength(from.array, from.from, from.length)
      if (found != size) throw new IOException(s"a page of $found bytes, its header says $size")
      val to = into.of(size)
      if (size > 0) Snappy.uncompress(from.array, from.from, from.length, to, 0)
      BytesInput.from(to, 0, size)
    }
    override def decompress(from: ByteBuffer, packed: Int, to: ByteBuffer, size: Int): Unit =
      plain.decompress(from, packed, to, size)
    override def release(): Unit = plain.release()
  }
}

private[numbers] object PageMemory {
  private val Kept = 64 // buffers of at most 8 MB, as Parquet asks for them
}

/** Memory that no reader has now. */
private[numbers] final class PageMemories(conf: Configuration) {
  private val free = new ConcurrentLinkedQueue[PageMemory]

  def take(): PageMemory = Option(free.poll()).getOrElse(new PageMemory(conf))
  def give(memory: PageMemory): Unit = free.add(memory): Unit
}
