package tfspark.compat

import java.time.LocalDate
import org.apache.hadoop.fs.Path
import org.apache.spark.sql.SaveMode
import org.apache.spark.sql.catalyst.expressions.{AttributeReference, EqualTo, Literal}
import org.apache.spark.sql.classic.SparkSession
import org.apache.spark.sql.delta.actions.{AddFile, Metadata}
import org.apache.spark.sql.delta.{DeltaLog, DeltaOperations}
import org.apache.spark.sql.types.{DateType, StructType}

/** A file of a day, in the day's folder, with Delta's statistics of it. */
private[tfspark] final case class DayFile(name: String, bytes: Long, stats: String)

/** What a table asks of those who write to it. */
private[tfspark] final case class DeltaTerms(
    schema: StructType,
    partitionColumns: Seq[String],
    configuration: Map[String, String],
    features: Set[String]
)

/** A Delta table in a folder, by classes that Delta keeps to itself: its public API does not tell a
  * table's features, and takes no files that lie there already.
  */
private[tfspark] final class DeltaFolder(spark: SparkSession, path: Path) {
  private val log = DeltaLog.forTable(spark, path)

  def terms: DeltaTerms = {
    val snapshot = log.update()
    val (metadata, protocol) = (snapshot.metadata, snapshot.protocol)
    DeltaTerms(
      metadata.schema,
      metadata.partitionColumns,
      metadata.configuration,
      protocol.writerFeatureNames ++ protocol.readerFeatureNames
    )
  }

  /** The paths of the files that count. */
  def files: Seq[String] = log.update().allFiles.collect().toSeq.map(_.path)

  /** Replace a day in one commit; the table is made when it is not there.
    *
    * @param check
    *   of the schema that the table has
    * @param tags
    *   recorded in the commit
    * @return
    *   the version of the table that the commit made
    * @throws java.util.ConcurrentModificationException
    *   others wrote to the day meanwhile
    */
  def replaceDay(
      day: LocalDate,
      files: Seq[DayFile],
      schema: StructType,
      check: StructType => Unit,
      userMetadata: String,
      tags: Map[String, String]
  ): Long = {
    val operation = DeltaOperations.Write(
      SaveMode.Overwrite,
      partitionBy = Some(Seq("day")),
      predicate = Some(s"day = DATE'$day'"),
      userMetadata = Some(userMetadata)
    )
    val now = System.currentTimeMillis()
    val added = files.map { file =>
      AddFile(
        s"day=$day/${file.name}",
        Map("day" -> day.toString),
        file.bytes,
        now,
        dataChange = true,
        stats = file.stats
      )
    }
    log.withNewTransaction(None, None) { txn =>
      val old =
        if (txn.readVersion < 0) {
          txn.updateMetadata(Metadata(schemaString = schema.json, partitionColumns = Seq("day")))
          Nil
        } else {
          check(txn.metadata.schema)
          val isDay = EqualTo(AttributeReference("day", DateType)(), Literal(day))
          txn.filterFiles(Seq(isDay)).map(_.remove)
        }
      txn.commit(added ++ old, operation, tags)
    }
  }
}
