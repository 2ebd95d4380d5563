package tfspark.job

import java.util.regex.{Pattern, PatternSyntaxException}
import org.apache.hadoop.conf.Configuration
import org.apache.spark.sql.types._
import scala.collection.immutable.VectorMap
import tfspark.shared.Shared.say
import tfspark.storage.Storage
import tfspark.{ConfigError, ContractFileError}

/** A bound or value keeps its own type: Long, Double, String, Boolean. */
private[tfspark] final case class Bounds(
    minimum: Option[Any],
    maximum: Option[Any],
    pattern: Option[String],
    minLength: Option[Long],
    maxLength: Option[Long]
)

/** One column of the table. */
private[tfspark] final case class Column(
    name: String,
    physicalType: String,
    required: Boolean,
    unique: Boolean,
    key: Boolean,
    role: String,
    validValues: Option[Seq[Any]],
    bounds: Bounds
)

/** How many bad rows a day may have before the job stops: both bounds must hold. */
private[tfspark] final case class Limit(maxShare: Option[Double], maxRows: Option[Long])

/** A contract: what a raw table must look like. */
private[tfspark] final case class Contract(name: String, columns: Seq[Column], limit: Limit) {
  def keys: Seq[String] = columns.filter(_.key).map(_.name)

  /** Without the labels and weights that are not kept, or not there. */
  def forScoring(keep: Option[Seq[String]], there: Seq[String]): Contract = {
    val wanted = keep.toSeq.flatten.toSet & there.toSet
    copy(columns = columns.filter { column =>
      !Set("label", "weight")(column.role) || wanted(column.name)
    })
  }
}

