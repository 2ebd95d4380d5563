package tfspark.model

import org.tensorflow.proto.{SignatureDef, TensorInfo}
import scala.jdk.CollectionConverters._
import tfspark.SignatureError
import tfspark.shared.Shared.say
import tfspark.tensors.TensorSpec

/** What a SavedModel takes and gives.
  *
  * @param inputs
  *   in the order of the function's own arguments
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

  /** The signature of a model, read from the SavedModel itself.
    *
    * @throws SignatureError
    *   there is none of that name, or a tensor of it has no rows or is sparse or ragged
    */
  def read(model: SavedModelFile, name: String): Signature = {
    val meta = Entry.serving(model)
    val there = meta.getSignatureDefMap.asScala.toMap - Entry.InitOp
    def refuse(why: String) = throw new SignatureError(
      say(
        why,
        "folder" -> model.folder,
        "name" -> name,
        "names" -> there.keys.toSeq.sorted.mkString(", ")
      )
    )
    if (there.isEmpty) refuse("no_signatures")
    val found = there.getOrElse(name, refuse("no_signature"))
    if (found.getInputsCount == 0) refuse("no_inputs")
    if (found.getOutputsCount == 0) refuse("no_outputs")
    val read = of(model.folder, name, found)
    val byName = read.inputs.map(spec => spec.name -> spec).toMap
    val order = Order.of(meta, byName.map { case (key, spec) => key -> spec.tensor })
    read.copy(inputs = order.map(byName))
  }

  private def of(folder: String, name: String, found: SignatureDef): Signature = {
    val inputs = specs(folder, "input", found.getInputsMap.asScala.toMap)
    val outputs = specs(folder, "output", found.getOutputsMap.asScala.toMap)
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
      checkSizes(place, sizes)
      val row = sizes.drop(1).map(size => if (size < 0) -1L else size)
      (TensorSpec(key, dtype.get, row, tensor = info.getName), sizes.headOption.filter(_ >= 0))
    }

  private def checkSizes(place: String, sizes: Seq[Long]): Unit = {
    val count = sizes.filter(_ > 0).map(BigInt(_)).product
    if (count > Int.MaxValue)
      throw new SignatureError(
        say("too_large", "place" -> place, "count" -> count, "most" -> Int.MaxValue)
      )
    if (sizes.headOption.contains(0L)) throw new SignatureError(say("no_rows", "place" -> place))
  }
}
