package tfspark.tfrecord

import org.apache.spark.sql.catalyst.expressions._
import org.apache.spark.sql.functions.{col, udf, unwrap_udt}
import org.apache.spark.sql.types._
import org.apache.spark.sql.{Column, Row}

/** Spark's vectors of `ml` and `mllib`, told by their names: a record holds the list of values. */
private[tfrecord] object Vectors {
  val asArray: DataType = ArrayType(DoubleType)
  private val names = Seq("ml", "mllib").map(room => s"org.apache.spark.$room.linalg.VectorUDT")

  def is(kind: DataType): Boolean = kind match {
    case own: UserDefinedType[_] => names.contains(own.getClass.getName)
    case _ => false
  }

  /** The columns of a schema, a vector as its values. */
  def plain(schema: StructType): Seq[Column] = schema.map { field =>
    val column = col(s"`${field.name.replace("`", "``")}`")
    if (is(field.dataType)) dense(unwrap_udt(column)).as(field.name) else column
  }

  /** A list of values as a dense vector. */
  def made(values: Expression): Expression = {
    val whole = CreateNamedStruct(
      Seq(
        Seq(Literal("type"), Literal(1.toByte)),
        Seq(Literal("size"), Literal(null, IntegerType)),
        Seq(Literal("indices"), Literal(null, ArrayType(IntegerType, containsNull = false))),
        Seq(Literal("values"), Cast(values, asArray))
      ).flatten
    )
    If(IsNull(values), Literal(null, whole.dataType), whole)
  }

  // type (0: sparse), size, indices, values
  private val dense = udf { (vector: Row) =>
    if (vector == null) null
    else if (vector.getByte(0) != 0) vector.getSeq[Double](3).toArray
    else {
      val all = new Array[Double](vector.getInt(1))
      for ((at, value) <- vector.getSeq[Int](2).zip(vector.getSeq[Double](3))) all(at) = value
      all
    }
  }
}
