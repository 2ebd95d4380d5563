package tfspark

import org.tensorflow.proto.{SignatureDef, TensorInfo}
import scala.jdk.CollectionConverters._

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

/** What a SavedModel takes and gives.
  *
  * @param batch
  *   the number of rows that the model takes at a time; None for any number
  */
final case class Signature(
    name: String,
    inputs: Seq[TensorSpec],
    outputs: Seq[TensorSpec],
    batch: Option[Int]
)

private[tfspark] object Signature {
  val Default = "serving_default"
  private val InitOp = "__saved_model_init_op"
  private val Dtypes = Map(
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

  /** The signature of a model, read from the SavedModel itself.
    *
    * @throws SignatureError
    *   there is none of that name, or a tensor of it has no rows or is sparse or ragged
    */
  def read(model: SavedModelFile, name: String): Signature = {
    val there = model.graphs
      .filter(_.getMetaInfoDef.getTagsList.contains("serve"))
      .flatMap(_.getSignatureDefMap.asScala)
      .toMap - InitOp
    val found = there.getOrElse(
      name, {
        val names = if (there.isEmpty) "none" else there.keys.toSeq.sorted.mkString(", ")
        throw new SignatureError(
          s"model ${model.folder}: has no signature $name (there are: $names); export it with " +
            "one: keras Model.export, or tf.saved_model.save(..., signatures=...)"
        )
      }
    )
    of(model.folder, name, found)
  }

  private def of(folder: String, name: String, found: SignatureDef): Signature = {
    val inputs = specs(folder, "input", found.getInputsMap.asScala.toMap)
    val outputs = specs(folder, "output", found.getOutputsMap.asScala.toMap)
    if (inputs.isEmpty || outputs.isEmpty)
      throw new SignatureError(
        s"model $folder: signature $name has no inputs or no outputs"
      )
    val batches = (inputs ++ outputs).flatMap(_._2).distinct.sorted
    if (batches.size > 1)
      throw new SignatureError(
        s"model $folder: signature $name has batches of ${batches.mkString(", ")} rows at once"
      )
    Signature(name, inputs.map(_._1), outputs.map(_._1), batches.headOption.map(_.toInt))
  }

  private def specs(
      folder: String,
      what: String,
      entries: Map[String, TensorInfo]
  ): Seq[(TensorSpec, Option[Long])] =
    entries.toSeq.sortBy(_._1).map { case (key, info) =>
      val place = s"model $folder: $what $key"
      val dtype = Dtypes.get(info.getDtypeValue)
      if (info.hasCooSparse || info.hasCompositeTensor || dtype.isEmpty)
        throw new SignatureError(
          s"$place is no plain tensor (sparse, ragged or a resource); " +
            "export a signature of dense tensors"
        )
      val shape = info.getTensorShape
      // An unknown rank is taken as one value a row; another shape is an error when it runs.
      val sizes = shape.getDimList.asScala.map(_.getSize).toSeq
      if (sizes.isEmpty && !shape.getUnknownRank)
        throw new SignatureError(
          s"$place is one value for the whole batch, not one a row; " +
            "export a signature in which it has the batch dimension"
        )
      val row = sizes.drop(1).map(size => if (size < 0) -1L else size)
      (TensorSpec(key, dtype.get, row, tensor = info.getName), sizes.headOption.filter(_ >= 0))
    }
}
