package tfspark.job

import scala.collection.immutable.VectorMap
import scala.collection.mutable
import tfspark.job.Hint.hinted
import tfspark.job.Standard._
import tfspark.shared.Shared.say

/** A file of the Open Data Contract Standard in the words of the contract's schema, with values as
  * their author wrote them: `tfspark/contracts/standard.py`.
  *
  * @param texts
  *   what the file says for values that YAML does not read as text
  */
private[tfspark] final class Standard(texts: Map[Path, String]) extends QualityRules {
  private val found = mutable.Buffer.empty[(Path, String)]
  private val moved = mutable.Map.empty[Path, Path]

  private var isFound = true

  /** Whether the table is: nothing else is worth saying where it is not. */
  def tableFound: Boolean = isFound

  /** What cannot be honoured. */
  def faults: Seq[(Path, String)] = found.toSeq

  /** Where in the file a path of the result comes from. */
  def origin(path: Path): Path =
    path.inits.filter(_.nonEmpty)
      .collectFirst { case start if moved.contains(start) => moved(start) ++ path.drop(start.size) }
      .getOrElse(path)

  def contract(value: Any, wanted: Option[String]): Any = value match {
    case file: Map[_, _] =>
      val made = known(file, Vector.empty, "contract")
      for (text <- texts.get(Vector("version")) if made("version") != null) made("version") = text
      for (about <- made.get("description").collect { case about: Map[_, _] => about })
        made("description") = about.filter(_._2.isInstanceOf[String])
      for (tables <- made.get("schema").collect { case tables: Seq[_] => tables })
        made("schema") = one(tables, wanted)
      VectorMap.from(made)
    case other => other
  }

  private def one(tables: Seq[Any], wanted: Option[String]): Seq[Any] = {
    val at: Path = Vector("schema")
    def name(table: Any) = table match {
      case table: Map[_, _] => Some(table.asInstanceOf[Map[String, Any]].getOrElse("name", null))
      case _ => None
    }
    val names = tables.flatMap(name)
    val place = wanted.map(wanted => tables.indexWhere(name(_).contains(wanted))).getOrElse(0)
    val there = "names" -> names.mkString(", ")
    if (place < 0 || (wanted.isEmpty && names.size > 1)) {
      isFound = false
      val name = "name" -> wanted.orNull
      fault(at, if (place < 0) say("no_table", name, there) else say("many_tables", there))
      Nil
    } else {
      move(at :+ 0, at :+ place)
      tables.slice(place, place + 1).map(table(_, at :+ 0))
    }
  }

  private def table(value: Any, here: Path): Any = value match {
    case table: Map[_, _] =>
      val made = known(table, here, "table")
      custom(made, here, Seq("quarantine"))
      part(made, here, "quarantine", "quarantine")
      ofTable(made, here)
      for (columns <- made.get("properties").collect { case columns: Seq[_] => columns })
        made("properties") = columns.zipWithIndex.map { case (c, i) =>
          property(c, here :+ "properties" :+ i)
        }
      VectorMap.from(made)
    case other => other
  }

  private def part(made: Made, here: Path, name: String, level: String): Unit =
    made.get(name).foreach {
      case inner: Map[_, _] => made(name) = VectorMap.from(known(inner, here :+ name, level))
      case _ =>
    }

  private def property(value: Any, here: Path): Any = value match {
    case column: Map[_, _] =>
      val made = known(column, here, "property")
      custom(made, here, Seq("role", "tensor", "validValues"))
      part(made, here, "logicalTypeOptions", "options")
      part(made, here, "tensor", "tensor")
      for (listed <- made.remove("enum") if listed != null) enumeration(made, listed, here)
      made.getOrElse("logicalTypeOptions", null) match {
        case null => options(made, mutable.LinkedHashMap.empty[String, Any], here)
        case all: Map[_, _] =>
          options(made, mutable.LinkedHashMap.from(all.asInstanceOf[Map[String, Any]]), here)
        case _ =>
      }
      VectorMap.from(made)
    case other => other
  }

  private def options(made: Made, options: Made, here: Path): Unit = {
    val room = named(made, options, here)
    ofColumn(made, options, here)
    rewritten(made, options, room, here)
    asWritten(made, options, here)
    if (options.nonEmpty || made.get("logicalTypeOptions").exists(_ != null))
      made("logicalTypeOptions") = VectorMap.from(options)
  }

  /** Give the column its `physicalType`; how many characters it has room for. */
  private def named(made: Made, options: Made, here: Path): Option[Long] = {
    val physical = made.getOrElse("physicalType", null)
    val logical = made.getOrElse("logicalType", null)
    if (physical == null && logical.isInstanceOf[String])
      move(here :+ "physicalType", origin(here :+ "logicalType"))
    val items = made.remove("items").orNull
    typed(physical, logical, options.getOrElse("format", null), items) match {
      case Left(said) =>
        fault(here :+ "physicalType", said)
        made("physicalType") = String.valueOf(if (physical == null) logical else physical)
        None
      case Right(None) => None
      case Right(Some((kind, room))) =>
        made("physicalType") = kind
        if (Odcs.tolerated.contains(s"${Contract.Logical(Contract.family(kind))} $logical"))
          made -= "logicalType"
        room
    }
  }

  private def typed(
      physical: Any,
      logical: Any,
      form: Any,
      items: Any
  ): Either[String, Option[(String, Option[Long])]] = {
    val said = physical match {
      case text: String => text.trim.toLowerCase
      case _ => ""
    }
    if (said == "array" || said == "list" || (physical == null && logical == "array"))
      items match {
        case about: Map[_, _] =>
          val of = about.asInstanceOf[Map[String, Any]]
          def part(name: String) = of.getOrElse(name, null)
          def isSet(value: Any) = value match {
            case null | false | "" => false
            case inner: Iterable[_] => inner.nonEmpty
            case _ => true
          }
          val more = Seq("enum", "logicalTypeOptions", "quality").exists(n => isSet(part(n)))
          typed(part("physicalType"), part("logicalType"), null, part("items")).flatMap {
            case Some((inner, None)) if !more => Right(Some((s"array<$inner>", None)))
            case _ => Left(say("no_item_rules"))
          }
        case _ => Left(say("no_item_type"))
      }
    else
      (physical, logical) match {
        case (text: String, _) => Contract.canonical(text).map(Some(_))
        case (null, text: String) =>
          Odcs.logicalTypes.get(text) match {
            case None =>
              val known = Odcs.logicalTypes.keys.toSeq :+ "array"
              Left(hinted(say("not_taken", "type" -> text), text, known))
            case Some(kind) =>
              val byFormat = Option(form).map(_.toString).flatMap(Odcs.numbers.get).map(_._1)
              val number = text == "integer" || text == "number"
              Right(Some((byFormat.filter(_ => number).getOrElse(kind), None)))
          }
        case _ => Right(None)
      }
  }

  private def rewritten(made: Made, options: Made, room: Option[Long], here: Path): Unit = {
    val at = here :+ "logicalTypeOptions"
    val kind =
      made.get("physicalType").collect { case t: String => Contract.family(t) }.getOrElse("")
    for (name <- Seq("Minimum", "Maximum")) {
      val (exclusive, bound) = (s"exclusive$name", name.toLowerCase)
      options.get(exclusive) match {
        case Some(flag: Boolean) => // of v3.0
          options -= exclusive
          if (flag && options.contains(bound)) {
            options(exclusive) = options.remove(bound).orNull
            move(at :+ exclusive, origin(at :+ bound))
          }
        case _ =>
      }
    }
    if (options.remove("uniqueItems").contains(true))
      fault(at :+ "uniqueItems", say("not_checked", "name" -> "uniqueItems"))
    for (zone <- options.remove("defaultTimezone") if zone != null && !Utc.contains(zone))
      fault(at :+ "defaultTimezone", say("not_utc"))
    for (most <- room) options.getOrElse("maxLength", most) match {
      case length: Long => options("maxLength") = math.min(length, most)
      case _ =>
    }
    val logical = if (kind.isEmpty) "" else Contract.Logical(kind)
    for (form <- options.get("format") if form != null)
      if (logical == "integer" || logical == "number") {
        options -= "format"
        number(options, kind, form, at)
      } else if (kind == "string") {
        options -= "format"
        text(options, form, at)
      }
  }

  private def number(options: Made, kind: String, form: Any, at: Path): Unit =
    Odcs.numbers.get(form.toString) match {
      case None =>
        val said = say("no_such_format", "format" -> form)
        fault(at :+ "format", hinted(said, form, Odcs.numbers.keys))
      case Some((base, Some(least), Some(most))) if kind != base || least >= 0 =>
        val room = BigInt(2).pow(OwnValues.Bits.getOrElse(kind, 64) - 1)
        if (BigInt(most) < room) {
          if (!options.contains("minimum")) options("minimum") = least
          if (!options.contains("maximum")) options("maximum") = most
        } else if (least == 0 && !options.contains("minimum")) options("minimum") = 0L
      case _ =>
    }

  private def text(options: Made, form: Any, at: Path): Unit =
    Odcs.patterns.get(form.toString) match {
      case None =>
        val said = say("no_such_format", "format" -> form)
        fault(at :+ "format", hinted(said, form, Odcs.patterns.keys))
      case Some("") =>
      case Some(_) if options.get("pattern").exists(_ != null) =>
        fault(at :+ "format", say("twice", "one" -> "format", "other" -> "pattern"))
      case Some(pattern) => options("pattern") = pattern
    }

  private def enumeration(made: Made, listed: Any, here: Path): Unit = {
    val at = here :+ "enum"
    if (made.get("validValues").exists(_ != null))
      fault(at, say("twice", "one" -> "enum", "other" -> "validValues"))
    listed match {
      case entries: Seq[_] =>
        move(here :+ "validValues", origin(at))
        made("validValues") = entries.zipWithIndex.map {
          case (entry: Map[_, _], i) =>
            move(here :+ "validValues" :+ i, origin(at :+ i :+ "value"))
            entry.asInstanceOf[Map[String, Any]].getOrElse("value", null)
          case (entry, i) =>
            move(here :+ "validValues" :+ i, origin(at :+ i))
            entry
        }
      case _ => fault(at, say("list_type"))
    }
  }

  /** Additions of ours among the standard's `customProperties`. */
  private def custom(made: Made, here: Path, names: Seq[String]): Unit = {
    val listed = made.remove("customProperties").collect { case all: Seq[_] => all }.getOrElse(Nil)
    for ((entry: Map[_, _], i) <- listed.zipWithIndex) {
      val about = entry.asInstanceOf[Map[String, Any]]
      for (said <- about.get("property").map(String.valueOf) if said.startsWith("tfspark.")) {
        val name = said.stripPrefix("tfspark.")
        val at = here :+ "customProperties" :+ i
        if (!names.contains(name))
          fault(at :+ "property", hinted(say("extra_forbidden"), name, names))
        else if (made.get(name).exists(_ != null))
          fault(at, say("twice", "one" -> said, "other" -> name))
        else {
          made(name) = about.getOrElse("value", null)
          move(here :+ name, origin(at :+ "value"))
        }
      }
    }
  }

  private def asWritten(made: Made, options: Made, here: Path): Unit =
    for (physical <- made.get("physicalType").collect { case text: String => text }) {
      val kind = Contract.family(physical)
      for (values <- made.get("validValues").collect { case values: Seq[_] => values })
        made("validValues") = values.zipWithIndex.map { case (value, i) =>
          val at = here :+ "validValues" :+ i
          if (value == null)
            fault(at, say("no_own_value", "value" -> "null", "type" -> physical))
          written(value, kind, at)
        }
      for (name <- Bounds; value <- options.get(name) if value != null)
        options(name) = written(value, kind, here :+ "logicalTypeOptions" :+ name)
      for (tensor <- made.get("tensor").collect { case tensor: Map[_, _] => tensor }) {
        val about = tensor.asInstanceOf[Map[String, Any]]
        val dtype = about.get("dtype").filter(_ != null)
        val leaf = Contract.family(Contract.element(physical)._1)
        val isText = dtype.contains("string") ||
          dtype.isEmpty && (leaf == "string" || leaf == "binary")
        val kind = if (isText) "string" else "double"
        made("tensor") = about.map {
          case (name @ ("nullValue" | "padValue"), value) =>
            name -> written(value, kind, here :+ "tensor" :+ name)
          case other => other
        }
      }
    }

  /** A value as its author wrote it, for a column of a kind of type. */
  private def written(value: Any, kind: String, here: Path): Any = {
    val text = texts.get(origin(here))
    (value, text) match {
      case (null, _) => value
      case (said: String, _) if kind == "boolean" || Texts(kind) => said
      case (_, _) if kind == "boolean" => value
      case (_, _) if Texts(kind) => text.getOrElse(value)
      case (said: String, _) if said.matches(OwnValues.Decimal) =>
        val whole = said.matches(OwnValues.Whole)
        number(if (whole) Schema.plainNumber(said) else said.toDouble, said, kind, here)
      case (_: Long | _: BigInt | _: Double, Some(said)) => number(value, said, kind, here)
      case _ => value
    }
  }

  private def number(value: Any, said: String, kind: String, here: Path): Any = {
    val odd = said.matches("[+-]?0[0-9_].*") ||
      !said.matches(OwnValues.Decimal + """|[+-]?\.(?i:inf|nan)""")
    lazy val exact = new java.math.BigDecimal(said)
    if (odd) {
      fault(here, say("odd_number", "text" -> said, "value" -> OwnValues.spelled(value)))
      value
    } else if (kind == "decimal" && said.matches(OwnValues.Decimal)) {
      val read = new java.math.BigDecimal(value.toString)
      if (read.compareTo(exact) == 0) value else said
    } else value
  }

  protected def known(value: Map[_, _], here: Path, level: String): Made = {
    val (used, kept) = (Odcs.used(level), Odcs.kept(level))
    val made = mutable.LinkedHashMap.empty[String, Any]
    for ((key, inner) <- value.asInstanceOf[Map[String, Any]]) {
      val name = if (used.contains(key) || kept.contains(key)) key else Schema.camel(key)
      if (used.contains(name)) {
        made(name) = inner
        if (name != key) move(here :+ name, origin(here) :+ key)
      } else if (!kept.contains(name))
        fault(here :+ key, hinted(say("extra_forbidden"), key, used ++ kept))
    }
    made
  }

  protected def fault(here: Path, said: String): Unit = found += origin(here) -> said: Unit

  protected def move(here: Path, origin: Path): Unit = moved(here) = origin
}

private[tfspark] object Standard {
  type Path = Vector[Any]
  type Made = mutable.LinkedHashMap[String, Any]
  private val Texts = Set("string", "binary", "date", "timestamp")
  private val Bounds =
    Seq("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf")
  private val Utc = Seq("UTC", "Etc/UTC", "GMT", "Z")
}
