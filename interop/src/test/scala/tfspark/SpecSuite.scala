package tfspark

import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.{Files, Path, Paths}
import org.apache.hadoop.conf.Configuration
import org.scalatest.funsuite.AnyFunSuite
import scala.jdk.CollectionConverters._
import tfspark.job._
import tfspark.shared.{Mask, Shared}

/** The cases in `spec/` that need no Spark; `tests/spec/` has the same ones of Python. */
class SpecSuite extends AnyFunSuite {
  import SpecSuite._

  private val contracts = map(read("contracts.yaml"))
  private val base = contracts("base").toString

  private def content(spec: Map[String, Any]): Array[Byte] =
    spec.get("bytes").fold {
      val text = spec.get("text").fold(base)(_.toString)
      map(spec.getOrElse("put", Map.empty)).foldLeft(text) { case (all, (old, put)) =>
        assert(all.contains(old))
        all.replace(old, put.toString)
      }.getBytes(UTF_8)
    }(hex => hex.toString.grouped(2).map(Integer.parseInt(_, 16).toByte).toArray)

  /** As text: 0 is not 0.0 here. */
  private def flat(value: Any): String = value match {
    case list: Seq[_] => list.map(flat).mkString("[", ", ", "]")
    case other => String.valueOf(other)
  }

  private def shown(contract: Contract): Seq[Any] =
    Seq[Option[Any]](contract.limit.maxShare, contract.limit.maxRows).map(_.orNull[Any]) +:
      contract.columns.map { c =>
        val b = c.bounds
        Seq(
          c.name,
          c.physicalType,
          c.role,
          c.required,
          c.unique,
          c.key,
          c.validValues.orNull[Any]
        ) ++
          Seq[Option[Any]](b.minimum, b.maximum, b.pattern, b.minLength, b.maxLength)
            .map(_.orNull[Any])
      }

  for (spec <- list(contracts("cases")).map(map))
    test(s"contract: ${name(spec)}") {
      def load() = spec.get("path").fold(Contract.parse(content(spec), "t.yaml"))(path =>
        Contract.load(path.toString, new Configuration())
      )
      spec.get("gives") match {
        case Some(changed) =>
          val at = changed.asInstanceOf[Map[String, Any]]
          val expected = list(contracts("shown")).zipWithIndex.map { case (row, i) =>
            at.getOrElse(i.toString, row)
          }
          assert(flat(shown(load())) == flat(expected))
        case None =>
          assert(intercept[ContractFileError](load()).getMessage == spec("says"))
      }
    }

  private def told(column: Column): String = {
    val b = column.bounds
    val flags =
      Seq("required" -> column.required, "unique" -> column.unique, "primaryKey" -> column.key)
        .collect { case (name, true) => name }
    val role = Seq(column.role).filterNot(Set("feature", "key"))
    val values = column.validValues.map(all => s"one of ${all.mkString(", ")}")
    val rules = Seq(
      "minimum" -> b.minimum,
      "maximum" -> b.maximum,
      "pattern" -> b.pattern,
      "minLength" -> b.minLength,
      "maxLength" -> b.maxLength,
      "exclusiveMinimum" -> b.exclusiveMinimum,
      "exclusiveMaximum" -> b.exclusiveMaximum,
      "multipleOf" -> b.multipleOf,
      "minItems" -> b.minItems,
      "maxItems" -> b.maxItems,
      "format" -> b.format
    ).collect { case (name, Some(value)) => s"$name $value" }
    (s"${column.name} ${column.physicalType}" +: (flags ++ role ++ values ++ rules.sorted))
      .mkString("; ")
  }

  for ((file, expected) <- map(contracts("files")))
    test(s"contract: a file of the standard, $file") {
      val folder = Paths.get("tests/contracts/odcs").toAbsolutePath
      def load() = Contract.load(s"$folder/$file", new Configuration())
      map(expected).get("says") match {
        case Some(lines) =>
          val said = intercept[ContractFileError](load()).getMessage.replace(s"$folder/", "")
          assert(said.split("\n").toSeq == list(lines))
        case None =>
          val contract = load()
          val rows = Seq(contract.limit.leastRows, contract.limit.mostRows).map(_.orNull[Any])
          assert(rows == map(expected).get("rows").map(list).getOrElse(Seq(null, null)))
          assert(contract.columns.map(told) == list(map(expected)("columns")))
      }
    }

  private val rules: Map[String, String] = Map(
    "minimum" -> "logicalTypeOptions: {minimum: 1}",
    "maximum" -> "logicalTypeOptions: {maximum: 1}",
    "pattern" -> "logicalTypeOptions: {pattern: a}",
    "minLength" -> "logicalTypeOptions: {minLength: 1}",
    "maxLength" -> "logicalTypeOptions: {maxLength: 1}",
    "uint8" -> "tensor: {dtype: uint8}",
    "padValue" -> "tensor: {padValue: 0}",
    "padText" -> "tensor: {padValue: a}",
    "multipleOf" -> "logicalTypeOptions: {multipleOf: 2}",
    "minItems" -> "logicalTypeOptions: {minItems: 1}",
    "maxItems" -> "logicalTypeOptions: {maxItems: 1}",
    "day" -> "logicalTypeOptions: {exclusiveMinimum: '2026-11-20'}",
    "format" -> "logicalTypeOptions: {format: dd.MM.yyyy}",
    "email" -> "logicalTypeOptions: {format: email}"
  ) ++ Seq("boolean", "integer", "number", "string", "date", "timestamp", "array").map { logical =>
    logical -> s"logicalType: $logical"
  }

