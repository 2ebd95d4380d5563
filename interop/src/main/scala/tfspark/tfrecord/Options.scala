package tfspark.tfrecord

import com.fasterxml.jackson.core.JsonProcessingException
import com.fasterxml.jackson.databind.{JsonNode, ObjectMapper}
import java.util.Locale.ROOT
import scala.jdk.CollectionConverters._
import tfspark.ConfigError
import tfspark.shared.Shared

/** What a user gave to `.option(...)`, checked; names in any case.
  *
  * @throws ConfigError
  *   an option is unknown or has a wrong value
  */
private[tfspark] final class Options(options: Map[String, String]) extends Serializable {
  import Options._

  private val told = options.map { case (name, value) => name.toLowerCase(ROOT) -> value }

  private val unknown = (told.keySet -- known.keySet - sparks).toSeq.sorted
  for (name <- unknown.flatMap(instead.get).headOption) {
    val values = Shared.map("tfrecord instead")
    throw new ConfigError(Shared.say("other_option", "name" -> name, "instead" -> values(name)))
  }
  for (name <- unknown.headOption) {
    val names = (known.values.toSet - "paths").toSeq.sorted.mkString(", ")
    throw new ConfigError(s"tfrecord: option ${Repr(name)} is unknown; there are $names")
  }

  val paths: Seq[String] =
    told.get("path").map(Seq(_)).getOrElse(told.get("paths").fold(Seq.empty[String])(texts))
  if (paths.isEmpty) throw new ConfigError("tfrecord: no path: give it to load or save")

  /** None: what the names of files say. */
  val compression: Option[String] =
    told.get("compression").map(_ => oneOf("compression", "none", "gzip", "zlib"))
  val columns: Option[Seq[String]] = list("columns")
  val where: String = told.getOrElse("where", "")
  val partitionBy: Seq[String] =
    told.get(sparks).map(texts).orElse(list("partitionBy")).getOrElse(Nil)
  val skips: Boolean = oneOf("onCorrupt", "fail", "skip") == "skip"
  val corruptPath: Option[String] = told.get("corruptpath")

  /** None: all. */
  val inferRecords: Option[Long] =
    if (told.getOrElse("inferrecords", "").trim.toLowerCase(ROOT) == "all") None
    else Some(number("inferRecords", 1000))
  val taskBytes: Long = number("maxPartitionBytes", TaskBytes)
  val narrow: Map[String, String] = narrowed(told.getOrElse("narrow", "").trim)
  val dynamic: Boolean = oneOf("partitionOverwriteMode", "static", "dynamic") == "dynamic"
  val mustBeNew: Boolean = oneOf("mustBeNew", "false", "true") == "true"

  /** Example, SequenceExample or ByteArray; None: what the columns or the files say. */
  val recordType: Option[String] = told.get("recordtype").map { kind =>
    records.find(_.equalsIgnoreCase(kind)).getOrElse(
      throw new ConfigError(
        s"tfrecord: recordType is ${Repr(kind)}; use ${records.mkString(" or ")}"
      )
    )
  }

  /** Of files to write: as `compression` says, or the name of a Hadoop codec. */
  val written: String = coded.orElse(compression).getOrElse("none")
  if (told.get("writelocality").exists(_.toLowerCase(ROOT) == "local"))
    throw new ConfigError(Shared.say("local_disks"))
  oneOf("writeLocality", "distributed")

  /** Bytes on disk after which a file is ended. */
  val fileBytes: Long = number("maxFileBytes", FileBytes)

  /** Most records of a file; 0: any number. */
  val fileRows: Long = number("maxRecordsPerFile", 0)

  /** The one folder that is written to. */
  def path: String = {
    if (paths.size > 1)
      throw new ConfigError(s"tfrecord: one folder is written to, not ${Repr.list(paths)}")
    paths.head
  }

  private def coded: Option[String] =
    told.get("codec").map(_.trim).filter(_.nonEmpty).map { codec =>
      val short = codec.drop(codec.lastIndexOf('.') + 1).toLowerCase(ROOT)
      val found = codecs.getOrElse(
        short,
        throw new ConfigError(Shared.say("no_codec", "codec" -> codec))
      )
      for (other <- compression if other != found)
        throw new ConfigError(Shared.say("two_codecs", "codec" -> codec, "compression" -> other))
      found
    }

  private def oneOf(name: String, values: String*): String = {
    val value = told.getOrElse(name.toLowerCase(ROOT), values.head).toLowerCase(ROOT)
    if (!values.contains(value))
      throw new ConfigError(
        s"tfrecord: $name is ${Repr(value)}; use ${values.mkString(" or ")}"
      )
    value
  }

  private def list(name: String): Option[Seq[String]] =
    told.get(name.toLowerCase(ROOT)).map(_.split(',').map(_.trim).filter(_.nonEmpty).toSeq)

  private def number(name: String, default: Long): Long = {
    val value = told.getOrElse(name.toLowerCase(ROOT), default.toString).trim.toLowerCase(ROOT)
    value match {
      case Number(digits, unit) if units.contains(unit) => digits.toLong * units(unit)
      case _ =>
        throw new ConfigError(
          s"tfrecord: $name is ${Repr(value)}; give a number, 64m or 1g"
        )
    }
  }
}

private object Options {
  private val known = Seq(
    Seq("path", "paths", "compression", "columns", "onCorrupt", "corruptPath", "inferRecords"),
    Seq("maxPartitionBytes", "partitionBy", "narrow", "maxFileBytes", "maxRecordsPerFile"),
    Seq("partitionOverwriteMode", "mustBeNew", "where", "recordType", "codec", "writeLocality")
  ).flatten.map(name => name.toLowerCase(ROOT) -> name).toMap
  private val instead =
    Shared.map("tfrecord instead").keys.map(name => name.toLowerCase(ROOT) -> name).toMap
  private val records = Seq("Example", "SequenceExample", "ByteArray")

  /** Names of Hadoop's classes and their short names, as other connectors take them. */
  private val codecs = Map("none" -> "none", "uncompressed" -> "none") ++
    Seq("gzip", "gzipcodec").map(_ -> "gzip") ++
    Seq("zlib", "deflate", "deflatecodec", "defaultcodec").map(_ -> "zlib")
  private val sparks = "__partition_columns" // what `.partitionBy(...)` becomes
  private val Number = """(\d{1,15})\s*([a-z]*)""".r
  private val units = Map("" -> 1L) ++
    Seq("b", "k", "m", "g").zipWithIndex.flatMap { case (unit, at) =>
      Seq(unit -> (1L << 10 * at), s"${unit}b" -> (1L << 10 * at))
    } - "bb"
  private val FileBytes = 128L << 20
  private val TaskBytes = 128L << 20
  private val json = new ObjectMapper()

  private def texts(list: String): Seq[String] =
    json.readTree(list).elements().asScala.map(_.asText).toSeq

  /** `price:float,amount:string`, or JSON. */
  private def narrowed(text: String): Map[String, String] =
    if (!text.startsWith("{")) {
      val pairs = text.split(',').toSeq.filter(_.trim.nonEmpty).map { pair =>
        val at = pair.lastIndexOf(':')
        pair.take(at.max(0)).trim -> pair.drop(at + 1).trim
      }
      pairs.toMap
    } else {
      val value: JsonNode =
        try json.readTree(text)
        catch {
          case error: JsonProcessingException =>
            throw new ConfigError(s"tfrecord: narrow is no JSON: ${error.getOriginalMessage}")
        }
      value.properties().asScala.map(pair => pair.getKey -> pair.getValue.asText).toMap
    }
}
