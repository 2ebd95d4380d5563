package tfspark.job

import java.io.{BufferedInputStream, ByteArrayOutputStream, InputStream}
import java.nio.charset.StandardCharsets.UTF_8
import java.util.Arrays
import scala.collection.mutable
import tfspark.ContractViolation

/** How CSV is written, as `Form` of `tfspark/csvfiles/read.py`; bytes, -1 where there is none. */
private[tfspark] final case class CsvForm(
    comma: Int,
    quote: Int,
    escape: Int,
    nulls: Seq[Array[Byte]]
)

private[tfspark] object CsvForm {
  def of(options: TextOptions): CsvForm = {
    val quote = options.quote.headOption.fold(-1)(_.toInt)
    CsvForm(
      options.comma.head.toInt,
      quote,
      options.escape.headOption.fold(quote)(_.toInt),
      options.nulls.map(_.getBytes(UTF_8))
    )
  }
}

/** A record: its values, null where one is missing; its text; whether nothing but a comma or a
  * line's end is behind each closing quote.
  */
private[tfspark] final case class CsvRecord(
    values: Seq[Array[Byte]],
    text: Array[Byte],
    fits: Boolean
)

/** The records of a file, exactly as `tfspark/csvfiles/kernels.py` cuts them (RFC 4180).
  *
  * @param path
  *   for messages
  */
private[tfspark] final class CsvRecords(stream: InputStream, form: CsvForm, path: String)
    extends Iterator[CsvRecord] {
  private val in = new BufferedInputStream(stream, 1 << 16)
  private val text = new ByteArrayOutputStream
  private val field = new ByteArrayOutputStream
  private var ahead = read()
  private var line = 1
  if (ahead == 0xef) skipMark()
  skipEnds()

  override def hasNext: Boolean = ahead >= 0

  override def next(): CsvRecord = {
    text.reset()
    val start = line
    val values = mutable.Buffer[Array[Byte]]()
    var (fits, more) = (true, true)
    while (more) {
      field.reset()
      if (ahead == form.quote && ahead >= 0) {
        take(): Unit
        quoted(start)
        fits &= ends
        while (!ends) take(): Unit
      } else while (!ends) field.write(take())
      values += value(field.toByteArray)
      more = ahead == form.comma
      if (more) take(): Unit
    }
    skipEnds()
    CsvRecord(values.toSeq, text.toByteArray, fits)
  }

  private def ends = ahead < 0 || ahead == form.comma || ahead == '\n' || ahead == '\r'

  private def quoted(start: Int): Unit = {
    var open = true
    while (open) {
      if (ahead < 0)
        throw new ContractViolation(
          s"$path: line $start: a quote is opened in this record and not closed; correct the " +
            "file, or say that it has no quotes (source.options.quote: '')"
        )
      val byte = take()
      if (byte == form.escape && ahead >= 0 && (ahead == form.quote || ahead == form.escape))
        field.write(take())
      else if (byte == form.quote) open = false
      else field.write(byte)
    }
  }

  private def value(bytes: Array[Byte]): Array[Byte] =
    if (bytes.isEmpty || form.nulls.exists(Arrays.equals(_, bytes))) null else bytes

  private def read(): Int = in.read()

  /** The next byte, which becomes part of the record's text. */
  private def take(): Int = {
    val byte = step()
    text.write(byte)
    byte
  }

  private def step(): Int = {
    val byte = ahead
    ahead = read()
    if (byte == '\n' || (byte == '\r' && ahead != '\n')) line += 1
    byte
  }

  private def skipEnds(): Unit = while (ahead == '\n' || ahead == '\r') step(): Unit

  /** The mark of UTF-8 at the file's begin. */
  private def skipMark(): Unit = {
    in.mark(2)
    if (in.read() == 0xbb && in.read() == 0xbf) ahead = read() else in.reset()
  }
}
