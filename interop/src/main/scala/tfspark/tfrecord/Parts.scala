package tfspark.tfrecord

import java.io.{FilterOutputStream, IOException, OutputStream}
import java.time.LocalDate
import org.apache.hadoop.conf.Configuration
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.types._
import scala.collection.mutable
import scala.util.Try
import tfspark.shared.Shared
import tfspark.{ConfigError, StorageError}

/** What tasks need to know of a write. */
private[tfrecord] final case class WritePlan(
    path: String,
    layout: Layout,
    partitionBy: Seq[ArrowField],
    staging: String
) {
  def job: String = staging.takeRight(12)
}

/** How files are written: when one is ended, by bytes on disk and by records (0: any number). */
private[tfrecord] final case class Cut(compression: String, bytes: Long, rows: Long)

/** The rows of one attempt of a task as staged files: a file a partition value, cut by size. */
private[tfrecord] object Parts {

  /** Write the rows; where it fails, nothing is left of them.
    *
    * @param schema
    *   of the rows: the columns of the layout and the partition columns, in any order
    * @param attempt
    *   a name that no other attempt of the job has
    * @throws StorageError
    *   a value that the file cannot hold, or a file cannot be written
    */
  def write(
      plan: WritePlan,
      schema: StructType,
      rows: Iterator[InternalRow],
      cut: Cut,
      task: Int,
      attempt: String,
      conf: Configuration
  ): Seq[StagedFile] = {
    val folder = Store(plan.staging, conf) / attempt
    folder.makeInner()
    val files = new Parts(plan, schema, cut, task, folder)
    var done = false
    try {
      rows.foreach(files.add)
      val parts = files.close()
      done = true
      parts
    } finally if (!done) {
        files.drop()
        Try(folder.delete()): Unit
      }
  }

  /** The schema of the records, and that of the partition columns.
    *
    * @throws ConfigError
    *   a column is not there, has values that make no folder, or none is left; or a column has more
    *   structs inside each other than all readers take
    */
  def split(fields: Seq[ArrowField], names: Seq[String]): (Seq[ArrowField], Seq[ArrowField]) = {
    for (field <- fields; deep = structs(field.kind) if deep > Structs) {
      val values = Seq("name" -> field.name, "deep" -> deep, "most" -> Structs)
      throw new ConfigError(Shared.say("structs_too_deep", values: _*))
    }
    for ((name, at) <- names.zipWithIndex) {
      val found = fields.find(_.name == name)
      if (found.isEmpty || names.take(at).contains(name)) {
        val why =
          if (found.isDefined) "named twice" else s"not there: ${Repr.list(fields.map(_.name))}"
        throw new ConfigError(s"partitionBy: column $name is $why")
      }
      val kind = found.get.kind
      if (!folders(kind.toString))
        throw new ConfigError(
          s"partitionBy: column $name is $kind; folders are made of text, integers, booleans or " +
            "dates: cast it"
        )
    }
    val rest = fields.filterNot(field => names.contains(field.name))
    if (rest.isEmpty)
      throw new ConfigError("partitionBy: names all columns, a record would hold none")
    (rest, names.map(name => fields.find(_.name == name).get))
  }

  private val folders =
    Set("string", "int8", "int16", "int32", "int64", "bool", "date32[day]")
  private val Structs = 50 // inside each other: Arrow, which Python reads with, ends at 64 levels
  private def structs(kind: ArrowType): Int = kind match {
    case ArrowType.Struct(inner) => 1 + inner.map(one => structs(one.kind)).maxOption.getOrElse(0)
    case _ => 0
  }
  private val Open = 64 // files that a task writes at once; more partition values make more files
}

