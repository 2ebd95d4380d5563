package tfspark.job

import scala.collection.mutable
import tfspark.shared.Shared.say

/** What contradicts itself, or its type, in a column or a table: `tfspark/contracts/mistakes.py`.
  */
private[tfspark] object Mistakes {
  type Mistake = (Vector[Any], String)
  private val Lows = Seq("minimum", "exclusiveMinimum")
  private val Highs = Seq("maximum", "exclusiveMaximum")
  private val Ordered = Set("integer", "number", "date", "timestamp")
  private val Options = "logicalTypeOptions"
  private val Dtypes = Map("float" -> "float32", "double" -> "float64", "decimal" -> "float64") ++
    Seq("string", "binary").map(_ -> "string")
  private val Wider = Map(
    "int64" -> Seq("int64", "float32", "float64"),
    "float32" -> Seq("float32", "float64"),
    "float64" -> Seq("float32", "float64"),
    "string" -> Seq("string")
  )
  private val TypeOf =
    Map("int64" -> "bigint", "uint8" -> "bigint", "float32" -> "float", "float64" -> "double")

  def ofTable(table: Map[String, Any]): Seq[Mistake] = {
    val found = mutable.Buffer.empty[Mistake]
    def wrong(said: String) = found += Vector.empty -> said
    val columns = list(table.getOrElse("properties", null)).collect { case c: Map[_, _] => map(c) }
    val names, roles = mutable.Map.empty[String, String]
    for (column <- columns; name <- text(column.getOrElse("name", null))) {
      names.put(name.toLowerCase, name)
        .foreach(one => wrong(say("same_column", "one" -> one, "other" -> name)))
      val role = column.getOrElse("role", null)
      if (role == "label" || role == "weight")
        roles.put(role.toString, name).foreach { one =>
          wrong(say("same_role", "role" -> role, "one" -> one, "other" -> name))
        }
    }
    val keyed =
      columns.exists(c => c.get("primaryKey").contains(true) || c.get("role").contains("key"))
    if (columns.nonEmpty && !keyed) wrong(say("no_key"))
    found ++=
      crossed(map(table.getOrElse("quarantine", null)), "leastRows", "mostRows", "quarantine")
    found.toSeq
  }

  def ofColumn(column: Map[String, Any]): Seq[Mistake] =
    text(column.getOrElse("physicalType", null)).map(_.trim.toLowerCase)
      .filter(Contract.sparkType(_).isRight).toSeq.flatMap(of(column, _))

  private def of(column: Map[String, Any], physical: String): Seq[Mistake] = {
    val kind = Contract.family(physical)
    val logical = Contract.Logical(kind)
    val options = map(column.getOrElse(Options, null))
    val found = mutable.Buffer.empty[Mistake]
    def wrong(said: String) = found += Vector.empty -> said
    for (other <- column.get("logicalType") if other != null && other != logical)
      wrong(say("logical_type", "type" -> physical, "logical" -> logical, "given" -> other))
    if (text(column.getOrElse("name", null)).exists(_.startsWith("_tfspark")))
      wrong(say("own_name"))
    val role = column.getOrElse("role", null)
    if (column.get("primaryKey").contains(true) && (role == "label" || role == "weight"))
      wrong(say("key_label", "role" -> role))
    found ++= misplaced(physical, kind, options)
    val bounds = mutable.LinkedHashMap.empty[String, Any]
    for (name <- Lows ++ Highs; value <- present(options, name) if Ordered(logical))
      OwnValues.own(value, physical) match {
        case Right(number: Double) if number.isNaN || number.isInfinite =>
          found += Vector(Options, name) ->
            say("no_bound", "value" -> OwnValues.spelled(value))
        case Right(made) => bounds(name) = made
        case Left(said) => found += Vector(Options, name) -> said
      }
    for (low <- Lows; high <- Highs; one <- bounds.get(low); other <- bounds.get(high)) {
      val open = low != "minimum" || high != "maximum"
      val order = compare(one, other)
      if (order > 0 || (open && order == 0)) {
        val said = Seq(low, high).map(n => s"$n ${OwnValues.spelled(options(n))}")
        found += Vector(Options, low) -> say("crossed", "one" -> said.head, "other" -> said.last)
      }
    }
    found ++= crossed(options, "minLength", "maxLength", Options)
    found ++= crossed(options, "minItems", "maxItems", Options)
    for (pattern <- present(options, "pattern").flatMap(text); said <- Patterns.refused(pattern))
      found += Vector(Options, "pattern") -> said
    found ++= values(physical, column.getOrElse("validValues", null), options, bounds.toMap)
    found ++= tensor(physical, map(column.getOrElse("tensor", null)))
    found.toSeq
  }

  private def misplaced(physical: String, kind: String, options: Map[String, Any]) = {
    val found = mutable.Buffer.empty[Mistake]
    val logical = Contract.Logical(kind)
    def check(text: String, fits: Boolean, names: String*) =
      if (!fits && names.exists(present(options, _).isDefined))
        found += Vector.empty -> say(text, "type" -> physical)
    check("no_number", Ordered(logical), Lows ++ Highs: _*)
    check("no_string", kind == "string", "pattern", "minLength", "maxLength")
    check("no_items", kind == "array", "minItems", "maxItems")
    check("no_multiple", logical == "integer", "multipleOf")
    val time = kind == "date" || kind == "timestamp"
    check("no_format", time, "format")
    for (
      form <- present(options, "format") if time &&
        DateFormat.rewriting(form.toString, kind).isEmpty
    )
      found += Vector(Options, "format") -> say("no_date_format", "format" -> form)
    found.toSeq
  }

  private def crossed(options: Map[String, Any], low: String, high: String, part: String) =
    (options.get(low), options.get(high)) match {
      case (Some(least: Long), Some(most: Long)) if least > most && most >= 0 =>
        Seq(Vector(part, low) -> say("crossed", "one" -> s"$low $least", "other" -> s"$high $most"))
      case _ => Nil
    }

  private def values(
      physical: String,
      values: Any,
      options: Map[String, Any],
      bounds: Map[String, Any]
  ): Seq[Mistake] = {
    val none = values match {
      case Seq() => Seq(Vector("validValues") -> say("no_values"))
      case _ => Nil
    }
    if (values != null && Contract.family(physical) == "array")
      return none :+ (Vector("validValues") -> say("no_list_values", "type" -> physical))
    none ++ list(values).zipWithIndex.flatMap {
      case (_: Map[_, _] | _: Seq[_], _) => Nil
      case (value, i) =>
        val at = Vector[Any]("validValues", i)
        OwnValues.own(value, physical) match {
          case Left(said) => Seq(at -> said)
          case Right(made) => broken(made, options, bounds).map { name =>
              val bound = OwnValues.spelled(options(name))
              val shown = OwnValues.spelled(value)
              at -> say("outside", "value" -> shown, "name" -> name, "bound" -> bound)
            }
        }
    }
  }

  private def broken(made: Any, options: Map[String, Any], bounds: Map[String, Any]) = {
    def order(name: String) = bounds.get(name).map(compare(made, _))
    val length = made match {
      case text: String => Some(text.codePointCount(0, text.length).toLong)
      case _ => None
    }
    def limit(name: String) = options.get(name).collect { case n: Long => n }
    Seq(
      "minimum" -> order("minimum").exists(_ < 0),
      "exclusiveMinimum" -> order("exclusiveMinimum").exists(_ <= 0),
      "maximum" -> order("maximum").exists(_ > 0),
      "exclusiveMaximum" -> order("exclusiveMaximum").exists(_ >= 0),
      "minLength" -> length.exists(n => limit("minLength").exists(n < _)),
      "maxLength" -> length.exists(n => limit("maxLength").exists(n > _))
    ).collect { case (name, true) => name }
  }

  private def tensor(physical: String, tensor: Map[String, Any]): Seq[Mistake] = {
    val found = mutable.Buffer.empty[Mistake]
    val (leaf, depth) = Contract.element(physical)
    val (kind, outer) = (Contract.family(leaf), Contract.family(physical))
    val usual = Dtypes.getOrElse(kind, "int64")
    val named = present(tensor, "dtype").map(_.toString)
    if (named.contains("uint8") && outer != "binary")
      found += Vector.empty -> say("no_pixels", "kind" -> outer)
    else
      for (dtype <- named if kind != "binary") {
        val known = if (kind == "date" || kind == "timestamp") Seq("int64") else Wider(usual)
        if (!known.contains(dtype))
          found += Vector("tensor", "dtype") ->
            say("no_dtype", "type" -> physical, "known" -> known.mkString(", "))
      }
    if (present(tensor, "padValue").isDefined && depth == 0)
      found += Vector.empty -> say("no_array", "kind" -> outer)
    val dtype = named.getOrElse(usual)
    for (shape <- present(tensor, "shape").collect { case sizes: Seq[_] => sizes })
      if (shape.forall(n => n == null || n.isInstanceOf[Long])) {
        val sizes = shape.map(n => Option(n).map(_.asInstanceOf[Long]))
        val fits =
          if (kind == "binary" && dtype != "string") true
          else if (depth == 0) sizes.forall(_.contains(1L))
          else sizes.size == depth || depth == 1 && sizes.size > 1 && !sizes.contains(None)
        if (sizes.flatten.exists(_ < 1)) found += Vector("tensor", "shape") -> say("bad_shape")
        else if (!fits)
          found += Vector("tensor", "shape") ->
            say("no_shape", "type" -> physical, "depth" -> depth)
      }
    for (name <- Seq("nullValue", "padValue"); value <- present(tensor, name))
      if (!value.isInstanceOf[Map[_, _]] && !value.isInstanceOf[Seq[_]]) {
        val fits = OwnValues.own(value, TypeOf.getOrElse(dtype, "string")).exists {
          case number: Long if dtype == "uint8" => number >= 0 && number <= 255
          case _ => true
        }
        if (!fits)
          found += Vector("tensor", name) ->
            say("no_own_value", "value" -> OwnValues.spelled(value), "type" -> dtype)
      }
    found.toSeq
  }

  private def compare(one: Any, other: Any): Int =
    one.asInstanceOf[Comparable[Any]].compareTo(other)

  private def present(options: Map[String, Any], name: String) =
    options.get(name).filter(_ != null)

  private def text(value: Any) = Option(value).collect { case text: String => text }

  private def map(value: Any): Map[String, Any] = value match {
    case found: Map[_, _] => found.asInstanceOf[Map[String, Any]]
    case _ => Map.empty
  }

  private def list(value: Any): Seq[Any] = value match {
    case found: Seq[_] => found
    case _ => Nil
  }
}
