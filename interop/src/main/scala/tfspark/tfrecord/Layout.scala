package tfspark.tfrecord

import com.fasterxml.jackson.databind.JsonNode
import com.fasterxml.jackson.databind.node.{JsonNodeFactory, ObjectNode}
import java.nio.charset.StandardCharsets.UTF_8
import scala.collection.mutable
import scala.jdk.CollectionConverters._
import tfspark.shared.Shared
import tfspark.tfrecord.ArrowType._
import tfspark.{ConfigError, IntegrityError}

/** Tags of Feature's lists (feature.proto), and their names. */
private[tfspark] object Kind {
  val (bytes, float, int64) = (0x0a, 0x12, 0x1a)

  /** No list: the value is the whole record. */
  val record = 1
  val names: Map[Int, String] =
    Map(bytes -> "bytes", float -> "float", int64 -> "int64", record -> "record")
}

/** One feature of every record.
  *
  * @param name
  *   in the Example; a struct's field is `struct.field`
  * @param path
  *   the column's name, then those of struct fields
  * @param leaf
  *   type of one value
  * @param kind
  *   tag of the list that holds the values
  * @param depth
  *   0: one value; 1: a list; 2: a list of lists, in `feature_lists`
  * @param sizes
  *   of the list levels, from the outer one; -1: any
  * @param marker
  *   it stands for a struct that is there without fields, and has no values
  */
private[tfspark] final case class Feature(
    name: String,
    path: Seq[String],
    leaf: ArrowType,
    kind: Int,
    depth: Int,
    sizes: Seq[Int],
    marker: Boolean = false
) {
  def key: Array[Byte] = name.getBytes(UTF_8)
}

/** A schema compiled once.
  *
  * @param fields
  *   what a reader of the file gets
  * @param features
  *   sorted by name, as they are in every record
  * @param sampled
  *   of a schema from a sample: features that are known besides. A record with another one is an
  *   error. None: the schema was declared, and other features are passed over
  */
private[tfspark] final case class Layout(
    fields: Seq[ArrowField],
    features: Seq[Feature],
    sampled: Option[Set[String]] = None
) {

  /** Whether the one column is the records' bytes, whatever they are. */
  def raw: Boolean = features.exists(_.kind == Kind.record)

  def recordType: String =
    if (raw) "ByteArray" else if (sequence) "SequenceExample" else "Example"

  def names: Seq[String] = fields.map(_.name)

  /** Whether records are SequenceExamples: some column is a list of lists. */
  def sequence: Boolean = features.exists(_.depth == 2)

  /** What a sidecar holds. */
  def toJson: JsonNode = {
    val json = JsonNodeFactory.instance
    val (kinds, narrow) = (json.objectNode(), json.objectNode())
    for (feature <- features) {
      kinds.put(feature.name, Kind.names(feature.kind))
      feature.leaf match {
        case _ if feature.kind == Kind.record => narrow.put(feature.name, "record")
        case Decimal(_, _, _) => narrow.put(feature.name, "string")
        case Plain("uint64") => narrow.put(feature.name, "int64")
        case _ =>
      }
    }
    json
      .objectNode()
      .put("format", "tfrecord")
      .put("version", Layout.Version)
      .put("record", recordType)
      .set[ObjectNode]("fields", fieldsToJson(fields))
      .set[ObjectNode]("features", kinds)
      .set[ObjectNode]("narrow", narrow)
  }
}

