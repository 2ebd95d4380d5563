package tfspark.model

import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.{Files, Path, StandardOpenOption}
import org.bytedeco.javacpp.{BytePointer, PointerPointer}
import org.tensorflow.internal.c_api.global.{tensorflow => c}
import org.tensorflow.internal.c_api.{
  AbstractTF_Buffer,
  AbstractTF_Graph,
  AbstractTF_ImportGraphDefOptions,
  AbstractTF_Session,
  AbstractTF_SessionOptions,
  AbstractTF_Status,
  TF_Operation,
  TF_Output,
  TF_Session,
  TF_Status,
  TF_Tensor
}
import org.tensorflow.proto.ConfigProto
import scala.collection.mutable
import scala.util.control.NonFatal
import tfspark.{IntegrityError, StorageError, TfsparkException}
import tfspark.storage.{FileLock, Private}
import tfspark.tensors.{NativeTensor, TensorSpec, Values}

/** One signature of a SavedModel in memory, for all tasks of this JVM: restored and initialised, as
  * the Python side opens it (`tfspark/scoring/worker/session.py`).
  */
private[tfspark] final class OpenModel(
    folder: Path,
    saved: SavedModelFile,
    val signature: Signature,
    threads: Int
) extends AutoCloseable {
  // Ops run in the thread of the task that asks: tasks share the session, not its threads.
  private val config = ConfigProto
    .newBuilder()
    .setIntraOpParallelismThreads(threads)
    .setInterOpParallelismThreads(-1)
    .setAllowSoftPlacement(true)
    .build()
  private val graph = AbstractTF_Graph.newGraph()
  private val session = opened(Prune(Entry.serving(saved), signature.name, saved.folder))
  private val inputs = places(signature.inputs)
  private val outputs = places(signature.outputs)

  /** Rows that it failed for, one by one, and whether it ever succeeded. */
  val failures = new java.util.concurrent.atomic.AtomicInteger
  @volatile var succeeded = false

  warmUp()

  /** Outputs in the signature's order, of inputs in the signature's order; the caller closes both.
    */
  def run(tensors: Seq[NativeTensor]): Seq[NativeTensor] = {
    val values = new PointerPointer[TF_Tensor](tensors.map(_.handle): _*)
    val results = new PointerPointer[TF_Tensor](signature.outputs.size.toLong)
    try {
      checked { status =>
        c.TF_SessionRun(
          session,
          null,
          inputs,
          values,
          tensors.size,
          outputs,
          results,
          signature.outputs.size,
          null: PointerPointer[TF_Operation],
          0,
          null,
          status
        )
      }
      signature.outputs.indices.map { i =>
        new NativeTensor(results.get(classOf[TF_Tensor], i.toLong))
      }
    } finally {
      values.close()
      results.close()
    }
  }

  override def close(): Unit = {
    session.close()
    graph.close()
  }

  private def opened(part: Pruned): TF_Session = {
    imported(part)
    val made = newSession()
    if (part.restore.nonEmpty)
      begin(made, Seq(part.restore), Seq(part.filename -> "variables/variables"))
    if (part.init.nonEmpty)
      begin(made, part.init, part.assets.map { case (tensor, name) => tensor -> s"assets/$name" })
    made
  }

  private def imported(part: Pruned): Unit = {
    val content = part.graph.toByteArray
    val bytes = new BytePointer(content.length.toLong).put(content, 0, content.length)
    val buffer = AbstractTF_Buffer.newBufferFromString(bytes)
    val options = AbstractTF_ImportGraphDefOptions.newImportGraphDefOptions()
    try checked(c.TF_GraphImportGraphDef(graph, buffer, options, _))
    finally Seq(options, buffer, bytes).foreach(_.close())
  }

  private def newSession(): TF_Session = {
    val options = AbstractTF_SessionOptions.newSessionOptions()
    val bytes = new BytePointer(config.toByteArray: _*)
    try {
      checked(c.TF_SetConfig(options, bytes, bytes.limit(), _))
      checked(AbstractTF_Session.newSession(graph, options, _))
    } finally {
      bytes.close()
      options.close()
    }
  }

  /** Run ops that open the model; tensors are fed with the paths of its files. */
  private def begin(made: TF_Session, ops: Seq[String], files: Seq[(String, String)]): Unit = {
    val paths = files.map { case (_, file) => text(folder.resolve(file).toString) }
    val fed = placesOf(files.map(_._1))
    val values = new PointerPointer[TF_Tensor](paths.map(_.handle): _*)
    val targets = new PointerPointer[TF_Operation](ops.map(operation): _*)
    val (nothing, results) = (new TF_Output(), new PointerPointer[TF_Tensor](1L))
    try
      checked { status =>
        c.TF_SessionRun(
          made,
          null,
          fed,
          values,
          paths.size,
          nothing,
          results,
          0,
          targets,
          ops.size,
          null,
          status
        )
      }
    finally {
      Seq(fed, values, targets, nothing, results).foreach(_.close())
      paths.foreach(_.close())
    }
  }

  /** A tensor that is one text. */
  private def text(value: String): NativeTensor = {
    val made = Values.of(TensorSpec("path", "string", Nil))
    made.putBytes(value.getBytes(UTF_8)): Unit
    made.tensor(Nil, 0, 1)
  }

  /** Where tensors are in the graph. */
  private def places(specs: Seq[TensorSpec]): TF_Output = placesOf(specs.map(_.tensor))

  private def placesOf(tensors: Seq[String]): TF_Output = {
    val found = new TF_Output(tensors.size.toLong)
    for ((tensor, i) <- tensors.zipWithIndex) {
      val colon = tensor.lastIndexOf(':')
      val (name, index) = (tensor.take(colon), tensor.drop(colon + 1))
      found.position(i.toLong)
      found.oper(operation(name)).index(index.toInt)
    }
    found.position(0)
  }

  private def operation(name: String): TF_Operation = {
    val found = c.TF_GraphOperationByName(graph, name)
    if (found == null) throw new IntegrityError(s"model $folder: its graph holds no node $name")
    found
  }

  private def checked[T](call: TF_Status => T): T = {
    val status = AbstractTF_Status.newStatus()
    try {
      val result = call(status)
      status.throwExceptionIfNotOK()
      result
    } finally status.close()
  }

  /** One row through the model, so that the first batch does not pay for the set-up. */
  private def warmUp(): Unit = {
    val rows = signature.batch.getOrElse(1)
    val counts = signature.inputs.map(_.shape.filter(_ > 0).product * rows)
    if (counts.exists(_ > OpenModel.LargestZeros)) return
    val tensors = signature.inputs.map { spec =>
      val shape = rows.toLong +: spec.shape.map(size => if (size < 0) 1L else size)
      val zeros = Values.of(spec.copy(empty = None))
      val count = shape.product.toInt
      for (_ <- 0 until count) zeros.putEmpty()
      zeros.tensor(shape, 0, count)
    }
    try run(tensors).foreach(_.close())
    catch { case NonFatal(_) => } // a model may refuse a row of zeros; real rows will tell
    finally tensors.foreach(_.close())
  }
}

