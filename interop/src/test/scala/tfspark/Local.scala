package tfspark

import java.nio.file.{Files, Path, Paths}
import org.apache.spark.sql.classic.SparkSession
import org.scalatest.funsuite.AnyFunSuite
import scala.sys.process._

/** One session and one set of models for all suites of this JVM. */
object Local {
  lazy val spark: SparkSession = SparkSession
    .builder()
    .master("local[2]")
    .config(
      "spark.sql.extensions",
      "tfspark.ScoreExtensions,io.delta.sql.DeltaSparkSessionExtension"
    )
    .config(
      "spark.sql.catalog.spark_catalog",
      "org.apache.spark.sql.delta.catalog.DeltaCatalog"
    )
    .config("spark.databricks.delta.snapshotPartitions", "2")
    .config("spark.ui.enabled", "false")
    .config("spark.sql.shuffle.partitions", "2")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.sql.warehouse.dir", temporary("warehouse").toString)
    .config("spark.sql.session.timeZone", "UTC")
    .getOrCreate()

  /** Exported by Python, as users' models are. */
  lazy val models: Path = {
    val folder = temporary("models")
    val script = "interop/src/test/python/export_models.py"
    val log = new StringBuilder
    val logger = ProcessLogger(line => log.append(line).append('\n'): Unit)
    val environment = Seq("CUDA_VISIBLE_DEVICES" -> "-1", "TF_CPP_MIN_LOG_LEVEL" -> "2")
    val command = Seq(python, script, folder.toString)
    val code = Process(command, Paths.get("").toAbsolutePath.toFile, environment: _*).!(logger)
    require(code == 0, s"$script ended with $code:\n$log")
    folder
  }

  def python: String = sys.env.getOrElse("PYSPARK_PYTHON", ".venv/bin/python")

  /** A folder that goes when the JVM ends. */
  def temporary(name: String): Path = {
    val folder = Files.createTempDirectory(s"tfspark-scala-$name-")
    sys.addShutdownHook(Seq("rm", "-rf", folder.toString).!)
    folder
  }

  def copy(from: Path, to: Path): Path = {
    require(Seq("cp", "-r", from.toString, to.toString).! == 0)
    to
  }
}

trait Local extends AnyFunSuite {
  protected def spark: SparkSession = Local.spark
  protected def model(name: String): String = Local.models.resolve(name).toString
}
