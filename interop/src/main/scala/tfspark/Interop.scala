package tfspark

import java.util.{List => JavaList, Map => JavaMap}
import org.apache.spark.sql.DataFrame
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
}
