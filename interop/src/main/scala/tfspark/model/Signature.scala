package tfspark.model

import org.tensorflow.proto.{SignatureDef, TensorInfo}
import scala.jdk.CollectionConverters._
import tfspark.SignatureError
import tfspark.tensors.TensorSpec

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
      val dtype = TensorSpec.Dtypes.get(info.getDtypeValue)
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
