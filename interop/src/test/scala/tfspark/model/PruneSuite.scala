package tfspark.model

import java.nio.file.{Files, Paths}
import org.scalatest.funsuite.AnyFunSuite
import org.tensorflow.proto.{GraphDef, SavedModel, TensorShapeProto}
import scala.jdk.CollectionConverters._
import tfspark.SignatureError
import tfspark.SpecSuite.{list, map, read}

/** `spec/pruned.yaml`; `tests/spec/test_pruned.py` has the same of Python. */
class PruneSuite extends AnyFunSuite {
  private val spec = map(read("pruned.yaml"))

  for (told <- list(spec("cases")).map(map)) {
    val (model, signature) = (told("model").toString, told("signature").toString)
    test(s"what is opened of $model for $signature") {
      val folder = Paths.get("tests", "old", model)
      val content = Files.readAllBytes(folder.resolve(SavedModelFile.Name))
      val meta = Entry.serving(new SavedModelFile(folder.toString, content))
      val part = Prune(meta, signature)
      val nodes = part.graph.getNodeList.asScala.toSeq.map(_.getName)
      val functions = part.graph.getLibrary.getFunctionList.asScala.toSeq
      assert(nodes.filterNot(_.startsWith("tfspark_restore")) == list(told("nodes")))
      assert(functions.map(_.getSignature.getName) == list(told("functions")))
      assert(restored(part.graph) == list(told("restored")))
      assert(part.init == list(told("init")))
      assert(part.assets.map { case (tensor, file) => s"$tensor $file" } == list(told("assets")))
    }
  }

  for (told <- list(spec("shapes")).map(map))
    test(s"an input of the shape ${told("sizes")}") {
      val sizes = list(told("sizes")).map(_.toString.toLong)
      def read() = Signature.read(new SavedModelFile("M", sized(sizes)), Signature.Default)
      told.get("says") match {
        case Some(said) => assert(intercept[SignatureError](read()).getMessage == said)
        case None => assert(read().inputs.map(_.shape) == Seq(sizes.tail))
      }
    }

  /** A model whose input x has another shape. */
  private def sized(sizes: Seq[Long]): Array[Byte] = {
    val shape = TensorShapeProto.newBuilder()
    sizes.foreach(size => shape.addDim(TensorShapeProto.Dim.newBuilder().setSize(size)))
    val content = Files.readAllBytes(Paths.get("tests", "old", "reference", SavedModelFile.Name))
    val model = SavedModel.parseFrom(content).toBuilder
    val meta = model.getMetaGraphsBuilder(0)
    val signature = meta.getSignatureDefMap.get(Signature.Default).toBuilder
    val info = signature.getInputsMap.get("x").toBuilder.setTensorShape(shape).build()
    meta.putSignatureDef(Signature.Default, signature.putInputs("x", info).build())
    model.build().toByteArray
  }

  /** The variables, and what of the checkpoint each gets. */
  private def restored(graph: GraphDef): Seq[String] = {
    val nodes = graph.getNodeList.asScala.map(node => node.getName -> node).toMap
    def texts(name: String) = nodes.get(s"tfspark_restore/$name").toSeq.flatMap { node =>
      node.getAttrMap.get("value").getTensor.getStringValList.asScala.map(_.toStringUtf8)
    }
    texts("keys").zip(texts("parts")).zipWithIndex.map { case ((key, part), place) =>
      s"${nodes(s"tfspark_restore/put_$place").getInput(0)} $key $part".trim
    }
  }
}
