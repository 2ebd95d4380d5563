package tfspark.model

import java.nio.charset.StandardCharsets.UTF_8
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedObjectGraph
import org.tensorflow.proto.{FunctionDef, MetaGraphDef, NodeDef}
import scala.collection.mutable
import scala.io.Source
import scala.jdk.CollectionConverters._
import scala.util.Using
import tfspark.UnsafeModelError

/** Whether a SavedModel may be opened: every op of every graph in it is on the allow-list.
  *
  * The rule and the list are the Python side's (`tfspark/registry/safety.py`).
  */
private[tfspark] object Safety {

  lazy val allowed: Set[String] =
    Using.resource(
      Source.fromInputStream(getClass.getResourceAsStream("/tfspark/allowed_ops.txt"))
    ) {
      _.getLines().map(_.trim).filter(_.nonEmpty).toSet
    }

  /** Refuse a SavedModel that could do more than compute.
    *
    * @throws UnsafeModelError
    *   an op that is not allow-listed, an asset outside the folder, or a second form of the model
    */
  def check(names: Seq[String], model: SavedModelFile): Unit = {
    for (name <- names if name.startsWith("saved_model.") && name != SavedModelFile.Name)
      throw new UnsafeModelError(
        s"model ${model.folder}: $name stands beside ${SavedModelFile.Name}, and only " +
          s"${SavedModelFile.Name} is checked; remove $name"
      )
    for (graph <- model.graphs) {
      if (!graph.hasObjectGraphDef)
        throw new UnsafeModelError(
          s"model ${model.folder}: is a TensorFlow 1 model, which runs its main graph when it is " +
            "opened; export it again with TensorFlow 2"
        )
      for (asset <- graph.getAssetFileDefList.asScala.map(_.getFilename)) {
        val path = java.nio.file.Paths.get(asset).normalize.toString
        val outside = path.startsWith("/") || path.startsWith("..")
        if (outside || asset.contains("://") || asset.contains("\\"))
          throw new UnsafeModelError(
            s"model ${model.folder}: asset '$asset' is not in the model's folder"
          )
      }
      new Walk(model.folder, graph).check()
    }
  }

  private val SaverOps = Set("SaveV2", "MergeV2Checkpoints", "RestoreV2")
  private val TextTable = "InitializeTableFromTextFileV2"
  private val Print = "PrintV2"
  private val Streams = Set("stderr", "stdout", "log(info)", "log(warning)", "log(error)")
  private val Calls = Set("PartitionedCall", "StatefulPartitionedCall")

  /** One meta graph: its main graph, its functions, and who calls whom. */
  private final class Walk(folder: String, meta: MetaGraphDef) {
    private val main = meta.getGraphDef.getNodeList.asScala.toSeq
    private val functions: Map[String, FunctionDef] =
      meta.getGraphDef.getLibrary.getFunctionList.asScala
        .map(f => f.getSignature.getName -> f)
        .toMap
    private val objects: SavedObjectGraph = meta.getObjectGraphDef
    private val concrete: Map[String, Seq[Int]] = objects.getConcreteFunctionsMap.asScala.map {
      case (name, function) => name -> function.getBoundInputsList.asScala.map(_.intValue).toSeq
    }.toMap

    def check(): Unit = {
      val definition = meta.getSaverDef
      val saver =
        Set(definition.getSaveTensorName.takeWhile(_ != ':'), definition.getRestoreOpName) - ""
      // The saver's nodes of the main graph are not run when a TensorFlow 2 model is opened.
      val others = main.filterNot(node => saver(node.getName))
      val openToAll = reached(called(others) ++ concrete.keys)
      val saverOnly = reached(called(main)) -- openToAll
      val inFunctions = functions.toSeq.flatMap { case (name, function) =>
        function.getNodeDefList.asScala.map(name -> _)
      }
      for ((function, node) <- main.map("" -> _) ++ inFunctions) node.getOp match {
        case op if allowed(op) => functionsExist(node, function)
        case op if SaverOps(op) && saverOnly(function) => ()
        case TextTable => readsAnAsset(node, function)
        case Print =>
          val stream = Option(node.getAttrMap.get("output_stream")).map(_.getS.toString(UTF_8))
          if (!stream.forall(Streams)) refuse(node, function, "prints to a file")
        case _ => refuse(node, function, "is not allow-listed")
      }
    }

    private def reached(names: Iterable[String]): Set[String] = {
      val reached = mutable.Set.empty[String]
      val todo = mutable.Stack.from(names)
      while (todo.nonEmpty) {
        val name = todo.pop()
        if (functions.contains(name) && reached.add(name))
          todo.pushAll(called(functions(name).getNodeDefList.asScala))
      }
      reached.toSet
    }

    private def functionsExist(node: NodeDef, function: String): Unit =
      for (name <- named(node) if !functions.contains(name))
        refuse(node, function, s"calls $name, which the model does not hold")

    private def readsAnAsset(node: NodeDef, function: String): Unit = {
      val tensor = if (node.getInputCount > 1) node.getInput(1) else ""
      if (!argument(function, tensor).exists(isAsset(function, _, Set.empty)))
        refuse(node, function, "reads a file that is no asset of the model")
    }

    /** Whether everyone who calls the function hands it an asset there. */
    private def isAsset(function: String, argument: Int, seen: Set[String]): Boolean = {
      if (seen(function)) return false
      // The last arguments are the captured objects.
      val bound = concrete.getOrElse(function, Nil)
      if (concrete.contains(function)) {
        val place =
          argument - (functions(function).getSignature.getInputArgCount - bound.size)
        val known = bound.isDefinedAt(place) && bound(place) >= 0 &&
          bound(place) < objects.getNodesCount
        if (!known || !objects.getNodes(bound(place)).hasAsset) return false
      }
      functions.forall { case (caller, definition) =>
        definition.getNodeDefList.asScala.filter(named(_).exists(_ == function)).forall { node =>
          Calls(node.getOp) && argument < node.getInputCount &&
          this.argument(caller, node.getInput(argument)).exists(isAsset(caller, _, seen + function))
        }
      }
    }

    /** The position of the function's argument that a tensor is, looking through Identity. */
    private def argument(function: String, tensor: String): Option[Int] =
      functions.get(function).flatMap { definition =>
        val nodes = definition.getNodeDefList.asScala.map(node => node.getName -> node).toMap
        var at = tensor
        var node = nodes.get(at.takeWhile(_ != ':'))
        while (node.exists(n => n.getOp == "Identity" && n.getInputCount > 0)) {
          at = node.get.getInput(0)
          node = nodes.get(at.takeWhile(_ != ':'))
        }
        val names = definition.getSignature.getInputArgList.asScala.map(_.getName)
        Some(names.indexOf(at)).filter(_ >= 0)
      }

    private def refuse(node: NodeDef, function: String, why: String): Nothing = {
      val place = if (function.isEmpty) "the main graph" else s"function $function"
      throw new UnsafeModelError(
        s"model $folder: op ${node.getOp} (node ${node.getName} in $place) $why; the model is not " +
          "opened: it could do more than compute. Export it without this op"
      )
    }
  }

  private def called(nodes: Iterable[NodeDef]): Iterable[String] = nodes.flatMap(named)

  /** The functions that a node's attributes name. */
  private def named(node: NodeDef): Iterable[String] =
    node.getAttrMap.values.asScala
      .flatMap(value => value.getFunc +: value.getList.getFuncList.asScala.toSeq)
      .map(_.getName)
      .filter(_.nonEmpty)
}
