package tfspark.tfrecord

import java.io.{BufferedInputStream, EOFException, IOException, InputStream, OutputStream}
import java.util.zip.{
  DataFormatException, Deflater, DeflaterOutputStream, GZIPOutputStream, Inflater
}
import org.apache.commons.compress.compressors.gzip.GzipCompressorInputStream
import tfspark.{ConfigError, StorageError}

/** What was compressed is damaged or cut off. */
private[tfrecord] final class DamageError(message: String) extends RuntimeException(message)

/** none, gzip and zlib: TensorFlow's GZIP and ZLIB. */
private[tfrecord] object Compression {
  val suffix: Map[String, String] = Map("none" -> "", "gzip" -> ".gz", "zlib" -> ".zlib")
  private val suffixes =
    Map(".gz" -> "gzip", ".gzip" -> "gzip", ".zlib" -> "zlib", ".deflate" -> "zlib")

  /** What was given, or what the file's name says. */
  def of(path: String, told: Option[String]): String = told.getOrElse(
    suffixes.collectFirst { case (end, kind) if path.endsWith(end) => kind }.getOrElse("none")
  )

  /** What was given, or what a file's first bytes show; where they show none, its name's.
    *
    * A frame's length has a sum, so a file with a right one is not compressed, whatever its name.
    *
    * @throws ConfigError
    *   it is a Parquet file
    */
  def in(head: Array[Byte], path: String): String = {
    def starts(bytes: Int*) = head.take(bytes.size).toSeq == bytes.map(_.toByte)
    if (head.length == Frame.Header && Frame.sumFits(head)) "none"
    else if (starts('P', 'A', 'R', '1'))
      throw new ConfigError(s"$path is a Parquet file, not TFRecord")
    else if (starts(0x1f, 0x8b, 8)) "gzip"
    // A damaged length may look like zlib's two bytes, but no record has more than 4 GiB.
    else if (
      starts(0x78) && head.length > 1 && (0x7800 | head(1) & 0xff) % 31 == 0 &&
      head.slice(4, 8).exists(_ != 0)
    ) "zlib"
    else of(path, None)
  }

  def writing(out: OutputStream, kind: String): OutputStream = kind match {
    case "gzip" => new GZIPOutputStream(out, Piece)
    case "zlib" => new DeflaterOutputStream(out, new Deflater(), Piece)
    case _ => out
  }

  val Piece: Int = 1 << 18
}

/** A file that is read from begin to end, decompressed on the way.
  *
  * @param told
  *   none, gzip or zlib; None: what the file's first bytes show
  */
private[tfrecord] final class Source(file: Store, told: Option[String]) extends AutoCloseable {
  private val raw = new Raw(file.open())
  private var stream: InputStream = null
  private lazy val compression = told.getOrElse(Compression.in(raw.head, file.shown))

  private def in: InputStream = {
    if (stream == null) stream = decompressed // which reads a header
    stream
  }

  private def decompressed: InputStream = compression match {
    case "gzip" => gzip(raw)
    case "zlib" => new ZlibStreams(raw)
    case _ => raw
  }

  private def gzip(from: InputStream) = GzipCompressorInputStream
    .builder()
    .setInputStream(from)
    .setDecompressConcatenated(true)
    .get()

  /** Read bytes; -1 at the end.
    *
    * @throws StorageError
    *   the file cannot be read
    * @throws DamageError
    *   what was compressed is damaged
    */
  def read(into: Array[Byte], at: Int, most: Int): Int =
    try if (raw.empty) -1 else in.read(into, at, most)
    catch {
      case error: IOException if raw.failed =>
        throw StorageError.of(s"cannot read ${file.shown}: ${error.getMessage}", error)
      case _: EOFException => throw new DamageError("the compressed data ends too early")
      case error: IOException => throw new DamageError(error.getMessage)
    }

  def close(): Unit = {
    if (stream != null) stream.close()
    raw.close()
  }

  /** The file's own bytes; knows whether it is the file that cannot be read. */
  private final class Raw(from: InputStream) extends BufferedInputStream(from, Compression.Piece) {
    var failed = false

    lazy val head: Array[Byte] = {
      mark(Frame.Header)
      val found = readNBytes(Frame.Header)
      reset()
      found
    }

    def empty: Boolean = head.isEmpty

    override def read(): Int = guarded(super.read())
    override def read(into: Array[Byte], at: Int, most: Int): Int =
      guarded(super.read(into, at, most))

    private def guarded(run: => Int): Int =
      try run
      catch {
        case error: IOException =>
          failed = true
          throw error
      }
  }

}

/** zlib streams, one after the other; Java's own stream ends with the first. */
private final class ZlibStreams(from: InputStream) extends InputStream {
  private val inflater = new Inflater()
  private val buffer = new Array[Byte](Compression.Piece)
  private var have = 0

  override def read(): Int = {
    val one = new Array[Byte](1)
    if (read(one, 0, 1) < 0) -1 else one(0) & 0xff
  }

  override def read(into: Array[Byte], at: Int, most: Int): Int = {
    var count = 0
    while (count == 0) {
      count =
        try inflater.inflate(into, at, most)
        catch { case error: DataFormatException => throw new IOException(error.getMessage) }
      if (count == 0 && inflater.finished) {
        val rest = inflater.getRemaining
        inflater.reset()
        if (rest > 0) inflater.setInput(buffer, have - rest, rest)
        else if (!fill()) count = -1
      } else if (count == 0) {
        if (inflater.needsDictionary) throw new IOException("it needs a dictionary")
        if (!fill()) throw new EOFException()
      }
    }
    count
  }

  override def close(): Unit = inflater.end()

  private def fill(): Boolean = {
    have = from.read(buffer, 0, buffer.length)
    if (have > 0) inflater.setInput(buffer, 0, have)
    have > 0
  }
}
