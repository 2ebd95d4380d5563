package tfspark.job

import java.nio.charset.StandardCharsets.UTF_8
import org.apache.spark.sql.functions.col
import org.apache.spark.sql.{DataFrame, Row}
import tfspark.{ContractViolation, Local}

/** What a contract file may say, and what it says of rows. */
class ContractSuite extends Local {
  private val Text =
    """kind: DataContract
      |id: t
      |version: 1
      |schema:
      |  - name: t
      |    quarantine: {maxShare: 0.5, maxRows: 3}
      |    properties:
      |      - {name: id, physicalType: bigint, role: key, required: true}
      |      - {name: age, physicalType: double, logicalTypeOptions: {minimum: 0, maximum: 1.5e3}}
      |      - {name: sex, physical_type: string, validValues: [male, female, "3"]}
      |      - name: code
      |        physicalType: string
      |        unique: true
      |        logicalTypeOptions: {pattern: "[A-Z]+", minLength: 2, maxLength: 3}
      |      - {name: price, physicalType: "decimal(5,2)"}
      |      - {name: y, physicalType: int, role: label}
      |""".stripMargin

  private def contract(text: String = Text) = Contract.parse(text.getBytes(UTF_8), "x.yaml")

  test("a contract") {
    val found = contract()
    assert(found.keys == Seq("id"))
    assert(found.limit == Limit(Some(0.5), Some(3)))
    assert(found.forScoring(None, Seq("y")).columns.map(_.name).last == "price")
    assert(found.forScoring(Some(Seq("y")), Seq("y")).columns.map(_.name).last == "y")
    assert(found.columns(2).validValues.contains(Seq("male", "female", "3")))
  }

  private def checked(rows: DataFrame): Seq[Row] = {
    val scored = contract().forScoring(None, rows.columns.toSeq)
    RowChecks.check(rows, scored, "the table").orderBy("id").collect().toSeq
  }

  private def frame(rows: (String, String, String, String, String)*): DataFrame =
    spark.createDataFrame(rows).toDF("id", "age", "sex", "code", "price")

  test("a bad row has all its reasons, a good one none") {
    val found = checked(
      frame(
        ("1", "34.5", "male", "AB", "1.25"),
        ("2", "NaN", "other", "a", "1.255"),
        ("3", "1d", null, "ABCD", "1234.5"),
        ("3", "2000", "3", "", "")
      )
    ).map(row => row.getSeq[String](5))
    assert(found.head.isEmpty)
    assert(found(1) == Seq(
      "age: NaN is below the minimum 0",
      "age: NaN is above the maximum 1500.0",
      "sex: other is not one of male, female, 3",
      "code: a does not match [A-Z]+",
      "code: a is shorter than 2",
      "price: 1.255 is not decimal(5,2)"
    ))
    val twice = found.drop(2).flatten
    assert(twice.count(_ == "id: there 2 times") == 2)
    assert(twice.contains("age: 1d is not double") && twice.contains("code: ABCD is longer than 3"))
    assert(twice.contains("price: 1234.5 is not decimal(5,2)"))
    assert(twice.contains("age: 2000 is above the maximum 1500.0"))
  }

  test("typed columns are widened and never narrowed") {
    val wide = frame(("1", "1", "male", "AB", "1"))
      .select(col("id").cast("int"), col("age"), col("sex"), col("code"), col("price"))
    assert(checked(wide).head.getLong(0) == 1)
    val lists = frame(("1", "1", "male", "AB", "1")).selectExpr(
      "id",
      "array(age) age",
      "sex",
      "code",
      "price"
    )
    val error = intercept[ContractViolation](checked(lists))
    assert(error.exitCode == 3)
    assert(error.getMessage.contains(
      "column age is array<string>, the contract says double: values would be lost"
    ))
    val missing = intercept[ContractViolation](checked(wide.drop("code")))
    assert(missing.getMessage ==
      "the table: column code of the contract is missing; there are: id, age, sex, price")
  }
}
