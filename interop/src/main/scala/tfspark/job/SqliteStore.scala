package tfspark.job

import java.sql.{Connection, ResultSet}
import org.sqlite.SQLiteConfig
import scala.collection.mutable
import scala.util.Using

/** MLflow's SQLite file, opened to read. */
private[tfspark] final class SqliteStore(file: String) extends Store {

  private val connection: Connection = {
    val config = new SQLiteConfig()
    config.setReadOnly(true)
    config.setBusyTimeout(10000)
    // Not by DriverManager: it does not see what spark-submit's --jars brings.
    config.createConnection(s"jdbc:sqlite:$file")
  }

  def byAlias(name: String, alias: String): Option[Version] =
    texts(
      "SELECT version FROM registered_model_aliases WHERE name = ? AND alias = ?",
      name,
      alias
    ).headOption.flatMap(byNumber(name, _))

  def byNumber(name: String, number: String): Option[Version] = {
    // A version that was deleted keeps its row.
    val query = "SELECT COALESCE(NULLIF(storage_location, ''), source) FROM model_versions " +
      "WHERE name = ? AND version = ? AND current_stage <> 'Deleted_Internal'"
    val tags = "SELECT key FROM model_version_tags WHERE name = ? AND version = ?"
    texts(query, name, number).headOption.map { source =>
      Version(number, source, texts(tags, name, number).toSet)
    }
  }

  def aliases(name: String): Option[Map[String, String]] = {
    val found = texts("SELECT name FROM registered_models WHERE name = ?", name)
    val query = "SELECT alias || '@' || version FROM registered_model_aliases WHERE name = ?"
    Option.when(found.nonEmpty)(texts(query, name).map { text =>
      val at = text.lastIndexOf('@')
      text.take(at) -> text.drop(at + 1)
    }.toMap)
  }

  def numbers(name: String): Seq[String] = texts(
    "SELECT version FROM model_versions WHERE name = ? AND current_stage <> 'Deleted_Internal'",
    name
  )

  def models(): Seq[String] = texts("SELECT name FROM registered_models ORDER BY name LIMIT 20")

  def artifacts(runId: String): String =
    texts("SELECT artifact_uri FROM runs WHERE run_uuid = ?", runId).headOption
      .getOrElse(throw new MlflowError("", s"Run with id=$runId not found"))

  override def close(): Unit = connection.close()

  private def texts(query: String, values: String*): Seq[String] =
    Using.resource(connection.prepareStatement(query)) { statement =>
      for ((value, i) <- values.zipWithIndex) statement.setString(i + 1, value)
      Using.resource(statement.executeQuery()) { rows: ResultSet =>
        val found = mutable.Buffer.empty[String]
        while (rows.next()) found += rows.getString(1)
        found.toSeq
      }
    }
}
