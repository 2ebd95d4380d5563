package tfspark.job

import tfspark.shared.Shared
import tfspark.shared.Shared.say

/** Words of the Open Data Contract Standard: `tfspark/contracts/odcs.py`. */
private[tfspark] object Odcs {
  private lazy val words = Schema.plain(Shared.read("shared.json").get("odcs"))
    .asInstanceOf[Map[String, Any]]

  lazy val types: Map[String, String] = texts("types")
  lazy val logicalTypes: Map[String, String] = texts("logical_types")
  lazy val tolerated: Seq[String] = list(words("tolerated"))
  lazy val patterns: Map[String, String] = texts("patterns")
  lazy val metrics: Map[String, String] = texts("metrics")
  lazy val must: Seq[String] = list(words("must"))

  /** `format` of a number → the type, least and largest value. */
  lazy val numbers: Map[String, (String, Option[Long], Option[Long])] =
    map(words("numbers")).map { case (name, about) =>
      val parts = about.asInstanceOf[Seq[Any]]
      def number(place: Int) = Option(parts(place)).map(_.asInstanceOf[Long])
      name -> ((parts.head.toString, number(1), number(2)))
    }

  def used(level: String): Seq[String] = list(map(words("used"))(level))

  def kept(level: String): Seq[String] =
    map(words("kept")).get(level).fold(Seq.empty[String])(list)

  private def map(value: Any) = value.asInstanceOf[Map[String, Any]]
  private def list(value: Any) = value.asInstanceOf[Seq[Any]].map(_.toString)
  private def texts(name: String) = map(words(name)).map { case (k, v) => k -> v.toString }
}

/** The known name that is nearest to one that is not known. */
private[tfspark] object Hint {

  /** The text, and that name, if one is near. */
  def hinted(said: String, name: Any, known: Iterable[String]): String = name match {
    case text: String if known.nonEmpty =>
      val lower = text.toLowerCase
      val (apart, near) = known.map(n => (distance(lower, n.toLowerCase), n)).minBy(_._1)
      if (apart > 0 && apart <= math.min(3, 1 + text.length / 5))
        say("did_you_mean", "said" -> said, "name" -> near)
      else said
    case _ => said
  }

  /** How many characters to put in, take out or change (Levenshtein). */
  def distance(one: String, other: String): Int = {
    val row = Array.range(0, other.length + 1)
    for (i <- 1 to one.length) {
      var above = row(0)
      row(0) = i
      for (j <- 1 to other.length) {
        val changed = above + (if (one(i - 1) == other(j - 1)) 0 else 1)
        above = row(j)
        row(j) = math.min(math.min(row(j), row(j - 1)) + 1, changed)
      }
    }
    row.last
  }
}
