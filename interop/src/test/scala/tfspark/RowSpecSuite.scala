package tfspark

import java.nio.charset.StandardCharsets.UTF_8
import java.time.LocalDate
import org.apache.spark.sql.functions.expr
import org.apache.spark.sql.types.{StructField, StructType}
import org.apache.spark.sql.{DataFrame, Row}
import scala.collection.immutable.VectorMap
import scala.jdk.CollectionConverters._
import tfspark.SpecSuite.{list, map, read}
import tfspark.job._

/** `spec/rows.yaml`: row checks value by value; `tests/spec/test_rows.py` has the same of Python.
  */
class RowSpecSuite extends Local {
  private val rows = map(read("rows.yaml"))
  private val columns = list(rows("columns")).map(map)
  private val names = columns.indices.map(i => s"c$i")

  private def contract(columns: Seq[(String, Any)]): Contract = {
    val properties = columns.map { case (name, about) => VectorMap("name" -> name) ++ map(about) }
    val table = VectorMap("name" -> "t", "properties" -> properties)
    val all = VectorMap("kind" -> "DataContract", "id" -> "t", "version" -> "1") +
      ("schema" -> Vector(table))
    Contract.parse(YamlFile.dump(all).getBytes(UTF_8), "t.yaml")
  }

  private def frame(columns: Seq[(String, String)], rows: Seq[Seq[Any]]): DataFrame = {
    val schema = StructType(columns.map { case (name, kind) =>
      StructField(name, org.apache.spark.sql.types.DataType.fromDDL(kind))
    })
    spark.createDataFrame(rows.map(Row.fromSeq).asJava, schema)
  }

  private def typed(spec: Map[String, Any], i: Int): Option[Seq[Any]] =
    list(spec("rows")).lift(i).map(list)

  /** One job over all columns, the shorter ones filled with nulls. */
  private lazy val checked: Seq[Row] = {
    val longest = columns.map(c => list(c("rows")).size).max
    val raw = (0 until longest).map { j =>
      j.toString +: columns.map(c => typed(c, j).map(_.head).orNull)
    }
    val texts = frame(("id" +: names).map(_ -> "string"), raw)
    val casts = names.zip(columns).map { case (name, c) =>
      val sql = c.getOrElse("sql", s"cast($$ as ${c.getOrElse("type", "string")})").toString
      s"${sql.replace("$", name)} as $name"
    }
    val id = "id" -> VectorMap("physicalType" -> "int", "primaryKey" -> true)
    val wanted = contract(id +: names.zip(columns.map(_("column"))))
    val found = RowChecks.check(texts.selectExpr("id" +: casts: _*), wanted, "t")
    val shown = names.zip(columns).map { case (name, c) =>
      val binary = map(c("column"))("physicalType") == "binary"
      s"${if (binary) "hex" else "string"}($name) as $name"
    }
    found.selectExpr(("id" +: shown) :+ "_tfspark_reasons": _*).orderBy("id").collect().toSeq
  }

  for ((spec, i) <- columns.zipWithIndex)
    test(s"values: $i ${spec("column")} ${spec.getOrElse("type", "")}") {
      val name = names(i)
      for ((row, j) <- checked.zipWithIndex; expected <- typed(spec, j)) {
        val reasons = row.getSeq[String](row.length - 1)
        val said = reasons.filter(_.startsWith(s"$name: ")).map(_.stripPrefix(s"$name: "))
        assert(row.getAs[Any](name) == expected(1), expected)
        assert(said.toVector == expected(2), expected)
      }
    }

  private val takes = map(rows("takes"))
  private val kinds = takes.values.flatMap(list).map(_.toString).toSeq.distinct

  for ((source, taken) <- takes)
    test(s"types: $source") {
      val raw = spark.sql(s"SELECT '1' AS id, CAST(NULL AS $source) AS a")
      val id = "id" -> VectorMap("physicalType" -> "int", "primaryKey" -> true)
      val found = kinds.filter { kind =>
        val wanted = contract(Seq(id, "a" -> VectorMap("physicalType" -> kind)))
        try RowChecks.check(raw, wanted, "t").columns.nonEmpty
        catch {
          case error: ContractViolation =>
            assert(error.getMessage.contains("values would be lost"))
            false
        }
      }
      assert(found.toVector == list(taken))
    }

  for (spec <- list(rows("tables")).map(map))
    test(s"table: ${spec("name")}") {
      val wanted = map(spec("contract"))
      val there = map(spec("columns")).toSeq.map { case (name, kind) => name -> kind.toString }
      val texts = frame(there, list(spec.getOrElse("rows", Vector.empty)).map(list))
      val raw = map(spec.getOrElse("sql", Map.empty)).foldLeft(texts) { case (df, (name, sql)) =>
        df.withColumn(name, expr(sql.toString))
      }
      val by = spec.get("day_column").map(_.toString)
      def read = by.fold(raw)(DayColumn(_, LocalDate.of(2026, 11, 20)).rows(raw, "the table"))
      def found = RowChecks.check(read, contract(wanted.toSeq), "the table", by)
      spec.get("says") match {
        case Some(said) => assert(intercept[ContractViolation](found).getMessage == said)
        case None =>
          val texts = wanted.keys.toSeq.map(name => s"string($name) as $name")
          val all = texts ++ Seq("_tfspark_reasons", "_tfspark_raw")
          val rows = found.selectExpr(all: _*).collect().map(_.toSeq.map {
            case reasons: scala.collection.Seq[_] => reasons.toVector
            case other => other
          }.toVector)
          def sorted(rows: Seq[Any]) = rows.sortBy(_.toString)
          assert(sorted(rows.toSeq) == sorted(list(spec("gives"))))
      }
    }
}
