package tfspark.model

import org.tensorflow.proto.{MetaGraphDef, NodeDef}
import scala.jdk.CollectionConverters._

/** In which order a function takes the inputs of its signature (`tfspark/registry/order.py`).
  *
  * A signature is a map, without an order of its own. TensorFlow 2 wraps a function that is
  * exported in one that takes the inputs by name and calls the first with them by position;
  * TensorFlow 1 has a placeholder for each.
  */
private[model] object Order {

  /** The names of the inputs, in the order of the function's own arguments.
    *
    * @param inputs
    *   name of an input → its tensor
    */
  def of(meta: MetaGraphDef, inputs: Map[String, String]): Seq[String] = {
    val graph = meta.getGraphDef
    val nodes = graph.getNodeList.asScala.toSeq
    val named = inputs.map { case (name, tensor) => Program.nodeOf(tensor) -> name }
    val inside = for {
      call <- callOf(nodes, named)
      wrapper <- graph.getLibrary.getFunctionList.asScala
        .find(_.getSignature.getName == call.getAttrOrThrow("f").getFunc.getName)
      arguments = wrapper.getSignature.getInputArgList.asScala.map(_.getName)
      own = arguments
        .zip(call.getInputList.asScala.map(Program.nodeOf))
        .collect { case (argument, tensor) if named.contains(tensor) => argument -> named(tensor) }
        .toMap
      called <- callOf(wrapper.getNodeDefList.asScala.toSeq, own)
    } yield called.getInputList.asScala.map(Program.nodeOf).flatMap(own.get).toSeq
    val placed = nodes.map(_.getName).flatMap(named.get)
    (inside.getOrElse(Nil) ++ placed ++ inputs.keys.toSeq.sorted).distinct
  }

  /** The first call that takes one of the tensors. */
  private def callOf(nodes: Seq[NodeDef], named: Map[String, String]): Option[NodeDef] =
    nodes.find { node =>
      Program.Calls(node.getOp) && node.containsAttr("f") &&
      node.getInputList.asScala.exists(tensor => named.contains(Program.nodeOf(tensor)))
    }
}
