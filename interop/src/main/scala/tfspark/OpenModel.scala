package tfspark

import java.nio.file.{Files, Path, StandardOpenOption}
import org.tensorflow.ndarray.Shape
import org.tensorflow.proto.ConfigProto
import org.tensorflow.{SavedModelBundle, Tensor}
import scala.collection.mutable
import scala.util.control.NonFatal

/** A SavedModel in memory, for all tasks of this JVM. */
private[tfspark] final class OpenModel(folder: Path, val signature: Signature, threads: Int)
    extends AutoCloseable {
  private val bundle = SavedModelBundle
    .loader(folder.toString)
    .withTags("serve")
    // Ops run in the thread of the task that asks: tasks share the session, not its threads.
    .withConfigProto(
      ConfigProto
        .newBuilder()
        .setIntraOpParallelismThreads(threads)
        .setInterOpParallelismThreads(-1)
        .build()
    )
    .load()

  /** Rows that it failed for, one by one, and whether it ever succeeded. */
  val failures = new java.util.concurrent.atomic.AtomicInteger
  @volatile var succeeded = false

  warmUp()

  /** Outputs in the signature's order, of inputs in the signature's order; the caller closes both.
    */
  def run(tensors: Seq[Tensor]): Seq[Tensor] = {
    val runner = bundle.session().runner()
    for ((spec, tensor) <- signature.inputs.zip(tensors)) runner.feed(spec.tensor, tensor)
    for (spec <- signature.outputs) runner.fetch(spec.tensor)
    val result = runner.run()
    signature.outputs.indices.map(result.get)
  }

  override def close(): Unit = bundle.close()

  /** One row through the model, so that the first batch does not pay for the set-up. */
  private def warmUp(): Unit = {
    val rows = signature.batch.getOrElse(1)
    val tensors = signature.inputs.map { spec =>
      val shape = rows.toLong +: spec.shape.map(size => if (size < 0) 1L else size)
      val zeros = Values.of(spec.copy(empty = None))
      val count = shape.product.toInt
      for (_ <- 0 until count) zeros.putEmpty()
      zeros.tensor(Shape.of(shape: _*), 0, count)
    }
    try run(tensors).foreach(_.close())
    catch { case NonFatal(_) => } // a model may refuse a row of zeros; real rows will tell
    finally tensors.foreach(_.close())
  }
}

private[tfspark] object OpenModel {
  private val open = mutable.Map.empty[(String, String), OpenModel]

  /** The model of this JVM: opened by the first call, closed when the JVM ends. */
  def of(packed: Packed, signature: Signature, threads: Int): OpenModel = synchronized {
    open.getOrElseUpdate(
      (packed.digest, signature.name), {
        val root = ModelCache.folder()
        setUp(root)
        val folder = ModelCache.unpack(packed, root)
        check(folder)
        val model = new OpenModel(folder, signature, threads)
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
  private def check(folder: Path): Unit = {
    val names = folder.toFile.list().toSeq.sorted
    val content = Files.readAllBytes(folder.resolve(SavedModelFile.Name))
    Safety.check(names, new SavedModelFile(folder.toString, content))
  }

  /** JavaCPP's: natives are unpacked once per machine, beside the models; and it must not take the
    * memory of TensorFlow, which is no part of the heap, for a leak of Java's.
    */
  private def setUp(root: Path): Unit = {
    def default(name: String, value: => String): Unit =
      if (System.getProperty(name) == null) System.setProperty(name, value): Unit
    FileLock.setEnvironment("TF_CPP_MIN_LOG_LEVEL", "2")
    default("org.bytedeco.javacpp.cachedir", root.resolveSibling("javacpp").toString)
    default("org.bytedeco.javacpp.maxBytes", "0")
    default("org.bytedeco.javacpp.maxPhysicalBytes", "0")
  }

  private def closeAll(): Unit = synchronized {
    open.values.foreach(_.close())
    open.clear()
  }
}
