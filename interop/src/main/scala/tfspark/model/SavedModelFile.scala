package tfspark.model

import com.google.protobuf.{CodedInputStream, InvalidProtocolBufferException}
import org.tensorflow.proto.{MetaGraphDef, SavedModel}
import scala.jdk.CollectionConverters._
import tfspark.IntegrityError
import tfspark.shared.Shared.say

/** `saved_model.pb`, parsed and not run. */
private[tfspark] final class SavedModelFile(val folder: String, content: Array[Byte]) {
  private val where = s"$folder/${SavedModelFile.Name}"

  val graphs: Seq[MetaGraphDef] = {
    // What passes has no deeper nesting than protobuf reads.
    if (!Form.isClear(content)) throw damaged
    val found =
      try {
        val input = CodedInputStream.newInstance(content)
        input.setSizeLimit(Int.MaxValue)
        SavedModel.parseFrom(input).getMetaGraphsList.asScala.toSeq
      } catch { case _: InvalidProtocolBufferException => throw damaged }
    if (found.isEmpty) throw new IntegrityError(say("no_graph", "where" -> where))
    found
  }

  private def damaged =
    new IntegrityError(say("no_saved_model", "where" -> where, "file" -> SavedModelFile.Name))
}

private[tfspark] object SavedModelFile {
  val Name = "saved_model.pb"
}
