package tfspark

import java.lang.management.ManagementFactory
import java.nio.file.{Files, Paths}
import scala.jdk.CollectionConverters._
import scala.sys.process._

/** A process that scores for long holds no more memory than one that began: [[SoakMain]]'s, with a
  * heap of one size from the start, so that what grows is native. What it found stays in
  * `build/scala/soak.tsv`, for `python -m bench soak`.
  */
class SoakSuite extends Local {
  private val found = Paths.get("build", "scala", "soak.tsv")

  private def soak(): Unit = {
    val ours = ManagementFactory.getRuntimeMXBean.getInputArguments.asScala
    val options = ours.filterNot(_.startsWith("-Xmx")) ++
      Seq("-Xms768m", "-Xmx768m", "-XX:+AlwaysPreTouch")
    val java = Paths.get(System.getProperty("java.home"), "bin", "java").toString
    val program = Seq("tfspark.SoakMain", Local.models.toString, found.toString)
    val classes = Seq("-cp", System.getProperty("java.class.path"))
    val log = new StringBuilder
    val logger = ProcessLogger(line => log.append(line).append('\n'): Unit)
    val code = Process((java +: options.toSeq) ++ classes ++ program).!(logger)
    assert(code == 0, log)
  }

  private def median(values: Seq[Long]): Double = {
    val sorted = values.sorted
    (sorted((sorted.size - 1) / 2) + sorted(sorted.size / 2)) / 2.0
  }

  test("memory stays what it is over hundreds of batches") {
    Files.createDirectories(found.getParent)
    soak()
    val lines = Files.readAllLines(found).asScala.toSeq.map(_.split('\t').toSeq.map(_.toLong))
    assert(lines.size == SoakMain.Batches)
    def column(at: Int): Seq[Long] = lines.map(_(at))
    val (resident, open, heap) = (column(1), column(2), column(3))
    val (early, late) = (median(resident.slice(100, 300)), median(resident.takeRight(200)))
    assert(math.abs(late / early - 1) < 0.03, f"${early / 1e6}%.0f MB → ${late / 1e6}%.0f MB")
    // Tensors are closed with their batch: Java's garbage collection would hide it from the above.
    assert(open.min == open.max)
    val inUse = heap.filter(_ >= 0).map(_ / 1e6)
    assert(inUse.last < inUse.head + 20, inUse)
  }
}
