package tfspark.job

import com.fasterxml.jackson.databind.ObjectMapper
import org.apache.spark.sql.classic.SparkSession
import org.apache.spark.sql.tfspark.Frames
import org.apache.spark.sql.types._
import scala.jdk.CollectionConverters._
import tfspark.compat.DeltaFolder
import tfspark.storage.Storage

/** Whether tasks may write a table's own files: `check_target` of
  * `tfspark/scoring/table/planner.py`.
  */
private[tfspark] object Target {
  private val Plain = """[^ ,;{}()\n\t=.`]+"""
  // Any other, deletion vectors too, asks more of a commit than to name files.
  private val Features = Set("appendOnly", "invariants", "timestampNtz")

  /** Why they may not; None if they may. */
  def why(spark: SparkSession, target: String, schema: StructType): Option[String] = {
    val odd = names(schema).find(!_.matches(Plain))
    if (!Tables.isPath(spark, target)) Some("the target is a table of the catalog")
    else if (odd.isDefined)
      odd.map(name => s"a column of the target has a name of special characters: $name")
    else if (schema.exists(_.metadata != Metadata.empty)) Some("columns carry metadata of Spark")
    else if (!Tables.isDelta(spark, target)) None
    else ofTable(spark, target, schema)
  }

  /** Whether a table has other columns, or takes no null somewhere. */
  def differs(there: StructType, schema: StructType): Boolean = {
    def fields(schema: StructType) = schema.map(f => f.name -> (f.dataType, f.nullable)).toMap
    fields(there) != fields(Frames.nullable(schema))
  }

  private def ofTable(spark: SparkSession, target: String, schema: StructType): Option[String] = {
    val table = new DeltaFolder(spark, Storage.pathOf(target)).terms
    val special = table.configuration.toSeq.collect {
      case (name, _) if name.startsWith("delta.constraints.") => name
      case (name @ "delta.appendOnly", "true") => name
      case (name @ "delta.columnMapping.mode", mode) if mode != "none" => name
    }
    val described = table.schema.filter(_.metadata != Metadata.empty).map { field =>
      val keys = new ObjectMapper().readTree(field.metadata.json).fieldNames.asScala
      s"${field.name}: ${keys.toSeq.sorted.mkString(", ")}"
    }
    val has = (table.features -- Features).toSeq.sorted ++ special.sorted ++ described
    if (table.partitionColumns != Seq("day"))
      Some("the target is not partitioned by day alone")
    else if (has.nonEmpty) Some(s"the target has ${has.mkString(", ")}")
    else if (differs(table.schema, schema)) Some("the target has columns that take no null")
    else None
  }

  /** The names of the fields, at every level. */
  private def names(kind: DataType): Seq[String] = kind match {
    case list: ArrayType => names(list.elementType)
    case map: MapType => names(map.keyType) ++ names(map.valueType)
    case struct: StructType => struct.flatMap(field => field.name +: names(field.dataType))
    case _ => Nil
  }
}
