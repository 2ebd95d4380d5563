package tfspark.model

import com.google.protobuf.{ByteString, InvalidProtocolBufferException, MessageLite, Parser}
import org.tensorflow.proto.{AssetFileDef, MetaGraphDef, TensorInfo, VariableDef}
import scala.jdk.CollectionConverters._
import tfspark.shared.Shared.say
import tfspark.{IntegrityError, UnsafeModelError}

/** What TensorFlow runs of a SavedModel: which of its graphs, and which ops of that one
  * (`tfspark/registry/entry.py`).
  */
private[tfspark] object Entry {
  val Tag = "serve"
  val InitOp = "__saved_model_init_op"
  private val MainOps = Seq("saved_model_main_op", "legacy_init_op")

  /** The one meta graph that is there to be served.
    *
    * @throws UnsafeModelError
    *   there are none or several
    */
  def serving(model: SavedModelFile): MetaGraphDef = {
    def tags(meta: MetaGraphDef) = meta.getMetaInfoDef.getTagsList.asScala.toSeq
    val found = model.graphs.filter(tags(_).toSet == Set(Tag))
    if (found.size > 1)
      throw new UnsafeModelError(
        say("many_graphs", "folder" -> model.folder, "count" -> found.size)
      )
    found.headOption.getOrElse {
      val all = model.graphs.map { meta =>
        val sorted = tags(meta).sorted
        if (sorted.isEmpty) "none" else sorted.mkString(", ")
      }
      val said = Seq("folder" -> model.folder, "tags" -> all.mkString("; "))
      throw new UnsafeModelError(say("no_serving_graph", said: _*))
    }
  }

  /** The assets that TensorFlow goes by: TensorFlow 1 has them in a collection. */
  def assets(meta: MetaGraphDef, folder: String): Seq[AssetFileDef] = {
    val collection = Option(meta.getCollectionDefMap.get("saved_model_assets"))
    if (meta.getAssetFileDefCount > 0 || collection.isEmpty) meta.getAssetFileDefList.asScala.toSeq
    else
      collection.get.getAnyList.getValueList.asScala.toSeq
        .map(any => part("AssetFileDef", AssetFileDef.parser, any.getValue, folder))
  }

  /** The ops that may initialise what is not restored; the first of the lists is run.
    *
    * Where none is named, those of the tables and of the variables that are not saved are run.
    */
  def initOps(meta: MetaGraphDef, folder: String): Seq[Seq[String]] = {
    val collections = meta.getCollectionDefMap
    val signed = Option(meta.getSignatureDefMap.get(InitOp)).map { signature =>
      Option(signature.getOutputsMap.get(InitOp)).map(_.getName).toSeq
    }
    val named = MainOps.flatMap { name =>
      Option(collections.get(name)).map(_.getNodeList.getValueList.asScala.toSeq)
    }
    val tables = Option(collections.get("table_initializer")).toSeq
      .flatMap(_.getNodeList.getValueList.asScala)
    val variables = Option(collections.get("local_variables")).toSeq
      .flatMap(_.getBytesList.getValueList.asScala)
      .map(part("VariableDef", VariableDef.parser, _, folder).getInitializerName)
    ((signed.toSeq ++ named) :+ (tables ++ variables)).map(_.map(Program.nodeOf))
  }

  /** The tensors of an input or an output: several of a sparse or a composite one. */
  def tensors(info: TensorInfo): Seq[String] = info.getEncodingCase match {
    case TensorInfo.EncodingCase.COO_SPARSE =>
      val sparse = info.getCooSparse
      Seq(
        sparse.getValuesTensorName,
        sparse.getIndicesTensorName,
        sparse.getDenseShapeTensorName
      )
    case TensorInfo.EncodingCase.COMPOSITE_TENSOR =>
      info.getCompositeTensor.getComponentsList.asScala.toSeq.flatMap(tensors)
    case TensorInfo.EncodingCase.NAME => Seq(info.getName)
    case _ => Nil
  }

  private def part[T <: MessageLite](
      message: String,
      parser: Parser[T],
      content: ByteString,
      folder: String
  ): T = {
    val where = s"$folder/${SavedModelFile.Name}"
    def damaged =
      new IntegrityError(say("no_saved_model", "where" -> where, "file" -> SavedModelFile.Name))
    if (!Form.isClear(content.toByteArray, message)) throw damaged
    try parser.parseFrom(content)
    catch { case _: InvalidProtocolBufferException => throw damaged }
  }
}
