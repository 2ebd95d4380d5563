package tfspark

import java.time.Instant
import java.time.temporal.ChronoUnit
import java.util.{List => JavaList, Map => JavaMap}
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.tfspark.Frames
import scala.jdk.CollectionConverters._

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
  ): DataFrame = {
    val mapping = inputs.asScala.map { case (name, columns) => name -> columns.asScala.toSeq }
    Scoring.score(
      df,
      model,
      mapping.toMap,
      Option(keep).map(_.asScala.toSeq),
      Option(signature),
      reasons
    )
  }

  /** Score every row once into Parquet files: see `TableFiles.write`.
    *
    * @param about
    *   name → text, or microseconds since the epoch
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
      token: String
  ): String = {
    val spark = Frames.session(df)
    val found = Scoring.resolve(spark, model, Option(signature))
    val mapping = inputs.asScala.map { case (name, columns) => name -> columns.asScala.toSeq }
    val caseSensitive = spark.sessionState.conf.caseSensitiveAnalysis
    val bound = Binding.bind(found, df.schema, mapping.toMap, caseSensitive)
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
}