private[tfspark] object Contract {
  private val Simple: VectorMap[String, DataType] = VectorMap(
    "boolean" -> BooleanType,
    "tinyint" -> ByteType,
    "smallint" -> ShortType,
    "int" -> IntegerType,
    "bigint" -> LongType,
    "float" -> FloatType,
    "double" -> DoubleType,
    "string" -> StringType,
    "binary" -> BinaryType,
    "date" -> DateType,
    "timestamp" -> TimestampType
  )
  private val Logical = Map(
    "boolean" -> "boolean",
    "float" -> "number",
    "double" -> "number",
    "decimal" -> "number",
    "string" -> "string",
    "binary" -> "string",
    "date" -> "date",
    "timestamp" -> "timestamp",
    "array" -> "array"
  ).withDefaultValue("integer")
  private val Decimals = """decimal\((\d+),\s*(\d+)\)""".r
  private val Lists = """array<(.+)>""".r

  /** Read one contract file.
    *
    * @throws ContractFileError
    *   the file is not there, is not YAML, or says something that a contract cannot say; the
    *   message starts with `file:line`
    */
  def load(path: String, conf: Configuration): Contract = {
    val (folder, name) = Storage.split(path)
    val storage = new Storage(folder, conf)
    if (!storage.exists(name))
      throw new ContractFileError(say("no_contract", "path" -> path))
    parse(storage.read(name), path)
  }

  def parse(content: Array[Byte], where: String): Contract = {
    val file =
      try YamlFile.parse(content, where)
      catch { case error: ConfigError => throw new ContractFileError(error.getMessage) }
    try of(schema.check(file.value))
    catch {
      case misfit: Misfit =>
        val place = if (misfit.path.isEmpty) "contract" else misfit.path.mkString(".")
        val at = s"$where:${file.line(misfit.path)}"
        throw new ContractFileError(
          say("at", "where" -> at, "path" -> place, "said" -> misfit.said)
        )
    }
  }

  /** Spark's type of a `physicalType` such as `bigint`, `decimal(10,2)`, `array<float>`; or what is
    * wrong with it.
    */
  def sparkType(physical: String): Either[String, DataType] = {
    val text = physical.trim.toLowerCase
    text match {
      case simple if Simple.contains(simple) => Right(Simple(simple))
      case Decimals(precision, scale) =>
        if (precision.toInt < 1 || precision.toInt > 38 || scale.toInt > precision.toInt)
          Left(say("bad_decimal", "type" -> physical))
        else Right(DecimalType(precision.toInt, scale.toInt))
      case Lists(element) => sparkType(element).map(ArrayType(_))
      case _ =>
        val known = Simple.keys.toSeq ++ Seq("decimal(p,s)", "array<type>")
        Left(say("unknown_type", "type" -> physical, "known" -> known.mkString(", ")))
    }
  }

  /** `decimal(10,2)` → `decimal`, `array<float>` → `array`, `int` → `int`. */
  def family(physical: String): String = physical.trim.toLowerCase.split("[(<]", 2).head

  private val schema = Schema.read(
    "contract.json",
    new Rules {
      override def before(model: String, field: String, value: Any): Any = value match {
        case number @ (_: Long | _: Double) if model.isEmpty && field == "version" =>
          number.toString
        case other => other
      }

      override def field(model: String, field: String, value: Any): Option[String] =
        (model, field, value) match {
          case ("Column", "physicalType", text: String) => sparkType(text).left.toOption
          case ("Options", "pattern", text: String) =>
            try { Pattern.compile(text); None }
            catch {
              case _: PatternSyntaxException => Some(say("no_regex", "pattern" -> text))
            }
          case _ => None
        }

      override def whole(model: String, fields: Map[String, Any]): Option[String] = model match {
        case "Column" => wrongColumn(fields)
        case "Table" => wrongTable(fields)
        case _ => None
      }
    },
    unknown = "extra_forbidden"
  )

  private def wrongColumn(fields: Map[String, Any]): Option[String] = {
    val options = fields("logicalTypeOptions").asInstanceOf[Map[String, Any]]
    val tensor = fields("tensor").asInstanceOf[Map[String, Any]]
    val physical = fields("physicalType").toString.trim.toLowerCase
    val kind = family(physical)
    val logical = Logical(kind)
    def set(names: String*) = names.exists(options(_) != null)
    if (fields("logicalType") != null && fields("logicalType") != logical)
      Some(say(
        "logical_type",
        "type" -> physical,
        "logical" -> logical,
        "given" -> fields("logicalType")
      ))
    else if (set("minimum", "maximum") && !Set("integer", "number")(logical))
      Some(say("no_number", "type" -> physical))
    else if (set("pattern", "minLength", "maxLength") && kind != "string")
      Some(say("no_string", "type" -> physical))
    else if (tensor("dtype") == "uint8" && kind != "binary")
      Some(say("no_pixels", "kind" -> kind))
    else if (tensor("padValue") != null && kind != "array")
      Some(say("no_array", "kind" -> kind))
    else if (fields("name").toString.startsWith("_tfspark"))
      Some(say("own_name"))
    else None
  }

  private def wrongTable(fields: Map[String, Any]): Option[String] = {
    val columns = fields("properties").asInstanceOf[Seq[Map[String, Any]]].map(column)
    val twice = columns.indices.iterator.flatMap { i =>
      columns.take(i).find(_.name.equalsIgnoreCase(columns(i).name)).map(_.name -> columns(i).name)
    }
    twice.nextOption() match {
      case Some((one, other)) => Some(say("same_column", "one" -> one, "other" -> other))
      case None if !columns.exists(_.key) =>
        Some(say("no_key"))
      case None => None
    }
  }

  private def of(values: Map[String, Any]): Contract = {
    val table = values("schema").asInstanceOf[Seq[Map[String, Any]]].head
    val limit = table("quarantine").asInstanceOf[Map[String, Any]]
    Contract(
      table("name").toString,
      table("properties").asInstanceOf[Seq[Map[String, Any]]].map(column),
      Limit(
        Option(limit("maxShare")).map(_.asInstanceOf[Double]),
        Option(limit("maxRows")).map(_.asInstanceOf[Long])
      )
    )
  }

  private def column(fields: Map[String, Any]): Column = {
    val options = fields("logicalTypeOptions").asInstanceOf[Map[String, Any]]
    val role = fields("role").toString
    Column(
      fields("name").toString,
      fields("physicalType").toString.trim.toLowerCase,
      fields("required") == true,
      fields("unique") == true,
      fields("primaryKey") == true || role == "key",
      role,
      Option(fields("validValues")).map(_.asInstanceOf[Seq[Any]]),
      Bounds(
        Option(options("minimum")),
        Option(options("maximum")),
        Option(options("pattern")).map(_.toString),
        Option(options("minLength")).map(_.asInstanceOf[Long]),
        Option(options("maxLength")).map(_.asInstanceOf[Long])
      )
    )
  }
}
