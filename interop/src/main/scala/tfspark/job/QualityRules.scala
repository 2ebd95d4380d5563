package tfspark.job

import tfspark.job.Hint.hinted
import tfspark.job.Standard.{Made, Path}
import tfspark.shared.Shared.say

/** The standard's library of quality rules: `tfspark/contracts/quality.py`. */
private[tfspark] trait QualityRules {
  private val Others = Set[Any]("text", "sql", "custom")

  protected def known(value: Map[_, _], here: Path, level: String): Made
  protected def fault(here: Path, said: String): Unit
  protected def move(here: Path, origin: Path): Unit
  def origin(path: Path): Path

  /** `rowCount`, which the limits of a day hold. */
  protected def ofTable(made: Made, here: Path): Unit =
    for ((at, rule) <- rules(made, here))
      metric(rule, onTable = true).flatMap(_ => rowCount(rule)) match {
        case Left(said) => fault(at, said)
        case Right((least, most)) =>
          val limits = made.getOrElse("quarantine", null) match {
            case null => Some(Map.empty[String, Any])
            case limits: Map[_, _] => Some(limits.asInstanceOf[Map[String, Any]])
            case _ => None
          }
          val rows = Seq("leastRows" -> least, "mostRows" -> most)
            .collect { case (name, Some(rows)) => name -> rows }
          for (limits <- limits) made("quarantine") = limits ++ rows
          for ((name, _) <- rows) move(here :+ "quarantine" :+ name, origin(at))
      }

  /** Rules that no row may break: `required`, `unique`, `validValues`, `pattern`. */
  protected def ofColumn(made: Made, options: Made, here: Path): Unit =
    for ((at, rule) <- rules(made, here))
      metric(rule, onTable = false) match {
        case Left(said) => fault(at, said)
        case Right(name) if !noneMay(rule) => fault(at, say("not_each_row", "metric" -> name))
        case Right("duplicateValues") => made("unique") = true
        case Right("invalidValues") => invalid(made, options, arguments(rule), at, here)
        case Right(name) =>
          made("required") = true
          if (name == "missingValues")
            for (values <- arguments(rule).get("missingValues").collect { case v: Seq[_] => v })
              // An empty field is null, but for text of typed tables.
              for (value <- values)
                if (value != null && (value != "" || made.get("physicalType").contains("string")))
                  fault(at, say("not_missing", "value" -> OwnValues.spelled(value)))
      }

  private def invalid(
      made: Made,
      options: Made,
      arguments: Map[String, Any],
      at: Path,
      here: Path
  ): Unit =
    for ((name, value) <- arguments) {
      val onColumn = name == "validValues"
      val target = if (onColumn) made else options
      val place = at :+ "arguments" :+ name
      if (!onColumn && name != "pattern") fault(place, say("not_checked", "name" -> name))
      else if (target.get(name).exists(_ != null))
        fault(place, say("twice", "one" -> "quality", "other" -> name))
      else {
        target(name) = value
        move(if (onColumn) here :+ name else here :+ "logicalTypeOptions" :+ name, origin(place))
      }
    }

  private def arguments(rule: Made): Map[String, Any] =
    rule.get("arguments").collect { case about: Map[_, _] =>
      about.asInstanceOf[Map[String, Any]]
    }.getOrElse(Map.empty)

  /** Of the library; those that other engines check, or people, change nothing. */
  private def rules(made: Made, here: Path): Seq[(Path, Made)] = {
    val listed = made.remove("quality").collect { case all: Seq[_] => all }.getOrElse(Nil)
    listed.zipWithIndex.collect { case (rule: Map[_, _], i) =>
      (here :+ "quality" :+ i, rule.asInstanceOf[Map[String, Any]])
    }.collect {
      case (at, rule)
          if !rule.get("type").exists(Others) &&
            Seq("metric", "rule").exists(rule.get(_).exists(_ != null)) =>
        (at, known(rule, at, "quality"))
    }
  }

  private def metric(rule: Made, onTable: Boolean): Either[String, String] = {
    val said = rule.get("metric").filter(_ != null).orElse(rule.get("rule")).orNull
    Odcs.metrics.get(String.valueOf(said)) match {
      case None =>
        val text = say("no_metric", "metric" -> OwnValues.spelled(said))
        Left(hinted(text, said, Odcs.metrics.keys))
      case Some(name) if (name == "rowCount") != onTable =>
        Left(say("metric_place", "metric" -> said))
      case Some(name) => Right(name)
    }
  }

  private def asked(rule: Made): Seq[(String, Any)] =
    Odcs.must.flatMap(name => rule.get(name).filter(_ != null).map(name -> _))

  private def noneMay(rule: Made): Boolean = asked(rule) match {
    case Seq() => true
    case Seq(("mustBe" | "mustBeLessOrEqualTo", 0L | 0.0)) => true
    case Seq(("mustBeLessThan", 1L | 1.0)) => !rule.get("unit").contains("percent")
    case _ => false
  }

  /** The least and the largest number of rows. */
  private def rowCount(rule: Made): Either[String, (Option[Long], Option[Long])] =
    asked(rule) match {
      case _ if rule.get("unit").contains("percent") => Left(say("no_row_count"))
      case Seq(("mustBeBetween", Seq(least: Long, most: Long))) => Right((Some(least), Some(most)))
      case Seq(("mustBe", n: Long)) => Right((Some(n), Some(n)))
      case Seq(("mustBeGreaterThan", n: Long)) => Right((Some(n + 1), None))
      case Seq(("mustBeGreaterOrEqualTo", n: Long)) => Right((Some(n), None))
      case Seq(("mustBeLessThan", n: Long)) => Right((None, Some(n - 1)))
      case Seq(("mustBeLessOrEqualTo", n: Long)) => Right((None, Some(n)))
      case _ => Left(say("no_row_count"))
    }
}
