package tfspark.job

import java.io.{PrintWriter, StringWriter}
import java.time.DateTimeException
import org.apache.spark._
import org.apache.spark.sql.AnalysisException
import scala.util.control.NonFatal
import tfspark.{
  ConfigError,
  ContractViolation,
  ModelFailed,
  SourceMissing,
  StorageError,
  TfsparkException
}

/** Spark's long errors as ours, in the words of `tfspark/tables.py`. */
private[tfspark] object SparkErrors {
  private val Missing = Set(
    "PATH_NOT_FOUND",
    "TABLE_OR_VIEW_NOT_FOUND",
    "DELTA_TABLE_NOT_FOUND",
    "DELTA_MISSING_DELTA_TABLE",
    "DELTA_PATH_DOES_NOT_EXIST",
    "DELTA_TABLE_ONLY_OPERATION"
  )
  private val ModelFails = s"Caused by: ${classOf[ModelFailed].getName}: "
  private val OfTheTable = s"Caused by: ${classOf[ContractViolation].getName}: "
  private val Plain = Set("SparkRuntimeException", "SparkUpgradeException")
  private val Cause = "Caused by: (.+)".r
  private val Class = """^(?:tfspark\.\w+|(?:[a-z]+\.)+[\w$]+(?:Exception|Error)): """.r

  /** Read a table.
    *
    * @throws SourceMissing
    *   it is not there
    * @throws ContractViolation
    *   its files are not of the format, or not of one header
    * @throws StorageError
    *   it cannot be read
    */
  def reading[T](table: String)(read: => T): T =
    try read
    catch {
      case error: TfsparkException => throw error
      case NonFatal(error) =>
        val condition = error match {
          case known: SparkThrowable => Option(known.getCondition).getOrElse("")
          case _ => ""
        }
        val said = s"$condition ${text(error)}"
        throw (
          if (Missing(condition.takeWhile(_ != '.')))
            new SourceMissing(
              s"$table: is not there (yet); check the path, or try again when it has arrived"
            )
          else if (condition == "PARSE_SYNTAX_ERROR")
            new ConfigError(s"$table: is neither a folder nor a table name")
          else if (said.contains("FAILED_JDBC") || said.contains("java.sql."))
            new SourceMissing(s"$table: cannot be reached: ${line(error)}")
          else if (said.contains("UNABLE_TO_INFER_SCHEMA"))
            new ContractViolation(s"$table: holds no file of this format with rows")
          else if (said.contains("CSV header does not conform"))
            new ContractViolation(s"$table: files with different headers: ${line(error)}")
          else if (said.contains(OfTheTable)) new ContractViolation(line(error))
          else StorageError.of(s"$table: cannot be read: ${line(error)}", error)
        )
    }

  /** Score; `what` this is, for messages.
    *
    * @throws ModelFailed
    *   a task said that the model fails, whatever the rows
    * @throws StorageError
    *   whatever else Spark raised
    */
  def running[T](what: String, target: String)(run: => T): T =
    try run
    catch {
      case error: TfsparkException => throw error
      case NonFatal(error) =>
        val said = s"$what failed: ${line(error)}; $target is unchanged"
        throw (
          if (text(error).contains(ModelFails)) new ModelFailed(said, error)
          else StorageError.of(said, error)
        )
    }

  /** The telling line of one of Spark's long messages. */
  def line(error: Throwable): String = {
    val causes = Cause.findAllMatchIn(text(error)).map(_.group(1)).toSeq
    val ours = causes.filter(_.startsWith("tfspark."))
    val whole = (causes ++ ours).lastOption.getOrElse(if (isPlain(error)) message(error)
    else error.toString)
    Class.replaceFirstIn(whole.trim.linesIterator.nextOption().getOrElse(""), "").take(500)
  }

  /** What Python sees: of Spark's own errors the message, of any other the stack too. */
  def text(error: Throwable): String =
    if (isPlain(error)) message(error)
    else {
      val written = new StringWriter()
      error.printStackTrace(new PrintWriter(written))
      written.toString
    }

  private def message(error: Throwable) = Option(error.getMessage).getOrElse(error.toString)

  private def isPlain(error: Throwable): Boolean = error match {
    case _: AnalysisException => true
    case known: SparkThrowable if Plain(known.getClass.getSimpleName) => true
    case _: IllegalArgumentException | _: ArithmeticException | _: DateTimeException => true
    case _: UnsupportedOperationException | _: NoSuchElementException => true
    case _: ArrayIndexOutOfBoundsException => true
    case _ => false
  }

}
