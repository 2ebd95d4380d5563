package tfspark.shared

/** Names that are close to one that is not there: Python's difflib, for the same hints. */
private[tfspark] object Near {
  def said(name: String, known: Seq[String]): String = {
    val close = known
      .map(other => (ratio(other.toLowerCase, name.toLowerCase), other))
      .filter(_._1 >= 0.6)
      .sortBy { case (ratio, other) => (ratio, other.toLowerCase) }
      .reverse
      .take(3)
    meant(close.map(_._2))
  }

  /** As `said`, of names that were found. */
  def meant(names: Seq[String]): String =
    if (names.isEmpty) "" else s" (did you mean ${names.mkString(", ")}?)"

  private def ratio(a: String, b: String): Double =
    if (a.isEmpty && b.isEmpty) 1.0 else 2.0 * matches(a, b) / (a.length + b.length)

  /** Letters in the longest common part and, left and right of it, in the same again. */
  private def matches(a: String, b: String): Int = {
    var (bestA, bestB, best) = (0, 0, 0)
    for (i <- a.indices; j <- b.indices) {
      var length = 0
      while (i + length < a.length && j + length < b.length && a(i + length) == b(j + length))
        length += 1
      if (length > best) { bestA = i; bestB = j; best = length }
    }
    if (best == 0) 0
    else
      best + matches(a.take(bestA), b.take(bestB)) +
        matches(a.drop(bestA + best), b.drop(bestB + best))
  }
}
