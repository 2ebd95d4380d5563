package tfspark.tfrecord

import org.apache.spark.SparkThrowable
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions._
import org.apache.spark.sql.tfspark.Frames
import org.apache.spark.sql.types.{DataType, StructType}

/** Rows of one schema as rows of another, where no value is lost: cast back, each is what it was.
  */
private[tfrecord] final class LosslessCast(from: StructType, asked: StructType) {
  import LosslessCast._

  // Whether there is a null where none may be is looked at by [[NotNull]].
  private val to = Frames.nullable(asked)

  private val columns = from.zip(to).zipWithIndex.map { case ((one, other), at) =>
    BoundReference(at, one.dataType, nullable = true) -> other.dataType
  }
  private val casted = columns.map { case (column, kind) => cast(column, kind) }
  private val kept = columns.zip(casted).map { case ((column, kind), value) =>
    if (column.dataType == kind || Vectors.is(kind)) Literal.TrueLiteral
    else EqualNullSafe(column, cast(value, column.dataType))
  }
  private val project = UnsafeProjection.create(casted)
  private val keeps = Predicate.create(kept.reduceOption(And(_, _)).getOrElse(Literal.TrueLiteral))

  /** @throws LossError a value does not fit its new type (column) */
  def apply(row: InternalRow): InternalRow = {
    val fits =
      try keeps.eval(row)
      catch { case _: SparkThrowable | _: ArithmeticException => false }
    if (!fits) throw lost(row)
    project(row)
  }

  private def lost(row: InternalRow) = {
    val (why, at) = kept.iterator.zipWithIndex.flatMap { case (test, at) =>
      try if (test.eval(row) == true) None else Some("a value would be lost" -> at)
      catch {
        case error @ (_: SparkThrowable | _: ArithmeticException) =>
          Some(error.getMessage.linesIterator.next() -> at)
      }
    }.next()
    val kinds = Seq(from, to).map(schema => SparkTypes.toArrow(StructType(Seq(schema(at)))).head)
    new LossError(
      s"column ${to(at).name} is ${kinds.head.kind} and cannot be ${kinds.last.kind}: $why"
    )
  }
}

private[tfrecord] object LosslessCast {
  def can(from: DataType, to: DataType): Boolean =
    from == to || (Vectors.is(to) && Cast.canAnsiCast(from, Vectors.asArray)) ||
      (Cast.canAnsiCast(from, to) && Cast.canAnsiCast(to, from))

  private def cast(value: Expression, kind: DataType): Expression =
    if (value.dataType == kind) value
    else if (Vectors.is(kind)) Vectors.made(value)
    else Cast(value, kind, Some("UTC"), EvalMode.ANSI)
}
