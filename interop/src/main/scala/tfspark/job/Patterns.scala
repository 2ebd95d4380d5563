package tfspark.job

import org.apache.hadoop.shaded.com.google.re2j.{Pattern, PatternSyntaxException}
import org.apache.spark.sql.expressions.UserDefinedFunction
import org.apache.spark.sql.functions.udf
import tfspark.shared.Shared.say

/** Patterns of a contract: RE2's syntax, which takes linear time whatever the value. */
private[tfspark] object Patterns {
  private val Escape = """\\.|\[:\^?\w+:\]""".r
  private val Class = """\[\^?\]?[^\]]*\]""".r

  /** What is wrong with a pattern; None: nothing. */
  def refused(pattern: String): Option[String] =
    if (inClass(pattern)) Some(say("class_in_class", "pattern" -> pattern))
    else
      try { Pattern.compile(anchored(pattern)); None }
      catch { case _: PatternSyntaxException => Some(say("no_regex", "pattern" -> pattern)) }

  /** Whether the whole of a text matches. */
  def matching(pattern: String): UserDefinedFunction = {
    val whole = anchored(pattern)
    lazy val compiled = Pattern.compile(whole)
    udf((text: String) => Option(text).map(compiled.matcher(_).find()))
  }

  private def anchored(pattern: String) = s"\\A(?:$pattern)\\z"

  /** Whether a class of characters is within another: RE2 reads the brackets as characters. */
  private def inClass(pattern: String): Boolean =
    Class.findAllIn(Escape.replaceAllIn(pattern, "x")).exists { found =>
      found.contains("&&") || found.tail.contains("[")
    }
}