/** The open files of a task, by partition values. */
private final class Parts(
    plan: WritePlan,
    schema: StructType,
    cut: Cut,
    task: Int,
    folder: Store
) {
  private val encoder = new Encoder(plan.layout, schema)
  private val by = plan.partitionBy.map(column => schema.fieldIndex(column.name)).toArray
  private val kinds = by.map(at => schema(at).dataType)
  private val open = mutable.LinkedHashMap.empty[Seq[Any], PartFile]
  private val ended = Seq.newBuilder[StagedFile]
  private var count = 0
  private var (values, file) = (Seq.empty[Any], null: PartFile) // of the last row

  def add(row: InternalRow): Unit = {
    if (file == null || !same(row)) {
      values = by.indices.map(at => value(row, at))
      file = writer()
    }
    file.add(row)
    if (file.rows == cut.rows || file.bytes >= cut.bytes) end(values)
  }

  def close(): Seq[StagedFile] = {
    open.keys.toSeq.foreach(end)
    ended.result()
  }

  def drop(): Unit = open.values.foreach(_.drop())

  private def same(row: InternalRow): Boolean = by.isEmpty || {
    var at = 0
    while (at < by.length && value(row, at) == values(at)) at += 1
    at == by.length
  }

  /** As the manifest has it: see [[Partition]]. */
  private def value(row: InternalRow, at: Int): Any =
    if (row.isNullAt(by(at))) null
    else
      kinds(at) match {
        case BooleanType => row.getBoolean(by(at))
        case ByteType => row.getByte(by(at)).toLong
        case ShortType => row.getShort(by(at)).toLong
        case IntegerType => row.getInt(by(at)).toLong
        case LongType => row.getLong(by(at))
        case DateType => LocalDate.ofEpochDay(row.getInt(by(at)).toLong)
        case _ => row.getUTF8String(by(at)).toString
      }

  private def writer(): PartFile = open.getOrElse(
    values, {
      if (open.size == Parts.Open) end(open.head._1)
      val suffix = Compression.suffix(cut.compression)
      val name = f"part-$task%05d-${plan.job}-$count%03d.tfrecord$suffix"
      count += 1
      val made = new PartFile(folder / name, name, encoder, cut.compression)
      open(values) = made
      made
    }
  )

  private def end(key: Seq[Any]): Unit = {
    val done = open.remove(key).get
    done.close()
    if (done eq file) file = null
    val partition = plan.partitionBy.map(_.name).zip(key)
    val name = Partition.folder(partition) + done.name
    ended += StagedFile(done.store.shown, name, done.rows, done.bytes, partition.toMap)
  }
}

/** A file that grows row by row; `bytes` says how large it is so far. */
private final class PartFile(
    val store: Store,
    val name: String,
    encoder: Encoder,
    compression: String
) {
  private val counted = new Counted(store.create())
  private val out = Compression.writing(counted, compression)
  private var buffered = 0
  private val buffer = new Array[Byte](PartFile.Buffer)
  var rows = 0L

  def bytes: Long = counted.bytes + (if (compression == "none") buffered else 0)

  def add(row: InternalRow): Unit = {
    try encoder.add(row)
    catch {
      case error: RefusedError =>
        encoder.used = 0
        val what =
          if (error.column == null) s"row $rows of the file is ${error.what}"
          else s"column ${error.column}: row $rows of the file has ${error.what}"
        throw new StorageError(s"${store.shown}: $what")
    }
    if (encoder.used > buffer.length - buffered) flush()
    if (encoder.used > buffer.length) safe(out.write(encoder.data, 0, encoder.used))
    else {
      System.arraycopy(encoder.data, 0, buffer, buffered, encoder.used)
      buffered += encoder.used
    }
    encoder.used = 0
    rows += 1
  }

  def close(): Unit = {
    flush()
    safe(out.close())
  }

  /** Close without an end: what is there is not a whole file. */
  def drop(): Unit = Try(counted.close()): Unit

  private def flush(): Unit = {
    safe(out.write(buffer, 0, buffered))
    buffered = 0
  }

  private def safe(run: => Unit): Unit =
    try run
    catch {
      case error: IOException =>
        throw StorageError.of(s"cannot write ${store.shown}: ${error.getMessage}", error)
    }

  private final class Counted(to: OutputStream) extends FilterOutputStream(to) {
    var bytes = 0L
    override def write(byte: Int): Unit = {
      to.write(byte)
      bytes += 1
    }
    override def write(data: Array[Byte], at: Int, size: Int): Unit = {
      to.write(data, at, size)
      bytes += size
    }
  }
}

private object PartFile {
  private val Buffer = 1 << 18
}
