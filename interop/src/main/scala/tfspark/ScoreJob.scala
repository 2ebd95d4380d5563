package tfspark

import java.io.{IOException, PrintWriter, StringWriter}
import java.nio.file.FileSystemException
import org.apache.hadoop.conf.Configuration
import org.apache.spark.{SparkException, SparkThrowable}
import tfspark.job._
import tfspark.shared.Mask

/** The scoring job for `spark-submit --class tfspark.ScoreJob`: the settings, the exit codes, the
  * messages and the tables of `jobs/score.py`.
  */
object ScoreJob {
  private val Name = "score"

  def main(arguments: Array[String]): Unit = {
    val code = run(arguments.toSeq)
    // Not by return: threads of Spark or of a file system may still be there.
    System.exit(code)
  }

  /** Run, and turn every error into one message and its exit code. */
  def run(arguments: Seq[String], environment: Map[String, String] = sys.env): Int =
    try job(arguments, environment)
    catch {
      case error: TfsparkException => failed(error)
      case error @ (_: SparkThrowable | _: SparkException) =>
        failed(StorageError.of(s"Spark: ${SparkErrors.line(error)}", error))
      case error: FileSystemException =>
        failed(new StorageError(s"${error.getFile}: ${error.getReason}"))
      case error: IOException => failed(StorageError.of(error.getMessage, error))
      case error: Throwable =>
        val trace = new StringWriter()
        error.printStackTrace(new PrintWriter(trace))
        System.err.print(Mask.text(trace.toString))
        System.err.println(s"$Name: this is a fault of tfspark, please report it")
        1
    }

  private def job(told: Seq[String], environment: Map[String, String]): Int = {
    val arguments = Arguments.parse(told)
    if (arguments.help.isDefined) {
      System.out.print(arguments.help.get)
      return 0
    }
    val conf = new Configuration()
    val settings = Settings.load(arguments.config, arguments.overrides, environment, conf)
    if (arguments.dryRun) {
      System.out.print(YamlFile.dump(Settings.masked(settings)))
      return 0
    }
    val steps = new Steps(Name, arguments.log)
    Steps.summary(s"$Name: done", Score(settings, steps), System.out)
    0
  }

  private def failed(error: TfsparkException): Int = {
    val said = error.getMessage.split("\n", -1).map(Steps.printable).mkString("\n")
    System.err.println(s"\n$Name: ${error.getClass.getSimpleName}: $said")
    System.err.flush()
    error.exitCode
  }
}