private[tfspark] object OpenModel {
  private val LargestZeros = 1L << 24
  private val open = mutable.Map.empty[(String, String), OpenModel]

  /** The model of this JVM: opened by the first call, closed when the JVM ends. */
  def of(packed: Packed, signature: Signature, threads: Int): OpenModel = synchronized {
    open.getOrElseUpdate(
      (packed.digest, signature.name), {
        val root = ModelCache.folder()
        setUp(root)
        val folder = ModelCache.unpack(packed, root)
        def opened(): OpenModel =
          try new OpenModel(folder, checked(folder), signature, threads)
          catch {
            case error: TfsparkException => throw error
            case NonFatal(error) =>
              val text = s"model ${packed.model}: cannot be opened: ${telling(error)}"
              throw new StorageError(s"$text; take another version of it", error)
          }
        val model =
          try opened()
          catch {
            // Is it the model, or what this machine has kept of it?
            case NonFatal(_) if ModelCache.repair(packed, root) => opened()
          }
        // People and tests count loads by it: a line a load.
        Files.write(
          root.resolve(s"${packed.digest}.loads"),
          s"${ProcessHandle.current().pid()} ${packed.digest}\n".getBytes,
          StandardOpenOption.CREATE,
          StandardOpenOption.APPEND
        )
        if (open.isEmpty) sys.addShutdownHook(closeAll())
        model
      }
    )
  }

  /** What was checked where the model was sent from is checked where it is opened. */
  private def checked(folder: Path): SavedModelFile = {
    val names = folder.toFile.list().toSeq.sorted
    val content = Files.readAllBytes(folder.resolve(SavedModelFile.Name))
    val saved = new SavedModelFile(folder.toString, content)
    Safety.check(names, saved)
    saved
  }

  /** Where JavaCPP unpacks libraries, once per machine. It trusts one that it finds there by name,
    * length and time.
    */
  private[model] def natives(root: Path): Path =
    Private.folder(root.resolve("javacpp"), ModelCache.Variable)

  /** JavaCPP's; it must not take the memory of TensorFlow, which is no part of the heap, for a leak
    * of Java's.
    */
  private def setUp(root: Path): Unit = {
    def default(name: String, value: => String): Unit =
      if (System.getProperty(name) == null) System.setProperty(name, value): Unit
    FileLock.setEnvironment("TF_CPP_MIN_LOG_LEVEL", "2")
    default("org.bytedeco.javacpp.cachedir", natives(root).toString)
    default("org.bytedeco.javacpp.maxBytes", "0")
    default("org.bytedeco.javacpp.maxPhysicalBytes", "0")
  }

  private def closeAll(): Unit = synchronized {
    open.values.foreach(_.close())
    open.clear()
  }

  private val Skipped =
    Seq("Graph execution error", "Detected at node", "<stack traces", "[[", "Function call")

  // TensorFlow's Python takes these out too: names that a graph gives to its functions.
  private val Functions = """\{\{function_node [^{}]*\}\} ?"""

  /** The line of an error that says what happened; TensorFlow wraps it in many others. */
  def telling(error: Throwable): String = {
    val text = Option(error.getMessage).getOrElse("").replaceAll(Functions, "")
    val lines = text.linesIterator.map(_.trim)
    lines
      .find(line =>
        line.nonEmpty && !Skipped.exists(line.startsWith) && !line.contains("root error")
      )
      .getOrElse(error.getClass.getSimpleName)
      .take(300)
  }
}
