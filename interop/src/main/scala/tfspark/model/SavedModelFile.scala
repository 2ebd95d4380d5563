package tfspark.model

import com.google.protobuf.{CodedInputStream, InvalidProtocolBufferException}
import org.tensorflow.proto.{MetaGraphDef, SavedModel}
import scala.jdk.CollectionConverters._
import tfspark.IntegrityError

/** `saved_model.pb`, parsed and not run. */
private[tfspark] final class SavedModelFile(val folder: String, content: Array[Byte]) {

  val graphs: Seq[MetaGraphDef] =
    try {
      val input = CodedInputStream.newInstance(content)
      input.setSizeLimit(Int.MaxValue)
      SavedModel.parseFrom(input).getMetaGraphsList.asScala.toSeq
    } catch {
      case _: InvalidProtocolBufferException =>
        throw new IntegrityError(
          s"$folder/${SavedModelFile.Name}: is no ${SavedModelFile.Name}: it was damaged or cut off; " +
            "copy it again"
        )
    }
}

private[tfspark] object SavedModelFile {
  val Name = "saved_model.pb"
}
