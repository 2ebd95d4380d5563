package tfspark.job

import java.nio.file.{Path, Paths}
import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.{Path => HadoopPath}
import org.apache.parquet.hadoop.ParquetFileReader
import org.apache.parquet.hadoop.util.HadoopInputFile
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.classic.SparkSession
import org.apache.spark.sql.execution.datasources.{HadoopFsRelation, LogicalRelation}
import org.apache.spark.sql.tfspark.Frames
import scala.jdk.CollectionConverters._
import scala.util.Using
import scala.util.control.NonFatal
import tfspark.ConfigError
import tfspark.shared.Shared.say
import tfspark.storage.Storage

/** Where nothing may be written: over what is read, or over others' files: `tfspark/targets.py`. */
private[tfspark] object Places {
  private val Glob = """[*?\[{]""".r
  private val Mapped = "col-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"

  /** Refuse a run that would destroy what it reads, or others' files.
    *
    * @throws ConfigError
    *   says what would be
    */
  def check(
      spark: SparkSession,
      target: String,
      quarantine: String,
      source: Source,
      day: String,
      model: String
  ): Unit = {
    val path = source.path.replace("{date}", day)
    def refuse(option: String) =
      throw new ConfigError(
        say("target_source", "target" -> path, "source" -> path, "option" -> option)
      )
    val read = source.format match {
      case "jdbc" => Nil
      case "table" =>
        if (Seq(target, quarantine).exists(_.equalsIgnoreCase(path))) refuse("output, --output")
        try roots(spark.table(path))
        catch { case NonFatal(_) => Nil } // reading it says so
      case _ => Seq(path)
    }
    val conf = spark.sparkContext.hadoopConfiguration
    for ((table, option) <- Seq(target -> "output, --output", quarantine -> "quarantine")) {
      val place = if (Tables.isPath(spark, table)) Some(table) else location(spark, table)
      place.foreach { place =>
        (read :+ model).foreach(refuseOverlap(place, _, option))
        if (!Tables.isThere(spark, table)) refuseForeign(place, option, conf)
      }
    }
  }

  /** Refuse a new table of a catalog that ends with this job: nobody would find it. */
  def refuseLost(spark: SparkSession, target: String): Unit = {
    val lasts = spark.conf.get("spark.sql.catalogImplementation") != "in-memory"
    if (!lasts && !Tables.isPath(spark, target) && !Tables.isThere(spark, target))
      if (location(spark, target).isDefined)
        throw new ConfigError(say("target_lost", "target" -> target))
  }

  /** Where a table of Spark's own catalog lies, or would lie; None: it is of another catalog. */
  def location(spark: SparkSession, name: String): Option[String] =
    try {
      val (catalog, parser) = (spark.sessionState.catalog, spark.sessionState.sqlParser)
      val table = parser.parseTableIdentifier(name)
      val uri =
        if (catalog.tableExists(table)) catalog.getTableMetadata(table).location
        else catalog.defaultTablePath(table)
      Some(Storage.shown(new HadoopPath(uri)))
    } catch { case NonFatal(_) => None }

  /** The files and folders that a DataFrame reads. */
  private def roots(df: DataFrame): Seq[String] = Frames.plan(df).collectLeaves().flatMap {
    case relation: LogicalRelation =>
      relation.relation match {
        case files: HadoopFsRelation => files.location.rootPaths.map(Storage.shown)
        case _ => Nil
      }
    case _ => Nil
  }

  /** Refuse a target that is a source, or lies inside or around one. */
  def refuseOverlap(target: String, source: String, option: String): Unit =
    if (overlap(target, source))
      throw new ConfigError(
        say("target_source", "target" -> target, "source" -> source, "option" -> option)
      )

  private def overlap(target: String, source: String): Boolean = {
    val (one, other) = (place(target), place(fixed(source)))
    val isGlob = Glob.findFirstIn(source).isDefined
    inside(other, one) ||
    (inside(one, other) && (!isGlob || matches(one.drop(other.length), source)))
  }

  /** Refuse a folder that is no Delta table and holds files that no run of ours left there. */
  def refuseForeign(target: String, option: String, conf: Configuration): Unit = {
    def refuse(text: String, values: (String, Any)*) =
      throw new ConfigError(say(text, Seq("target" -> target, "option" -> option) ++ values: _*))
    if (target.startsWith("file:") && target.exists("#?%".contains(_))) refuse("target_uri")
    deltaAround(target, conf).foreach(table => refuse("target_in_delta", "table" -> table))
    val folder = new Storage(target, conf)
    if (folder.exists() && !folder.isDirectory("_delta_log")) {
      if (!folder.isFolder) refuse("target_file")
      for (name <- folder.files().keys.toSeq.sorted)
        if (!name.split("/").exists(part => part.startsWith("_") || part.startsWith(".")))
          if (!name.endsWith(".parquet") || !isOurs(s"${folder.shown}/$name", conf))
            refuse("target_foreign", "file" -> name)
    }
  }

  /** Refuse Parquet files of which only a Delta table's log knows which ones count. */
  def refusePart(path: String, conf: Configuration): Unit = {
    def isDelta(folder: String) = new Storage(folder, conf).isDirectory("_delta_log")
    val found = deltaAround(path, conf).orElse {
      if (path.contains("://") || Glob.findFirstIn(path).isEmpty) None
      else {
        val pattern = Storage.pathOf(path)
        val there = Option(pattern.getFileSystem(conf).globStatus(pattern)).toSeq.flatten
        val all = there.map(status => Storage.shown(status.getPath)).sorted
        all.find(one => isDelta(one) || deltaAround(one, conf).isDefined)
      }
    }
    found.foreach { table =>
      throw new ConfigError(say("part_of_delta", "path" -> path, "table" -> table))
    }
  }

  /** The Delta table whose folder a path lies in; None: in none. */
  private def deltaAround(path: String, conf: Configuration): Option[String] = {
    val parts = place(path).replaceAll("/+$", "").split("/", -1)
    val folders = (parts.length - 1).to(1, -1).map(parts.take(_).mkString("/"))
    folders.takeWhile(above => above.nonEmpty && !above.endsWith("/") && !above.endsWith(":"))
      .filter(above => Glob.findFirstIn(above).isEmpty)
      .find(above => new Storage(above, conf).isDirectory("_delta_log"))
  }

  /** Whether a killed run of ours, or one that still runs, wrote a Parquet file. */
  private def isOurs(path: String, conf: Configuration): Boolean =
    try
      Using.resource(ParquetFileReader.open(
        HadoopInputFile.fromPath(Storage.pathOf(path), conf)
      )) { file =>
        val names = file.getFileMetaData.getSchema.getFields.asScala.map(_.getName)
        names.contains("run_id") || (names.nonEmpty && names.forall(_.matches(Mapped)))
      }
    catch { case NonFatal(_) => true } // it was cut off

  /** The folders of a glob that it names as they are. */
  private def fixed(source: String): String =
    if (Glob.findFirstIn(source).isEmpty) source
    else {
      val plain = source.split("/", -1).takeWhile(Glob.findFirstIn(_).isEmpty).mkString("/")
      if (plain.nonEmpty) plain else if (source.startsWith("/")) "/" else "."
    }

  /** Where a path leads. */
  private def place(path: String): String =
    if (path.contains("://") && !path.startsWith("file:")) {
      val parts = path.split("://", 2)
      val scheme = parts(0).toLowerCase.replaceAll("^s3[an]$", "s3")
      s"$scheme://${Paths.get(parts(1)).normalize}"
    } else real(Paths.get("/" + path.stripPrefix("file:").replaceAll("^/+", "")) match {
      case absolute if path.startsWith("file:") => absolute
      case _ => Paths.get(path).toAbsolutePath
    }).toString

  /** Without links, whether or not it is there. */
  private def real(path: Path): Path = {
    val plain = path.normalize
    if (plain.toFile.exists || plain.getParent == null) plain.toRealPath()
    else real(plain.getParent).resolve(plain.getFileName)
  }

  private def inside(one: String, other: String): Boolean =
    one == other || one.startsWith(other.replaceAll("/+$", "") + "/")

  /** Whether what lies below a glob's fixed folders is, or lies in, what the glob names. */
  private def matches(below: String, source: String): Boolean = {
    val patterns =
      source.split("/").dropWhile(Glob.findFirstIn(_).isEmpty).filter(_.nonEmpty).toSeq
    val names = below.split("/").filter(_.nonEmpty).toSeq
    names.size >= patterns.size &&
    patterns.zip(names).forall { case (glob, name) =>
      new org.apache.hadoop.fs.GlobPattern(glob).matches(name)
    }
  }
}
