package tfspark.tfrecord

import com.fasterxml.jackson.databind.JsonNode
import com.fasterxml.jackson.databind.node.{JsonNodeFactory, ObjectNode}
import scala.collection.immutable.ListMap
import tfspark.IntegrityError

/** One data file.
  *
  * @param rows
  *   None where nobody counted them
  * @param partition
  *   the values of the partition columns
  */
private[tfspark] final case class FileEntry(
    path: String,
    rows: Option[Long],
    bytes: Long,
    partition: Map[String, Any] = Map.empty
)

/** What a folder holds.
  *
  * @param layout
  *   of the records, without the partition columns; None where nobody knows
  * @param files
  *   path under the folder → its entry
  * @param obsolete
  *   files of an earlier commit that may still be there and no longer count
  */
private[tfspark] final case class Manifest(
    layout: Option[Layout],
    partitionBy: Seq[ArrowField],
    files: ListMap[String, FileEntry],
    obsolete: Seq[String] = Nil
) {

  /** None where nobody counted them. */
  def rows: Option[Long] = {
    val counts = files.values.map(_.rows)
    if (counts.exists(_.isEmpty)) None else Some(counts.flatten.sum)
  }

  /** Replace the folder's manifest at once: from now on its files are the ones that count.
    *
    * @param version
    *   of the manifest that it replaces, as `findVersion` has it
    * @return
    *   whether it did: not where another has replaced it meanwhile
    */
  def write(folder: Store, version: Option[String]): Boolean = {
    val json = JsonNodeFactory.instance
    val kinds = files.keySet.map(name => Compression.of(name, None))
    val entries = json.objectNode()
    for ((name, entry) <- files) {
      val partition = json.objectNode()
      for ((key, value) <- entry.partition) partition.set[ObjectNode](key, Partition.toJson(value))
      val one = entries.putObject(name).put("bytes", entry.bytes)
      one.set[ObjectNode]("partition", partition)
      entry.rows.fold(one.putNull("rows"))(one.put("rows", _))
    }
    val columns = json.arrayNode()
    for (field <- partitionBy)
      columns.addObject().put("name", field.name).set[ObjectNode](
        "type",
        ArrowType.toJson(field.kind)
      )
    val compression = if (kinds.size > 1) Some("mixed") else kinds.headOption
    val value = json
      .objectNode()
      .put("format", "tfrecord")
      .put("version", Manifest.Version)
      .put("compression", compression.orNull)
    rows.fold(value.putNull("rows"))(value.put("rows", _))
    value.set[ObjectNode](
      "schema",
      layout.fold[com.fasterxml.jackson.databind.JsonNode](
        json.nullNode()
      )(_.toJson)
    )
    value.set[ObjectNode]("partition_by", columns)
    value.set[ObjectNode]("files", entries)
    val old = value.putArray("obsolete")
    obsolete.foreach(old.add)
    (folder / Manifest.File).writeOver(value, version)
  }
}

private[tfspark] object Manifest {
  val File = "_manifest.json"
  private val Version = 1

  /** The folder's manifest; None where there is none.
    *
    * @throws IntegrityError
    *   it is not one of ours, or of a later version
    */
  def read(folder: Store): Option[Manifest] = readVersion(folder).map(_._1)

  /** With what `write` knows it by. */
  def readVersion(folder: Store): Option[(Manifest, Option[String])] = {
    val file = folder / File
    file.findVersion().map { case (found, version) => of(found, folder, file.shown) -> version }
  }

  private def of(value: JsonNode, folder: Store, shown: String): Manifest =
    try {
      val (format, version) = (NotJson.at(value, "format"), NotJson.at(value, "version"))
      if (format.asText != "tfrecord" || version.toString != Version.toString)
        throw new NotJson(s"${Repr(format)}, version $version")
      val columns = NotJson.list(value, "partition_by").map { column =>
        val kind = ArrowType.fromJson(NotJson.at(column, "type"))
        ArrowField(NotJson.text(column, "name"), kind, nullable = true)
      }
      val kinds = columns.map(column => column.name -> column.kind).toMap
      val files = NotJson.fields(value, "files").map { case (name, entry) =>
        val rows = if (NotJson.at(entry, "rows").isNull) None
        else Some(NotJson.long(entry, "rows"))
        val bytes = NotJson.long(entry, "bytes")
        val told = if (entry.has("partition")) NotJson.fields(entry, "partition") else Nil
        val partition = told.map { case (key, text) =>
          key -> Partition.fromJson(text, kinds.getOrElse(key, throw new NotJson(s"no '$key'")))
        }
        name -> FileEntry((folder / name).shown, rows, bytes, partition.toMap)
      }
      val schema = NotJson.at(value, "schema")
      val layout = if (schema.isNull) None else Some(Layout.fromJson(schema, shown))
      val obsolete = NotJson.list(value, "obsolete").map(_.asText)
      Manifest(layout, columns, ListMap.from(files), obsolete)
    } catch {
      case error: NotJson =>
        throw new IntegrityError(
          s"$shown is no manifest of version $Version (${error.getMessage}): read it with " +
            "the tfspark that wrote it, or write the folder again"
        )
    }
}
