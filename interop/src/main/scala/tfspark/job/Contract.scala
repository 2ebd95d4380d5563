package tfspark.job

import org.apache.hadoop.conf.Configuration
import org.apache.spark.sql.types._
import scala.collection.immutable.VectorMap
import tfspark.shared.Shared.say
import tfspark.storage.Storage
import tfspark.{ConfigError, ContractFileError}

/** A bound or value is as the file has it: Long, Double, String, Boolean. */
private[tfspark] final case class Bounds(
    minimum: Option[Any],
    maximum: Option[Any],
    pattern: Option[String],
    minLength: Option[Long],
    maxLength: Option[Long],
    exclusiveMinimum: Option[Any],
    exclusiveMaximum: Option[Any],
    multipleOf: Option[Long],
    minItems: Option[Long],
    maxItems: Option[Long],
    format: Option[String]
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

/** How many bad rows a day may have before the job stops, and how many rows: all must hold. */
private[tfspark] final case class Limit(
    maxShare: Option[Double],
    maxRows: Option[Long],
    leastRows: Option[Long] = None,
    mostRows: Option[Long] = None
)

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
  val Logical: Map[String, String] = Map(
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
  private val AnyLists = """(?:array|list)<(.+)>""".r
  private val WithLength =
    ("""([a-z_][a-z_0-9 ]*?) ?[(\[] ?([0-9]+|max) ?(?:, ?([0-9]+) ?)?[)\]]""" +
      """((?: with(?:out)? time zone)?)""").r

  /** Read one contract file.
    *
    * @throws ContractFileError
    *   the file is not there, is not YAML, or says something that a contract cannot say; the
    *   message starts with `file:line`
    */
  def load(path: String, conf: Configuration): Contract = {
    def there(path: String) = {
      val (folder, name) = Storage.split(path)
      Option(new Storage(folder, conf)).filter(_.exists(name)).map(_.read(name))
    }
    // FILE#TABLE names one of several tables.
    val mark = path.lastIndexOf('#')
    val (file, table) = there(path) match {
      case None if mark >= 0 => (path.take(mark), Some(path.drop(mark + 1)))
      case _ => (path, None)
    }
    val content = there(file)
      .getOrElse(throw new ContractFileError(say("no_contract", "path" -> file)))
    parse(content, file, table)
  }

  def parse(content: Array[Byte], where: String, table: Option[String] = None): Contract = {
    val file =
      try YamlFile.parse(content, where)
      catch { case error: ConfigError => throw new ContractFileError(error.getMessage) }
    val standard = new Standard(file.texts)
    val value = standard.contract(file.value, table)
    val (checked, misfits) =
      try (Option.when(standard.tableFound)(schema.check(value)), Nil)
      catch { case misfit: Misfit => (None, misfit.faults) }
    val others = if (standard.tableFound) misfits ++ mistakes(value) else Nil
    val all = standard.faults ++
      others.map { case (path, said) => standard.origin(path) -> said }
    val told = once(all).map { case (path, said) =>
      val place = if (path.isEmpty) "contract" else path.mkString(".")
      val line = file.line(path)
      line -> say("at", "where" -> s"$where:$line", "path" -> place, "said" -> said)
    }
    checked match {
      case Some(values) if told.isEmpty => of(values)
      case _ => throw new ContractFileError(told.sortBy(_._1).map(_._2).mkString("\n"))
    }
  }

  private def mistakes(value: Any): Seq[Mistakes.Mistake] = {
    def part(value: Any, name: String) = value match {
      case map: Map[_, _] => map.asInstanceOf[Map[String, Any]].getOrElse(name, null)
      case _ => null
    }
    def inside(at: Vector[Any], faults: Seq[Mistakes.Mistake]) =
      faults.map { case (path, said) => (at ++ path) -> said }
    part(value, "schema") match {
      case Seq(table: Map[_, _], _*) =>
        val at = Vector[Any]("schema", 0)
        val columns = part(table, "properties") match {
          case columns: Seq[_] => columns
          case _ => Nil
        }
        inside(at, Mistakes.ofTable(table.asInstanceOf[Map[String, Any]])) ++
          columns.zipWithIndex.flatMap {
            case (column: Map[_, _], i) =>
              val wrong = Mistakes.ofColumn(column.asInstanceOf[Map[String, Any]])
              inside(at :+ "properties" :+ i, wrong)
            case _ => Nil
          }
      case _ => Nil
    }
  }

  /** Without what follows from another fault: the first of a place, and the innermost. A whole
    * column or table may have more to say, each time something else.
    */
  private def once(faults: Seq[Mistakes.Mistake]): Seq[Mistakes.Mistake] = {
    val found = scala.collection.mutable.LinkedHashMap.empty[Vector[Any], Vector[String]]
    for ((path, said) <- faults) {
      val told = found.getOrElse(path, Vector.empty)
      val whole = Set(2, 4)(path.size) && path.head == "schema"
      if (told.isEmpty || (whole && !told.contains(said))) found(path) = told :+ said
      else found(path) = told
    }
    val inner = found.keys.flatMap(path => path.inits.drop(1)).toSet
    for ((path, told) <- found.toSeq; said <- told if !inner(path) || path.size % 2 == 0)
      yield path -> said
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
        val said = say("unknown_type", "type" -> physical, "known" -> known.mkString(", "))
        Left(Hint.hinted(said, text, Simple.keys ++ Odcs.types.keys))
    }
  }

  /** The type inside all lists, and how many lists are around it. */
  def element(physical: String): (String, Int) = physical.trim.toLowerCase match {
    case Lists(inner) =>
      val (leaf, depth) = element(inner)
      (leaf, depth + 1)
    case leaf => (leaf, 0)
  }

  /** The type that a database's type means here, and how many characters it has room for; or what
    * is wrong with it.
    */
  def canonical(physical: String): Either[String, (String, Option[Long])] = {
    val text = physical.trim.toLowerCase.split("\\s+").mkString(" ")
    def known(kind: String) = sparkType(kind).isRight
    text match {
      case _ if known(text) => Right((text, None))
      case AnyLists(inner) =>
        canonical(inner).flatMap {
          case (kind, None) => Right((s"array<$kind>", None))
          case _ => Left(say("no_item_rules"))
        }
      case _ =>
        val (name, length, scale) = text match {
          case WithLength(name, length, scale, zone) =>
            ((name + Option(zone).getOrElse("")).trim, Option(length), Option(scale))
          case _ => (text, None, None)
        }
        val digits = length.filter(_ != "max")
        val base = Odcs.types.getOrElse(name, name) match {
          case kind if kind.startsWith("decimal(") && digits.isDefined =>
            s"decimal(${digits.get},${scale.getOrElse("0")})"
          case "float" if name == "float" && scale.isEmpty && digits.exists(_.toLong > 24) =>
            "double"
          case kind => kind
        }
        if (known(base)) Right((base, digits.filter(_ => base == "string").map(_.toLong)))
        else if (base.contains("decimal")) Left(say("bad_decimal", "type" -> physical))
        else sparkType(text).map(_ => (text, None))
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
          case _ => None
        }

      override def whole(model: String, fields: Map[String, Any]): Option[String] = None
    },
    unknown = "extra_forbidden"
  )

  private def of(values: Map[String, Any]): Contract = {
    val table = values("schema").asInstanceOf[Seq[Map[String, Any]]].head
    val limit = table("quarantine").asInstanceOf[Map[String, Any]]
    Contract(
      table("name").toString,
      table("properties").asInstanceOf[Seq[Map[String, Any]]].map(column),
      Limit(
        Option(limit("maxShare")).map(_.asInstanceOf[Double]),
        Option(limit("maxRows")).map(_.asInstanceOf[Long]),
        Option(limit("leastRows")).map(_.asInstanceOf[Long]),
        Option(limit("mostRows")).map(_.asInstanceOf[Long])
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
        Option(options("maxLength")).map(_.asInstanceOf[Long]),
        Option(options("exclusiveMinimum")),
        Option(options("exclusiveMaximum")),
        Option(options("multipleOf")).map(_.asInstanceOf[Long]),
        Option(options("minItems")).map(_.asInstanceOf[Long]),
        Option(options("maxItems")).map(_.asInstanceOf[Long]),
        Option(options("format")).map(_.toString)
      )
    )
  }
}