private[tfspark] object Layout {
  val Sidecar = "_schema.json"
  private val Version = 1

  /** Compile a schema.
    *
    * @param narrow
    *   feature → what it becomes: "float" (double, decimal), "int64" (uint64) or "string"
    *   (decimal). The feature "*" stands for every double and decimal that is not named
    * @param recordType
    *   ByteArray: the one binary column is the records themselves, whatever they are; Example: no
    *   column may be a list of lists; None: what the columns need
    * @throws ConfigError
    *   a column that no Example holds without loss, two features of one name, or columns that are
    *   not of the record type
    */
  def of(
      fields: Seq[ArrowField],
      narrow: Map[String, String] = Map.empty,
      recordType: Option[String] = None
  ): Layout = {
    val bytes = recordType.contains("ByteArray")
    if (bytes && (fields.size != 1 || !isBytes(fields.head.kind)))
      throw new ConfigError(
        Shared.say("no_byte_array", "columns" -> fields.mkString(", "))
      )
    val left = mutable.Map.from(if (bytes) Map(fields.head.name -> "record") else narrow)
    val features = mutable.Buffer.empty[Feature]
    val kept = fields.map(field => column(field, Seq(field.name), left, features))
    left -= "*"
    if (recordType.contains("Example")) for (list <- features.find(_.depth == 2))
      throw new ConfigError(Shared.say("no_sequence", "name" -> list.name))
    if (left.nonEmpty)
      throw new ConfigError(
        s"narrow names ${Repr.list(left.keys.toSeq.sorted)}: no such column needs a narrowing"
      )
    val twice = features.groupBy(_.name).filter(_._2.size > 1).keys.toSeq.sorted
    for (name <- twice.headOption)
      throw new ConfigError(
        s"two columns make the feature ${Repr(name)}: rename one of them"
      )
    // By bytes, as Python's are.
    val ordered = features.toSeq.sortWith((a, b) =>
      java.util.Arrays.compareUnsigned(a.key, b.key) < 0
    )
    Layout(kept, ordered)
  }

  /** A schema to read with: a decimal is its text, a uint64 an int64, a double stored as a float.
    */
  def toRead(fields: Seq[ArrowField], recordType: Option[String] = None): Layout = {
    val narrow = mutable.Map.empty[String, String]
    def stored(name: String, kind: ArrowType): ArrowType = kind match {
      case Struct(inner) =>
        Struct(inner.map(f => f.copy(kind = stored(s"$name.${f.name}", f.kind))))
      case list: ListOf => list.copy(item = list.item.copy(kind = stored(name, list.item.kind)))
      case Plain("double") => Plain("float")
      case Plain("uint64") => narrow(name) = "int64"; kind
      case Decimal(_, _, _) => narrow(name) = "string"; kind
      case _ => kind
    }
    val kinds = fields.map(field => field.copy(kind = stored(field.name, field.kind)))
    of(kinds, narrow.toMap, recordType)
  }

  /** The layout that a folder's `_schema.json` declares; None where there is none.
    *
    * @throws IntegrityError
    *   the file is not one of ours, or of a later version
    */
  def readSidecar(folder: Store): Option[Layout] = {
    val file = folder / Sidecar
    file.findJson().map(fromJson(_, file.shown))
  }

  /** The layout of a sidecar's content; `path` is for messages. */
  def fromJson(value: JsonNode, path: String): Layout =
    try {
      val (format, version) = (NotJson.at(value, "format"), NotJson.at(value, "version"))
      if (format.asText != "tfrecord" || version.toString != Version.toString)
        throw new IntegrityError(
          s"$path is of format ${Repr(format)}, version ${Repr(version)}; this tfspark reads " +
            s"tfrecord, version $Version: use the one that wrote it"
        )
      val narrow = NotJson.at(value, "narrow").properties().asScala
      val ways = narrow.map(entry => entry.getKey -> entry.getValue.asText).toMap
      of(fieldsFromJson(NotJson.at(value, "fields")), ways)
    } catch {
      case error @ (_: NotJson | _: ConfigError) =>
        throw new IntegrityError(
          s"$path does not declare a schema (${error.getMessage}): it was damaged; give the " +
            "schema yourself or write the folder again"
        )
    }

  /** The field as it is read back; its features are added. */
  private def column(
      field: ArrowField,
      path: Seq[String],
      narrow: mutable.Map[String, String],
      features: mutable.Buffer[Feature]
  ): ArrowField = {
    val name = path.mkString(".")
    field.kind match {
      case Struct(fields) =>
        features += Feature(name, path, Plain("int64"), Kind.int64, 1, Seq(-1), marker = true)
        val kept = fields.map(inner => column(inner, path :+ inner.name, narrow, features))
        field.copy(kind = Struct(kept))
      case kind =>
        val lists = levels(kind)
        val inner = lists.lastOption.fold(kind)(_.item.kind)
        val (leaf, tag) = leafOf(name, inner, narrow)
        if (lists.size > 2)
          throw new ConfigError(
            s"column $name: $kind has ${lists.size} list levels, two are the most"
          )
        features += Feature(name, path, leaf, tag, lists.size, lists.map(_.size))
        field.copy(kind =
          lists.foldRight(leaf)((list, item) =>
            list.copy(item = list.item.copy(kind = item))
          )
        )
    }
  }

  private def levels(kind: ArrowType): Seq[ListOf] = kind match {
    case list: ListOf => list +: levels(list.item.kind)
    case _ => Nil
  }

  private def leafOf(
      name: String,
      leaf: ArrowType,
      narrow: mutable.Map[String, String]
  ): (ArrowType, Int) = {
    val named = narrow.remove(name)
    val ways = leaf match {
      case Plain("double") => Seq("float")
      case Decimal(_, _, _) => Seq("float", "string")
      case Plain("uint64") => Seq("int64")
      case _ => Nil
    }
    val told =
      named.orElse(narrow.get("*").filter(way => ways.contains("float") && ways.contains(way)))
    if (told.contains("record") && isBytes(leaf)) return (leaf, Kind.record)
    if (ways.nonEmpty && !told.exists(ways.contains)) {
      val ask = ways.map(way => s"""{"$name": "$way"}""").mkString(" or ")
      throw new ConfigError(
        s"column $name: an Example does not hold $leaf without loss; name the narrowing ($ask) or " +
          "leave the column out"
      )
    }
    if (told.isDefined && ways.isEmpty)
      throw new ConfigError(s"column $name: $leaf needs no narrowing; take it out of narrow")
    leaf match {
      case _ if told.contains("float") => (Plain("float"), Kind.float)
      case _ if told.contains("string") || isText(leaf) || isBytes(leaf) => (leaf, Kind.bytes)
      case Plain("float" | "halffloat") => (leaf, Kind.float)
      case Plain(_) | Timestamp(_, _) | Timed(_, _) => (leaf, Kind.int64)
      case _ =>
        throw new ConfigError(
          s"column $name: an Example holds no $leaf; leave the column out or make it numbers, text " +
            "or lists of them"
        )
    }
  }
}
