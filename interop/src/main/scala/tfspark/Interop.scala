package tfspark

import java.time.Instant
import java.time.temporal.ChronoUnit
import java.util.{List => JavaList, Map => JavaMap}
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.tfspark.Frames
import scala.jdk.CollectionConverters._
import tfspark.plans.Scoring
import tfspark.table.{Part, TableFiles}

/** For Python: `spark._jvm.tfspark.Interop.score(df._jdf, ...)`. */
object Interop {

  /** As `df.score`; with `reasons` as `df.scoreWithReasons`.
    *
    * @param keep
    *   null: all columns
    * @param signature
    *   null: the manifest's, else `serving_default`
    */
  def score(
      df: DataFrame,
      model: String,
      inputs: JavaMap[String, JavaList[String]],
      keep: JavaList[String],
      signature: String,
      reasons: Boolean
  ): DataFrame =
    Scoring.score(
      df,
      model,
      mapping(inputs),
      Option(keep).map(_.asScala.toSeq),
      Option(signature),
      reasons
    )

  /** For the plan `jvm` of Python's `score`: the kept columns and a struct of the outputs by number
    * (`o0`, `o1`...) and `error`, the reason why a row could not be scored.
    *
    * @param name
    *   of the struct
    */
  def scoreNumbered(
      df: DataFrame,
      model: String,
      inputs: JavaMap[String, JavaList[String]],
      keep: JavaList[String],
      signature: String,
      name: String
  ): DataFrame =
    Scoring.scoreNumbered(
      df,
      model,
      mapping(inputs),
      keep.asScala.toSeq,
      Option(signature),
      name
    )

  /** Score every row once into Parquet files: see `TableFiles.write`.
    *
    * @param about
    *   name → text, or microseconds since the epoch
    * @param renamed
    *   output of the model → name of its column, where it has another one
    * @return
    *   a JSON list of what the tasks wrote, as `Part` of the Python side
    */
  def scoreToFiles(
      df: DataFrame,
      model: String,
      inputs: JavaMap[String, JavaList[String]],
      signature: String,
      columns: JavaList[String],
      kept: JavaList[String],
      about: JavaMap[String, Object],
      folder: String,
      staging: String,
      token: String,
      renamed: JavaMap[String, String]
  ): String = {
    val spark = Frames.session(df)
    val found = Scoring.resolve(spark, model, Option(signature)).withOutputs(renamed.asScala.toMap)
    val bound = Scoring.bind(spark, found, df.schema, mapping(inputs))
    val alike = about.asScala.toSeq.map {
      case (name, micros: Number) => name -> Instant.EPOCH.plus(micros.longValue, ChronoUnit.MICROS)
      case (name, text) => name -> text.toString
    }
    TableFiles
      .write(
        df,
        found,
        bound,
        columns.asScala.toSeq,
        kept.asScala.toSeq,
        alike,
        folder,
        staging,
        token
      )
      .map(Part.write)
      .mkString("[", ", ", "]")
  }

  private def mapping(inputs: JavaMap[String, JavaList[String]]): Map[String, Seq[String]] =
    inputs.asScala.map { case (name, columns) => name -> columns.asScala.toSeq }.toMap
}