  for ((kind, may) <- map(contracts("types")); (rule, text) <- rules)
    test(s"contract: $rule of $kind") {
      val column = s"""{name: a, physicalType: "$kind", role: key, $text}"""
      val file = "kind: DataContract\nid: t\nversion: 1\nschema:\n" +
        s"  - {name: t, properties: [$column]}\n"
      def load() = Contract.parse(file.getBytes(UTF_8), "t.yaml")
      if (list(may).contains(rule)) assert(load().columns.head.physicalType == kind)
      else
        assert(intercept[ContractFileError](load()).getMessage
          .matches("(?s).*(not |is no |unknown format).*"))
    }

  for (spec <- list(map(read("settings.yaml"))("cases")).map(map))
    test(s"settings: ${name(spec)}") {
      val folder = Local.temporary("settings")
      def load(): Settings = {
        val file = spec.get("file").map { text =>
          Seq("--config", Files.writeString(folder.resolve("t.yaml"), text.toString).toString)
        }
        val told = file.toSeq.flatten ++
          list(spec.getOrElse("arguments", Vector.empty)).map(_.toString)
        val asked = Arguments.parse("--dry-run" +: told)
        assert(asked.dryRun)
        val environment = map(spec.getOrElse("environment", Map.empty)).map { case (k, v) =>
          k -> v.toString
        }
        Settings.load(asked.config, asked.overrides, environment, new Configuration())
      }
      spec.get("says") match {
        case Some(said) =>
          val error = intercept[ConfigError] {
            val settings = load()
            if (spec.contains("day")) Settings.requireDate(settings)
          }
          assert(error.getMessage.replace(s"$folder/", "") == said && error.exitCode == 2)
        case None =>
          // As the job prints them.
          val found = map(YamlFile.value(YamlFile.dump(Settings.masked(load()))))
          for ((setting, value) <- map(spec("gives"))) {
            val parts = setting.split("\\.", 2)
            val there =
              if (parts.length == 1) found(setting) else map(found(parts.head))(parts.last)
            assert(there == value, setting)
          }
      }
    }

  private val secrets = map(read("secrets.yaml"))

  test("secrets: no option is shown unless its name is known") {
    val written = map(secrets("options")) ++ map(secrets("settings")) ++
      list(secrets("texts")).zipWithIndex.map { case (text, i) => s"x$i" -> text }
    val shown = map(secrets("shown"))
    val masked = map(Mask.value(written ++ shown, free = true))
    assert(masked.removedAll(shown.keys).values.toSet == Set("***"))
    assert(shown.forall { case (name, value) => masked(name) == value })
  }

  for (text <- list(secrets("texts")).map(_.toString))
    test(s"secrets: $text") {
      assert(!Mask.text(text).contains("CANARY"))
      assert(!new StorageError(text).getMessage.contains("CANARY"))
    }

  for (text <- list(secrets("plain")).map(_.toString))
    test(s"no secret: $text")(assert(new StorageError(text).getMessage == text))

  for (pair <- list(secrets("controls")).map(list))
    test(s"screen: ${pair.last}")(assert(Steps.printable(pair.head.toString) == pair.last))

  test("the tree of errors is Python's, and so are the exit codes") {
    // Of jobs that this module does not have, or of Python's own libraries.
    val others = Set("GateError", "TrainingError")
    for ((name, (above, code)) <- Shared.errors if name != "TfsparkError" && !others(name)) {
      val kind = Class.forName(s"tfspark.$name")
      assert(kind.getSuperclass.getSimpleName.replace("Exception", "Error") == above, name)
      val made = kind.getConstructors.head
      val arguments = "said" +: Seq.fill(made.getParameterCount - 1)(null)
      val error = made.newInstance(arguments: _*).asInstanceOf[TfsparkException]
      assert((error.getMessage, error.exitCode) == (("said", code)))
    }
  }

  test("a text with its values") {
    assert(Shared.say("no_tensor", "name" -> "$1", "type" -> "x") ==
      "column $1: x fits no tensor without loss; name the narrowing: tensor: {dtype: float64}")
  }
}

object SpecSuite {
  private val folder: Path = Paths.get("spec")

  /** A file of cases. */
  def read(name: String): Any =
    YamlFile.parse(Files.readAllBytes(folder.resolve(name)), name).value

  def map(value: Any): Map[String, Any] = value.asInstanceOf[Map[String, Any]]

  def list(value: Any): Vector[Any] = value.asInstanceOf[Seq[Any]].toVector

  /** Plain values as Java's, for JSON. */
  def javas(value: Any): Any = value match {
    case map: Map[_, _] =>
      val made = new _root_.java.util.LinkedHashMap[String, Any]
      map.foreach { case (k, v) => made.put(k.toString, javas(v)) }
      made
    case list: Seq[_] => list.map(javas).asJava
    case other => other
  }

  /** A name that no other case has, as tests' names must differ. */
  def name(spec: Map[String, Any]): String =
    spec.removed("says").removed("gives").toSeq.map { case (k, v) => s"$k $v" }.mkString(", ")
}
