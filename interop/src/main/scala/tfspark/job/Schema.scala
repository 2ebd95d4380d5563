package tfspark.job

import com.fasterxml.jackson.databind.{JsonNode, ObjectMapper}
import scala.collection.immutable.VectorMap
import scala.jdk.CollectionConverters._
import scala.util.control.NoStackTrace
import tfspark.job.Misfit.refuse
import tfspark.shared.{Near, Shared}
import tfspark.shared.Shared.say

/** All values that do not fit, and where they stand. */
private[tfspark] final class Misfit(val faults: Seq[(Vector[Any], String)])
    extends RuntimeException(faults.head._2)
    with NoStackTrace {

  /** Of the first one. */
  def path: Vector[Any] = faults.head._1
  def said: String = faults.head._2
}

private[tfspark] object Misfit {
  def refuse(path: Vector[Any], said: String): Nothing = throw new Misfit(Seq(path -> said))

  /** What each of several pieces of work gives, or all that is wrong in them. */
  def all[A](work: Iterator[() => A]): Vector[A] = {
    val faults = Vector.newBuilder[(Vector[Any], String)]
    val made = work.flatMap { piece =>
      try Some(piece())
      catch { case misfit: Misfit => faults ++= misfit.faults; None }
    }.toVector
    val wrong = faults.result()
    if (wrong.nonEmpty) throw new Misfit(wrong)
    made
  }
}

/** What a JSON schema cannot say: rules of a model (a section of the settings, say) by its name. */
private[tfspark] trait Rules {

  /** A field's value as its type wants it. */
  def before(model: String, field: String, value: Any): Any

  /** What is wrong with a field. */
  def field(model: String, field: String, value: Any): Option[String]

  /** What is wrong with a model whose fields are right. */
  def whole(model: String, fields: Map[String, Any]): Option[String]
}

/** Values checked by the JSON schema of a pydantic model: texts taken for numbers where these are
  * wanted, and defaults filled in.
  *
  * @param unknown
  *   the text for a key that nobody knows
  */
