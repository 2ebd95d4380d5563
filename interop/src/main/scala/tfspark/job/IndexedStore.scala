package tfspark.job

import com.fasterxml.jackson.databind.{JsonNode, ObjectMapper}
import java.io.DataInputStream
import java.time.Duration
import java.nio.file.{Files, NoSuchFileException, Paths}
import scala.annotation.tailrec
import scala.jdk.CollectionConverters._
import scala.util.Using

/** A SQLite store as Python's index tells it (`tfspark/registry/index.py`): MLflow's tables are its
  * own, and change with its versions. The index is only used as long as it knows the store's last
  * change.
  */
private[tfspark] final class IndexedStore(
    file: String,
    patience: Duration = Duration.ofSeconds(10)
) extends Store {
  private val Format = 2
  private val store = Paths.get(file)
  private val index = Paths.get(s"$file.models.json")
  private val found = models(System.nanoTime() + patience.toNanos)

  def byAlias(name: String, alias: String): Option[Version] =
    Option(found.path(name).path("aliases").get(alias)).flatMap(at => byNumber(name, at.asText))

  def byNumber(name: String, number: String): Option[Version] =
    Option(found.path(name).path("versions").get(number)).map { version =>
      val tags =
        version.path("tags").properties.asScala.map(tag => tag.getKey -> tag.getValue.asText)
      Version(number, version.path("source").asText, tags.toMap)
    }

  def aliases(name: String): Option[Map[String, String]] = Option(found.get(name)).map { model =>
    model.path("aliases").properties.asScala.map(at => at.getKey -> at.getValue.asText).toMap
  }

  def numbers(name: String): Seq[String] =
    found.path(name).path("versions").fieldNames.asScala.toSeq

  def models(): Seq[String] = found.fieldNames.asScala.toSeq.sorted.take(20)

  /** Python brings the index up to date right after each change of its own. */
  @tailrec private def models(until: Long): JsonNode = {
    val said = read()
    val current = said.filter(_.path("format").asInt == Format)
    if (current.exists(_.path("changes").asLong(-1) == changes)) current.get.path("models")
    else if (said.nonEmpty && System.nanoTime() < until) {
      Thread.sleep(100)
      models(until)
    } else {
      val why =
        if (said.isEmpty) "is not there"
        else if (current.isEmpty) "is of another version of tfspark"
        else "does not know the store's last change"
      throw new MlflowError(
        "",
        s"its index $index $why: run `python -m tfspark registry sqlite:///$file`, or name the " +
          "address of an MLflow server with registry.tracking_uri"
      )
    }
  }

  private def read(): Option[JsonNode] =
    try Some(new ObjectMapper().readTree(Files.readAllBytes(index)))
    catch { case _: NoSuchFileException => None }

  /** SQLite's file change counter: https://sqlite.org/fileformat.html. */
  private def changes: Long = Using.resource(new DataInputStream(Files.newInputStream(store))) {
    header =>
      header.skipNBytes(24)
      Integer.toUnsignedLong(header.readInt())
  }

  override def close(): Unit = ()
}
