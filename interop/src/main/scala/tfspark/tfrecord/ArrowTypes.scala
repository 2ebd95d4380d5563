package tfspark.tfrecord

import com.fasterxml.jackson.databind.JsonNode
import com.fasterxml.jackson.databind.node.{JsonNodeFactory, ObjectNode}
import scala.jdk.CollectionConverters._

/** A column's type as a folder's schema declares it: one of Arrow's. As text it is as Arrow's own.
  */
private[tfspark] sealed trait ArrowType extends Serializable

private[tfspark] final case class ArrowField(name: String, kind: ArrowType, nullable: Boolean) {
  override def toString: String = s"$name: $typed"

  /** The type, and whether it may be null. */
  def typed: String = s"$kind${if (nullable) "" else " not null"}"
}

private[tfspark] object ArrowType {

  /** A type without parts: bool, int8, ..., `date32[day]`, string, binary. */
  final case class Plain(name: String) extends ArrowType { override def toString: String = name }

  /** @param zone null: of no zone */
  final case class Timestamp(unit: String, zone: String) extends ArrowType {
    override def toString: String =
      if (zone == null) s"timestamp[$unit]" else s"timestamp[$unit, tz=$zone]"
  }

  /** time32, time64 or duration. */
  final case class Timed(name: String, unit: String) extends ArrowType {
    override def toString: String = s"$name[$unit]"
  }

  final case class Decimal(width: Int, precision: Int, scale: Int) extends ArrowType {
    override def toString: String = s"decimal$width($precision, $scale)"
  }

  final case class FixedBinary(bytes: Int) extends ArrowType {
    override def toString: String = s"fixed_size_binary[$bytes]"
  }

  /** list, large_list, or of a fixed size.
    *
    * @param size
    *   -1: any
    */
  final case class ListOf(name: String, item: ArrowField, size: Int = -1) extends ArrowType {
    override def toString: String = s"$name<$item>${if (size < 0) "" else s"[$size]"}"
  }

  final case class Struct(fields: Seq[ArrowField]) extends ArrowType {
    override def toString: String = fields.mkString("struct<", ", ", ">")
  }

  private val plain = Set("bool", "halffloat", "float", "double", "date32[day]", "date64[ms]") ++
    (for (sign <- Seq("", "u"); bits <- Seq(8, 16, 32, 64)) yield s"${sign}int$bits") ++
    Seq("string", "large_string", "string_view", "binary", "large_binary", "binary_view")

  def isText(kind: ArrowType): Boolean = kind match {
    case Plain(name) => Set("string", "large_string", "string_view")(name)
    case _ => false
  }

  def isBytes(kind: ArrowType): Boolean = kind match {
    case Plain(name) => Set("binary", "large_binary", "binary_view")(name)
    case FixedBinary(_) => true
    case _ => false
  }

  private val json = JsonNodeFactory.instance

  /** A type as JSON: its name, or an object whose `type` is the name. */
  def toJson(kind: ArrowType): JsonNode = {
    def typed(name: String) = json.objectNode().put("type", name)
    kind match {
      case Plain(name) => json.textNode(name)
      case Timestamp(unit, zone) => typed("timestamp").put("unit", unit).put("zone", zone)
      case Timed(name, unit) => typed(name).put("unit", unit)
      case Decimal(width, precision, scale) =>
        typed(s"decimal$width").put("precision", precision).put("scale", scale)
      case FixedBinary(bytes) => typed("fixed_size_binary").put("bytes", bytes)
      case ListOf(name, item, size) =>
        val list = typed(name).set[ObjectNode]("item", fieldToJson(item))
        if (size < 0) list else list.put("size", size)
      case Struct(fields) => typed("struct").set("fields", fieldsToJson(fields))
    }
  }

  def fieldsToJson(fields: Seq[ArrowField]): JsonNode =
    json.arrayNode().addAll(fields.map(fieldToJson).asJava)

  private def fieldToJson(field: ArrowField): JsonNode = json
    .objectNode()
    .put("name", field.name)
    .put("nullable", field.nullable)
    .set("type", toJson(field.kind))

  /** The type that `toJson` wrote.
    *
    * @throws NotJson
    *   it is none
    */
  def fromJson(value: JsonNode): ArrowType =
    if (value.isTextual) {
      if (!plain(value.asText)) throw new NotJson(s"the type '${value.asText}' is unknown")
      Plain(value.asText)
    } else
      NotJson.text(value, "type") match {
        case "timestamp" =>
          val zone = NotJson.at(value, "zone")
          Timestamp(NotJson.text(value, "unit"), if (zone.isNull) null else zone.asText)
        case name @ ("time32" | "time64" | "duration") => Timed(name, NotJson.text(value, "unit"))
        case name if name.matches("decimal(32|64|128|256)") =>
          val width = name.stripPrefix("decimal").toInt
          Decimal(width, NotJson.int(value, "precision"), NotJson.int(value, "scale"))
        case "fixed_size_binary" => FixedBinary(NotJson.int(value, "bytes"))
        case name @ "fixed_size_list" =>
          ListOf(name, fieldFromJson(NotJson.at(value, "item")), NotJson.int(value, "size"))
        case name @ ("list" | "large_list") =>
          ListOf(name, fieldFromJson(NotJson.at(value, "item")))
        case "struct" => Struct(fieldsFromJson(NotJson.at(value, "fields")))
        case name => throw new NotJson(s"the type '$name' is unknown")
      }

  def fieldsFromJson(value: JsonNode): Seq[ArrowField] =
    value.elements().asScala.map(fieldFromJson).toSeq

  private def fieldFromJson(value: JsonNode): ArrowField = ArrowField(
    NotJson.text(value, "name"),
    fromJson(NotJson.at(value, "type")),
    NotJson.at(value, "nullable").asBoolean
  )
}

/** A JSON value is not what it should be. */
private[tfspark] final class NotJson(message: String) extends RuntimeException(message)

private[tfspark] object NotJson {
  def at(value: JsonNode, name: String): JsonNode =
    Option(value.get(name)).getOrElse(throw new NotJson(s"no '$name'"))

  /** A mapping; anything else is none. */
  def fields(value: JsonNode, name: String): Seq[(String, JsonNode)] =
    if (!value.path(name).isObject) throw new NotJson(s"no '$name'")
    else value.get(name).properties().asScala.toSeq.map(e => e.getKey -> e.getValue)

  /** A list; anything else is none. */
  def list(value: JsonNode, name: String): Seq[JsonNode] =
    if (!value.path(name).isArray) throw new NotJson(s"no '$name'")
    else value.get(name).elements().asScala.toSeq

  def text(value: JsonNode, name: String): String = {
    val found = at(value, name)
    if (!found.isTextual) throw new NotJson(s"'$name' is $found")
    found.asText
  }

  def int(value: JsonNode, name: String): Int = long(value, name).toInt

  def long(value: JsonNode, name: String): Long = {
    val found = at(value, name)
    if (!found.isIntegralNumber) throw new NotJson(s"'$name' is $found")
    found.asLong
  }
}
