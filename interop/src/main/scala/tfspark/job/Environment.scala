package tfspark.job

import com.fasterxml.jackson.databind.JsonNode
import scala.collection.immutable.VectorMap
import scala.jdk.CollectionConverters._
import tfspark.ConfigError
import tfspark.shared.Shared
import tfspark.shared.Shared.say

/** Settings from variables: `TFSPARK_` and the path with two underscores,
  * `TFSPARK_SCORE__PLAN=jvm`; lists and mappings as JSON. As pydantic-settings reads them.
  */
private[tfspark] object Environment {
  private val Prefix = Shared.text("prefix").toLowerCase

  /** @throws ConfigError
    *   a list or mapping that is no JSON
    */
  def settings(schema: Schema, environment: Map[String, String]): VectorMap[String, Any] = {
    val variables = environment.map { case (name, value) => name.toLowerCase -> value }.toSeq.sorted
    val fields = schema.root.get("properties").properties().asScala.toSeq
    VectorMap.from(fields.flatMap { field =>
      val name = Prefix + field.getKey
      val spec = field.getValue
      def refuse(variable: String) =
        throw new ConfigError(say("no_json", "variable" -> variable.toUpperCase))
      val whole = variables.collectFirst { case (`name`, text) => text }
      val found: Option[Any] =
        if (!complex(schema, spec)) whole
        else {
          val start = whole.map(text => Schema.parse(text).getOrElse(refuse(name)))
          val parts = variables.collect {
            case (variable, text) if variable.startsWith(s"${name}__") =>
              variable.stripPrefix(s"${name}__").split("__").toVector -> text
          }
          parts.foldLeft(start) { case (all, (path, text)) =>
            Some(put(
              all.getOrElse(VectorMap.empty),
              path,
              value(schema, spec, path, text, refuse((name +: path).mkString("__")))
            ))
          }
        }
      found.map(field.getKey -> _)
    })
  }

  private def put(all: Any, path: Vector[String], value: Any): Any = {
    val map = all match {
      case map: Map[_, _] => map.asInstanceOf[Map[String, Any]]
      case _ => VectorMap.empty[String, Any]
    }
    val inner =
      if (path.size == 1) value
      else put(map.getOrElse(path.head, VectorMap.empty), path.tail, value)
    map.updated(path.head, inner)
  }

  /** A text; read as JSON where a list or mapping is wanted, or may be. */
  private def value(
      schema: Schema,
      spec: JsonNode,
      path: Vector[String],
      text: String,
      refuse: => Nothing
  ): Any = {
    val target = path.foldLeft(Option(spec)) { (found, part) =>
      found.flatMap(f => Option(schema.resolved(f).path("properties").get(part)))
    }
    target match {
      case Some(field) if !complex(schema, field) => text
      case Some(field) if !field.has("anyOf") => Schema.parse(text).getOrElse(refuse)
      case None if spec.path("type").asText != "object" => text
      case _ => Schema.parse(text).getOrElse(text)
    }
  }

  private def complex(schema: Schema, spec: JsonNode): Boolean = {
    val kind = schema.resolved(spec)
    if (kind.has("anyOf")) kind.get("anyOf").asScala.exists(complex(schema, _))
    else Set("object", "array").contains(kind.path("type").asText)
  }
}
