package tfspark.tensors

/** One named input or output of a model.
  *
  * @param dtype
  *   TensorFlow's name: `float32`, `int64`, `string`, `bool`...
  * @param shape
  *   of one row, without the batch dimension; -1 where any size is taken
  * @param empty
  *   what stands for null: a Double, a Long, a Boolean or a String; None where a null makes a bad
  *   row
  * @param pad
  *   what fills up lists that are shorter than their dimension, or than the longest of the batch
  *   where it is open; None where lists must have one length
  * @param refuseNan
  *   whether a row with NaN in it is a bad row
  * @param tensor
  *   its name in the graph
  */
final case class TensorSpec(
    name: String,
    dtype: String,
    shape: Seq[Long],
    empty: Option[Any] = None,
    pad: Option[Any] = None,
    refuseNan: Boolean = false,
    tensor: String = ""
) {

  /** Bytes of one value in a batch; of text the reference. */
  private[tfspark] def width: Int = dtype match {
    case "bool" | "uint8" | "int8" => 1
    case "float16" | "bfloat16" | "uint16" | "int16" => 2
    case "float32" | "int32" | "uint32" => 4
    case _ => 8
  }

  /** The shape as Python prints it. */
  private[tfspark] def printed: String =
    shape.map(size => if (size < 0) "None" else size.toString).mkString("[", ", ", "]")
}

private[tfspark] object TensorSpec {

  /** TensorFlow's numbers of its dtypes. */
  val Dtypes = Map(
    1 -> "float32",
    2 -> "float64",
    3 -> "int32",
    4 -> "uint8",
    5 -> "int16",
    6 -> "int8",
    7 -> "string",
    8 -> "complex64",
    9 -> "int64",
    10 -> "bool",
    14 -> "bfloat16",
    17 -> "uint16",
    18 -> "complex128",
    19 -> "float16",
    22 -> "uint32",
    23 -> "uint64"
  )

  /** TensorFlow's number of a dtype. */
  def code(dtype: String): Int = codes(dtype)
  private lazy val codes = Dtypes.map(_.swap)
}
