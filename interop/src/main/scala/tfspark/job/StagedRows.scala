package tfspark.job

import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.Path
import org.apache.parquet.hadoop.ParquetFileReader
import org.apache.parquet.hadoop.util.HadoopInputFile
import scala.jdk.CollectionConverters._
import scala.util.Using
import scala.util.control.NonFatal
import tfspark.StorageError
import tfspark.storage.Storage

/** What lies in a staging folder, counted from the files themselves. */
private[tfspark] object StagedRows {

  /** 1 in a bad row, null in a good one: the footers of Parquet files count nulls. */
  val Bad = "_tfspark_bad"

  /** Rows of the Parquet files of a folder, and how many of them are bad.
    *
    * @throws StorageError
    *   a file cannot be read
    */
  def count(folder: String, conf: Configuration): (Long, Long) = {
    val files = new Storage(folder, conf).names().filter(_.endsWith(".parquet"))
    val counts = files.map(name => of(s"$folder/$name", conf))
    (counts.map(_._1).sum, counts.map(_._2).sum)
  }

  private def of(path: String, conf: Configuration): (Long, Long) =
    try
      Using.resource(ParquetFileReader.open(HadoopInputFile.fromPath(new Path(path), conf))) {
        reader =>
          val groups = reader.getFooter.getBlocks.asScala
          val bad = groups.map { group =>
            val flag = group.getColumns.asScala.find(_.getPath.toDotString == Bad).get
            group.getRowCount - flag.getStatistics.getNumNulls
          }
          (groups.map(_.getRowCount).sum, bad.sum)
      }
    catch {
      case NonFatal(error) =>
        throw new StorageError(
          s"$path: the rows of a staged file cannot be counted: ${error.getMessage}",
          error
        )
    }
}
