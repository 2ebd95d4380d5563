package tfspark.tfrecord

import org.apache.spark.sql.catalyst.expressions.SpecializedGetters
import org.apache.spark.sql.tfspark.Frames
import org.apache.spark.sql.types.{ArrayType, DataType, StructType}

/** Nulls where a schema that was given allows none: Spark's own code would read 0 there. */
private[tfrecord] object NotNull {
  def says(schema: StructType): Boolean = schema != Frames.nullable(schema)

  /** The first column or field of a row that is null and may not be. */
  def missing(schema: StructType, row: SpecializedGetters): Option[String] =
    schema.indices.iterator.flatMap { at =>
      val field = schema(at)
      if (row.isNullAt(at)) Option.when(!field.nullable)(field.name)
      else
        inside(field.dataType, row, at).map { inner =>
          if (inner.isEmpty) field.name else s"${field.name}.$inner"
        }
    }.nextOption()

  private def inside(kind: DataType, row: SpecializedGetters, at: Int): Option[String] =
    kind match {
      case inner: StructType => missing(inner, row.getStruct(at, inner.length))
      case ArrayType(item, nulls) =>
        val values = row.getArray(at)
        (0 until values.numElements()).find { one =>
          if (values.isNullAt(one)) !nulls else inside(item, values, one).isDefined
        }.map(_ => "")
      case _ => None
    }
}
