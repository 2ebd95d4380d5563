package tfspark.job

import java.time.LocalDate
import org.apache.spark.sql.functions._
import org.apache.spark.sql.types._
import org.apache.spark.sql.{Column => Expression, DataFrame, SparkSession}
import tfspark.job.Tables.{quote, Raw, Reasons}
import tfspark.{ContractViolation, SourceMissing}

/** Where bad rows go, and when there are too many of them: `tfspark/quarantine.py`. */
private[tfspark] object Quarantine {

  /** Replace the bad rows of one table, day and job in the quarantine table.
    *
    * @param bad
    *   has `_tfspark_reasons` and `_tfspark_raw`
    */
  def write(bad: DataFrame, target: String, table: String, day: LocalDate, runId: String): Unit = {
    val rows = bad.select(
      lit(table).as("table"),
      lit("score").as("job"),
      col(Reasons).as("reasons"),
      col(Raw).as("raw"),
      lit(runId).as("run_id"),
      current_timestamp().as("quarantined_at")
    )
    if (!rows.isEmpty || has(bad.sparkSession, target, table, day))
      Tables.writeDay(rows, target, day, runId, Seq("table" -> table, "job" -> "score")): Unit
  }

  /** Whether it has rows of a table and day. */
  private def has(spark: SparkSession, target: String, table: String, day: LocalDate): Boolean =
    Tables.isThere(spark, target) && {
      val rows =
        if (Tables.isPath(spark, target)) spark.read.format("delta").load(target)
        else spark.table(target)
      val mine = col("table") === table && col("job") === "score"
      !rows.where(col("day") === lit(java.sql.Date.valueOf(day)) && mine).isEmpty
    }

  /** Stop where more rows are bad than the contract allows, before anything is published.
    *
    * @throws ContractViolation
    *   with the most frequent reasons and where the rows are
    */
  def refuseAbove(
      limit: Limit,
      badRows: DataFrame,
      where: String,
      rows: Long,
      bad: Long,
      table: String
  ): Unit = {
    val share = limit.maxShare.fold(rows)(share => (rows * share).toLong)
    val most = math.min(share, limit.maxRows.getOrElse(Long.MaxValue))
    if (bad > most) {
      val frequent = badRows.select(explode(col(Reasons)).as("reason")).groupBy("reason").count()
        .orderBy(col("count").desc, col("reason")).take(3)
      val said = frequent.map(row => s"${row.getString(0)} (${row.getLong(1)} rows)").mkString("; ")
      throw new ContractViolation(
        s"$where: $bad of $rows rows are bad, at most $most may be; most frequent: $said. All of " +
          s"them, with their reasons, are in $table; nothing was published"
      )
    }
  }

  /** Stop where a table has fewer or more rows than the contract allows. */
  def refuseCount(limit: Limit, where: String, rows: Long): Unit = {
    val few = limit.leastRows.filter(rows < _).map(n => s"at least $n")
    for (wanted <- few.orElse(limit.mostRows.filter(rows > _).map(n => s"at most $n")))
      throw new ContractViolation(
        s"$where: has $rows rows, the contract wants $wanted; nothing was published"
      )
  }

  /** A table without rows is a day that is not there yet, or no table to work on.
    *
    * @throws SourceMissing
    *   the source is by day
    * @throws ContractViolation
    *   it is not
    */
  def refuseEmpty(source: Source, day: LocalDate): Nothing = {
    val where = source.place(day)
    if (source.dayColumn.isDefined || source.path.contains("{date}"))
      throw new SourceMissing(s"$where: has no rows for $day; try again when they have arrived")
    throw new ContractViolation(s"$where: the table has no rows; there is nothing to do")
  }

  /** Columns of a row as one JSON text, for people: of binary the length, no maps and structs.
    *
    * @param stands
    *   under which name a column stands
    */
  def text(schema: StructType, names: Seq[String], stands: String => String): Expression = {
    def leaf(kind: DataType): DataType = kind match {
      case list: ArrayType => leaf(list.elementType)
      case other => other
    }
    val shown = names.flatMap { name =>
      val (value, kind) = (col(quote(stands(name))), schema(name).dataType)
      leaf(kind) match {
        case BinaryType if kind == BinaryType =>
          val length = octet_length(value).cast("string")
          Some(concat(lit("<"), length, lit(" bytes>")).as(name))
        case _: MapType | _: StructType | _: UserDefinedType[_] | BinaryType | VariantType |
            NullType =>
          None
        case _ => Some(value.as(name))
      }
    }
    if (shown.isEmpty) lit("{}") else to_json(struct(shown: _*))
  }
}
