package tfspark.tfrecord

import org.apache.hadoop.conf.Configuration
import org.apache.spark.TaskContext
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.classic.SparkSession
import org.apache.spark.sql.{DataFrame, SaveMode}
import org.apache.spark.util.SerializableConfiguration
import tfspark.TfsparkException

/** A DataFrame to a folder, by one commit. */
private[tfrecord] object Save {

  /** @throws tfspark.TfsparkException
    *   the folder holds data and the mode is ErrorIfExists, or it holds other columns; a column or
    *   a value that no Example holds; a file cannot be written. In each case the folder is as it
    *   was
    */
  def apply(rows: DataFrame, options: Options, mode: SaveMode): Unit = {
    val conf = TFRecordSource.conf
    val vectors = rows.schema.exists(field => Vectors.is(field.dataType))
    val df = if (vectors) rows.select(Vectors.plain(rows.schema): _*) else rows
    if (mode != SaveMode.Ignore || !Commit.holdsData(options.path, conf))
      run(df, options, folderMode(mode, options), conf)
  }

  private def folderMode(mode: SaveMode, options: Options): Mode.Value = mode match {
    case SaveMode.Append => if (options.mustBeNew) Mode.New else Mode.Append
    case SaveMode.Overwrite =>
      if (options.dynamic && options.partitionBy.nonEmpty) Mode.Partitions else Mode.Overwrite
    case _ => Mode.New
  }

  private def run(df: DataFrame, options: Options, mode: Mode.Value, conf: Configuration): Unit = {
    val schema = df.schema
    val (records, by) = Parts.split(SparkTypes.toArrow(schema), options.partitionBy)
    val layout = Layout.of(records, options.narrow, options.recordType)
    val cut = Cut(options.written, options.fileBytes, options.fileRows)
    val commit = Commit.begin(options.path, layout, by, mode, conf)
    var done = false
    try {
      val rows = org.apache.spark.sql.tfspark.Frames.rows(df)
      val context = SparkSession.active.sparkContext
      val shared = context.broadcast(new SerializableConfiguration(conf))
      val plan = commit.plan // and not the commit, which stays here
      val write = (task: TaskContext, of: Iterator[InternalRow]) => {
        val attempt = s"attempt-${task.taskAttemptId()}"
        Parts.write(plan, schema, of, cut, task.partitionId(), attempt, shared.value.value)
      }
      // Of each task the files of one attempt: the one whose result Spark took.
      commit.commit(own(context.runJob(rows, write)).toSeq.flatten)
      done = true
    } finally if (!done) commit.abort()
  }

  /** Spark's errors as the ones that the tasks raised. */
  private def own[T](job: => T): T =
    try job
    catch {
      case error: Exception =>
        val causes = Iterator.iterate[Throwable](error)(_.getCause).takeWhile(_ != null)
        throw causes.collectFirst { case ours: TfsparkException => ours }.getOrElse(error)
    }
}
