package tfspark.model

import com.google.protobuf.ByteString
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedObject
import org.tensorflow.proto.{AssetFileDef, MetaGraphDef, NodeDef}
import scala.collection.mutable
import scala.jdk.CollectionConverters._

/** The files that a SavedModel brings along, and which tensors are their paths
  * (`tfspark/registry/assets.py`).
  */
private[model] final class Assets(
    meta: MetaGraphDef,
    program: Program,
    assets: Seq[AssetFileDef]
) {
  import Program.nodeOf
  private val Variable = "VarHandleOp"
  private val main = program.main
  private val objects = meta.getObjectGraphDef.getNodesList
  private val count = assets.size

  /** The nodes that TensorFlow feeds with the paths. */
  val placeholders: Set[String] =
    assets.map(asset => nodeOf(asset.getTensorInfo.getName)).toSet

  private val proven = mutable.HashSet.empty[(String, Int)]
  private val holds = mutable.HashMap.empty[String, Boolean]
  private val users = mutable.HashMap.empty[String, mutable.ArrayBuffer[NodeDef]]
  for (node <- main.listed; tensor <- node.getInputList.asScala)
    users.getOrElseUpdate(nodeOf(tensor), mutable.ArrayBuffer.empty) += node
  private val variables: Map[ByteString, Int] =
    main.listed.filter(_.getOp == Variable).groupMapReduce(shared)(_ => 1)(_ + _)
  private val inFunctions = program.functions.values.exists(_.listed.exists(_.getOp == Variable))

  /** Whether a tensor is the path of an asset, whoever calls the graph. */
  def has(graph: Graph, tensor: String): Boolean =
    program.comesFrom(graph, tensor, isPath, isCaptured, proven)

  /** Whether the object that calls the function hands it an asset there. */
  private def isCaptured(function: String, argument: Int): Boolean =
    !program.elsewhere(function) && program.bound.get(function).exists { bound =>
      // The last arguments are the captured objects.
      val place = argument - (program.functions(function).args.size - bound.size)
      bound.lift(place).filter(object_ => object_ >= 0 && object_ < objects.size).exists { at =>
        val captured = objects.get(at)
        val index = captured.getAsset.getAssetFileDefIndex
        captured.getKindCase == SavedObject.KindCase.ASSET && index >= 0 && index < count
      }
    }

  /** Of the main graph: a placeholder that TensorFlow feeds, or a variable that holds one. */
  def isPath(tensor: String): Boolean = main.nodes.get(nodeOf(tensor)) match {
    case Some(node) if node.getOp == "ReadVariableOp" && node.getInputCount > 0 =>
      holds.getOrElseUpdate(nodeOf(node.getInput(0)), holdsAPath(nodeOf(node.getInput(0))))
    case _ => isFed(tensor)
  }

  private def isFed(tensor: String): Boolean =
    main.nodes.get(nodeOf(tensor)).exists { node =>
      node.getOp == "Placeholder" && placeholders(node.getName)
    }

  /** Whether nothing but the path of an asset is ever put into a variable. */
  private def holdsAPath(handle: String): Boolean =
    main.nodes.get(handle).filter(_.getOp == Variable).exists { variable =>
      // Variables are found by name, so one name must be one node.
      variables(shared(variable)) == 1 && !inFunctions &&
      users(handle).forall(leavesIt(_, handle))
    }

  /** Whether a node only reads the variable, or puts the path of an asset into it. */
  private def leavesIt(node: NodeDef, handle: String): Boolean = node.getOp match {
    case "AssignVariableOp" if node.getInputCount > 1 =>
      nodeOf(node.getInput(1)) != handle && isFed(main.source(node.getInput(1)))
    case op => op == "ReadVariableOp" || op == "VarIsInitializedOp"
  }

  private def shared(node: NodeDef): ByteString =
    Option(node.getAttrMap.get("shared_name"))
      .map(_.getS)
      .filterNot(_.isEmpty)
      .getOrElse(node.getNameBytes)
}

private[model] object Assets {

  /** Whether the name of an asset is a file in the model's folder. */
  def isInside(name: String): Boolean = {
    val outside = name.startsWith("/") || name.contains("://") || name.contains("\\") ||
      name.contains("\u0000")
    name.nonEmpty && !outside && !name.split("/").contains("..")
  }
}
