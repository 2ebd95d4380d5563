package tfspark.shared

import scala.util.matching.Regex

/** Secrets out of what people and logs see, by the rules of `tfspark/mask.py`. */
private[tfspark] object Mask {
  private val Hidden = "***"

  /** In the name of a setting or an option; Spark's own rule too. */
  val Secret: String = s"(?i)${Shared.text("secret")}"
  private val secret = Secret.r.unanchored
  private val texts = Shared.texts("secrets in texts").map(pattern => s"(?i)$pattern".r)
  private val shown = s"(?i)${Shared.text("shown options")}".r

  /** Settings that hold options of others' choice: what is not known to be harmless is hidden. */
  val Free: Set[String] = Shared.texts("free settings").toSet

  /** A text with `***` for what looks like a secret in it. */
  def text(text: String): String = texts.foldLeft(text) { (found, pattern) =>
    pattern.replaceAllIn(found, one => Regex.quoteReplacement(one.group(1) + Hidden))
  }

  /** A plain value without the secrets in it.
    *
    * @param key
    *   its name
    * @param free
    *   whether anybody chose the names in it, as of options
    */
  def value(value: Any, key: String = "", free: Boolean = false): Any = value match {
    case map: Map[_, _] =>
      map.map { case (name, inner) => name -> this.value(inner, name.toString, free) }
    case list: Seq[_] => list.map(this.value(_, key, free))
    case null | "" | false | 0L | 0 | 0.0 => value
    case _ if secret.matches(key) || (free && !shown.matches(key)) => Hidden
    case text: String => this.text(text)
    case other => other
  }
}