private[tfspark] final class Schema(val root: JsonNode, rules: Rules, unknown: String) {

  /** @throws Misfit
    *   with all faults, in the order of the fields
    */
  def check(value: Any): VectorMap[String, Any] = model("", root, value, Vector.empty)

  /** The definition that a field's type names; the type itself where it names none. */
  def resolved(spec: JsonNode): JsonNode =
    if (spec.has("$ref")) root.path("$defs").path(name(spec)) else spec

  private def name(spec: JsonNode): String = spec.get("$ref").asText.split("/").last

  private def model(
      name: String,
      spec: JsonNode,
      value: Any,
      path: Vector[Any]
  ): VectorMap[String, Any] = {
    val fields = spec.get("properties").properties().asScala.toSeq
    val known = fields.map(_.getKey).toSet
    val found = value match {
      case map: Map[_, _] =>
        VectorMap.from(map.map { case (key, v) => spelled(key.toString, known) -> v })
      case _ => refuse(path, say("dict_type"))
    }
    val required = spec.path("required").asScala.map(_.asText).toSet
    val checks = fields.iterator.map { entry => () =>
      val (key, inner) = (entry.getKey, entry.getValue)
      val at = path :+ key
      val checked = found.get(key) match {
        case Some(value) => of(inner, rules.before(name, key, value), at, strict = false)
        case None if required(key) => refuse(at, say("missing"))
        case None => default(inner, at)
      }
      rules.field(name, key, checked).foreach(refuse(at, _))
      Option(key -> checked)
    }
    val others = found.keysIterator.filterNot(known).map { key => () =>
      refuse(
        path :+ key,
        say(unknown, "near" -> Near.said(key, fields.map(_.getKey)))
      ): Option[(String, Any)]
    }
    val all = Misfit.all(checks ++ others).flatten
    val whole = VectorMap.from(all)
    rules.whole(name, whole).foreach(refuse(path, _))
    whole
  }

  /** A contract may write `physical_type` for `physicalType`. */
  private def spelled(key: String, known: Set[String]): String =
    if (!known(key) && known(Schema.camel(key))) Schema.camel(key) else key

  private def default(spec: JsonNode, path: Vector[Any]): Any =
    if (spec.has("$ref")) of(spec, VectorMap.empty, path, strict = false)
    else {
      val value = Schema.plain(spec.get("default"))
      if (value == null) null else of(spec, value, path, strict = false)
    }

  private def of(spec: JsonNode, value: Any, path: Vector[Any], strict: Boolean): Any =
    if (spec.has("$ref")) model(name(spec), resolved(spec), value, path)
    else if (spec.has("anyOf")) union(spec.get("anyOf").asScala.toSeq, value, path, strict)
    else if (spec.has("oneOf")) tagged(spec, value, path)
    else if (spec.has("const")) literal(Seq(spec.get("const").asText), value, path)
    else if (spec.has("enum")) literal(spec.get("enum").asScala.map(_.asText).toSeq, value, path)
    else
      spec.path("type").asText match {
        case "string" if spec.path("format").asText == "date" => Scalars.date(value, path)
        case "string" => Scalars.text(spec, value, path)
        case "integer" => Scalars.bounded(spec, Scalars.whole(value, path, strict), path)
        case "number" => Scalars.bounded(spec, Scalars.number(value, path, strict), path)
        case "boolean" => Scalars.boolean(value, path, strict)
        case "array" => list(spec, value, path, strict)
        case "object" => dictionary(spec, value, path, strict)
        case _ => value
      }

  /** The type that a value has as it is; else the first that takes it. */
  private def union(
      kinds: Seq[JsonNode],
      value: Any,
      path: Vector[Any],
      strict: Boolean
  ): Any = {
    val (nulls, others) = kinds.partition(_.path("type").asText == "null")
    if (value == null && nulls.nonEmpty) return null
    if (others.size == 1) return of(others.head, value, path, strict)
    def tries(strict: Boolean) = others.iterator.map { kind =>
      try Right(of(kind, value, path, strict))
      catch { case misfit: Misfit => Left(misfit) }
    }
    tries(strict = true).collectFirst { case Right(found) => found }.getOrElse {
      val lax = tries(strict).toSeq
      lax.collectFirst { case Right(found) => found }.getOrElse(throw lax.head.left.toOption.get)
    }
  }

  private def tagged(spec: JsonNode, value: Any, path: Vector[Any]): Any = {
    val by = spec.path("discriminator").path("propertyName").asText
    val known = spec.path("oneOf").asScala.toSeq.map { kind =>
      resolved(kind).path("properties").path(by).path("const").asText -> kind
    }
    value match {
      case map: Map[_, _] =>
        val named = map.asInstanceOf[Map[String, Any]].getOrElse(
          by,
          refuse(path, say("union_tag_not_found", "discriminator" -> s"'$by'"))
        )
        val names = known.map { case (name, _) => s"'$name'" }.mkString(", ")
        val tag = String.valueOf(named)
        val near = Schema.Called.get(tag)
          .fold(Near.said(tag, known.map(_._1)))(ours => Near.meant(Seq(ours)))
        val values =
          Seq("discriminator" -> s"'$by'", "expected_tags" -> names, "near" -> near)
        val said = say("union_tag_invalid", values: _*)
        known
          .collectFirst { case (`named`, kind) => of(kind, value, path, strict = false) }
          .getOrElse(refuse(path, said))
      case _ => refuse(path, say("dict_type"))
    }
  }

  private def literal(known: Seq[String], value: Any, path: Vector[Any]): Any =
    if (known.contains(value)) value
    else {
      val quoted = known.map(name => s"'$name'")
      val said =
        if (quoted.size == 1) quoted.head
        else s"${quoted.init.mkString(", ")} or ${quoted.last}"
      refuse(path, Hint.hinted(say("literal_error", "expected" -> said), value, known))
    }

  private def list(spec: JsonNode, value: Any, path: Vector[Any], strict: Boolean): Any = {
    val tuple = spec.has("prefixItems")
    val items = if (tuple) spec.get("prefixItems").get(0) else spec.path("items")
    value match {
      case values: Seq[_] =>
        if (tuple && values.isEmpty) refuse(path :+ 0, say("missing"))
        val least = spec.path("minItems").asInt(0)
        val checked = Misfit.all(values.iterator.zipWithIndex.map { case (v, index) =>
          () => of(items, v, path :+ index, strict)
        })
        if (values.size < least) refuse(path, say("too_short", "min_length" -> least))
        checked
      case _ => refuse(path, say("list_type"))
    }
  }

  private def dictionary(spec: JsonNode, value: Any, path: Vector[Any], strict: Boolean): Any =
    value match {
      case map: Map[_, _] =>
        VectorMap.from(map.map { case (key, v) =>
          key.toString -> of(spec.path("additionalProperties"), v, path :+ key.toString, strict)
        })
      case _ => refuse(path, say("dict_type"))
    }
}

private[tfspark] object Schema {
  private val json = new ObjectMapper()

  /** What others call kinds of features. */
  private val Called = Shared.map("called")

  /** Of a resource. */
  def read(name: String, rules: Rules, unknown: String): Schema =
    new Schema(Shared.read(name), rules, unknown)

  /** JSON as plain values; None where the text is no JSON. */
  def parse(text: String): Option[Any] =
    try Option(json.readTree(text)).filterNot(_.isMissingNode).map(plain)
    catch { case _: com.fasterxml.jackson.core.JsonProcessingException => None }

  /** `physical_type` → `physicalType`. */
  def camel(key: String): String = {
    val parts = key.split("_", -1)
    if (parts.contains("")) key else parts.head + parts.tail.map(_.capitalize).mkString
  }

  def plainNumber(text: String): Any =
    text.stripPrefix("+").toLongOption.getOrElse(BigInt(text.stripPrefix("+")))

  def plain(node: JsonNode): Any =
    if (node == null || node.isNull) null
    else if (node.isObject)
      VectorMap.from(node.properties().asScala.map(e => e.getKey -> plain(e.getValue)))
    else if (node.isArray) node.asScala.map(plain).toVector
    else if (node.isBoolean) node.asBoolean
    else if (node.isIntegralNumber)
      if (node.canConvertToLong) node.asLong else BigInt(node.bigIntegerValue)
    else if (node.isNumber) node.asDouble
    else node.asText
}
