package tfspark.model

import java.nio.charset.StandardCharsets.UTF_8
import org.tensorflow.proto.{AttrValue, FunctionDef, MetaGraphDef, NodeDef, TensorInfo}
import scala.collection.mutable
import scala.io.Source
import scala.jdk.CollectionConverters._
import scala.util.Using
import tfspark.UnsafeModelError
import tfspark.shared.Shared.say

/** Whether a SavedModel may be opened: every op of every graph in it is on the allow-list.
  *
  * The rules, their order and the list are the Python side's (`tfspark/registry/safety.py`).
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
    def refuse(text: String, said: (String, Any)*): Nothing =
      throw new UnsafeModelError(say(text, ("folder" -> model.folder) +: said: _*))
    val file = SavedModelFile.Name
    for (name <- names if name.startsWith("saved_model.") && name != file)
      refuse("second_form", "name" -> name, "file" -> file)
    // TensorFlow opens several graphs, too, as it opens a TensorFlow 1 model.
    if (model.graphs.size > 1) refuse("many_graphs", "count" -> model.graphs.size)
    val meta = model.graphs.head
    if (!meta.hasObjectGraphDef) refuse("tensorflow_1")
    for (asset <- meta.getAssetFileDefList.asScala.map(_.getFilename) if !Assets.isInside(asset))
      refuse("asset_outside", "asset" -> asset)
    new Check(model.folder, meta).run()
  }

  private val Save = Set("SaveV2", "MergeV2Checkpoints")
  private val Restore = "RestoreV2"
  private val TextTable = "InitializeTableFromTextFileV2"
  private val Print = "PrintV2"
  private val Streams = Set("stderr", "stdout", "log(info)", "log(warning)", "log(error)")
  private val LookedAt = Save + Restore + TextTable + Print
  private val Inputs = Set("Placeholder", "PlaceholderWithDefault")
  // A resource or a variant that is read from bytes may be anybody's.
  private val Handles = Set(20, 21, 120, 121)
  private val ReadBytes =
    Set("ParseTensor", "DeserializeSparse", "DeserializeManySparse", Restore)

  /** The rules for one meta graph. */
  private final class Check(folder: String, meta: MetaGraphDef) {
    import Program.{attributes, funcs, named, nodeOf}
    namesAreClear()
    private val program = new Program(meta)
    private val main = program.main
    private val assets = new Assets(meta, program)
    private val filename = nodeOf(meta.getSaverDef.getFilenameTensorName)
    private val restored = mutable.HashSet.empty[(String, Int)]

    def run(): Unit = {
      val (save, restore) = saver()
      // The saver's calls are run by nobody but TensorFlow, which tells them the file.
      val others = main.listed.filterNot(node => node.getName == save || node.getName == restore)
      val byOthers =
        program.reached(others.flatMap(named) ++ program.objects ++ program.elsewhere)
      val bySave = program.reached(program.calledBy(save))
      val byRestore = program.reached(program.calledBy(restore))
      val saves = bySave -- byRestore -- byOthers
      val restores = byRestore -- bySave -- byOthers
      for (graph <- program.graphs; node <- graph.listed) {
        checkOp(graph, node, saves, restores)
        checkAttributes(graph, node)
      }
      checkInputs()
    }

    /** Whether every name means one thing: TensorFlow looks up ops and functions by name. */
    private def namesAreClear(): Unit = {
      val seen = mutable.HashSet.empty[String]
      for (function <- meta.getGraphDef.getLibrary.getFunctionList.asScala) {
        val name = function.getSignature.getName
        if (allowed(name) || LookedAt(name)) refuseFunction(name, "function_is_op")
        if (!seen.add(name)) refuseFunction(name, "function_twice")
        val args = argumentsOf(function)
        nodesAreClear(name, function.getNodeDefList.asScala, args)
      }
      nodesAreClear("", meta.getGraphDef.getNodeList.asScala, Nil)
    }

    private def argumentsOf(function: FunctionDef): Seq[String] = {
      val args = function.getSignature.getInputArgList.asScala.toSeq
      val names = args.map(_.getName)
      val open = args.exists(a => a.getNumberAttr.nonEmpty || a.getTypeListAttr.nonEmpty)
      if (open || names.distinct.size < names.size)
        refuseFunction(function.getSignature.getName, "function_arguments")
      names
    }

    private def nodesAreClear(graph: String, nodes: Iterable[NodeDef], args: Seq[String]): Unit = {
      val seen = mutable.HashSet.from(args)
      for (node <- nodes if !seen.add(node.getName)) refuse(graph, node, "op_twice")
    }

    /** The calls by which TensorFlow saves and restores, where nothing else runs them. */
    private def saver(): (String, String) = {
      val signatures = meta.getSignatureDefMap.values.asScala
      val infos =
        signatures.flatMap(s => s.getInputsMap.values.asScala ++ s.getOutputsMap.values.asScala)
      val collections = meta.getCollectionDefMap.values.asScala
      val used = mutable.HashSet.empty[String]
      for (node <- main.listed; tensor <- node.getInputList.asScala)
        used += nodeOf(tensor.stripPrefix("^"))
      used ++= infos.flatMap(tensors).map(nodeOf)
      used ++= collections.flatMap(_.getNodeList.getValueList.asScala).map(nodeOf)
      val save = nodeOf(meta.getSaverDef.getSaveTensorName)
      val restore = meta.getSaverDef.getRestoreOpName
      def alone(name: String) = if (!used(name) && isCall(name)) name else ""
      if (save == restore) ("", "") else (alone(save), alone(restore))
    }

    /** Whether the node of that name calls a function and names no other. */
    private def isCall(name: String): Boolean = main.nodes.get(name).exists { node =>
      Program.Calls(node.getOp) &&
      Option(node.getAttrMap.get("f")).exists(f => named(node) == Seq(f.getFunc.getName))
    }

    private def checkOp(
        graph: Graph,
        node: NodeDef,
        saves: Set[String],
        restores: Set[String]
    ): Unit = node.getOp match {
      case op if allowed(op) || Save(op) && saves(graph.name) => ()
      case Restore if restores(graph.name) =>
        if (!isRestored(graph, node)) refuse(graph.name, node, "op_no_checkpoint")
      case TextTable =>
        val file = if (node.getInputCount > 1) node.getInput(1) else ""
        if (!assets.has(graph, file)) refuse(graph.name, node, "op_no_asset")
      case Print =>
        val stream = Option(node.getAttrMap.get("output_stream")).map(_.getS.toString(UTF_8))
        if (!stream.forall(Streams)) refuse(graph.name, node, "op_prints")
      case _ => refuse(graph.name, node, "op_unlisted")
    }

    private def isRestored(graph: Graph, node: NodeDef): Boolean = {
      val file = if (node.getInputCount > 0) node.getInput(0) else ""
      program.comesFrom(graph, file, isFilename, (_, _) => false, restored)
    }

    private def isFilename(tensor: String): Boolean =
      main.nodes.get(nodeOf(tensor)).exists { node =>
        node.getOp == "Placeholder" && node.getName == filename
      }

    private def checkAttributes(graph: Graph, node: NodeDef): Unit =
      for ((key, value) <- attributes(node)) {
        val inner = funcs(value).flatMap(_.getAttrMap.values.asScala)
        if (inner.exists(namesMore) || value.getValueCase == AttrValue.ValueCase.PLACEHOLDER)
          refuse(graph.name, node, "op_attribute", "name" -> key)
        val read = if (ReadBytes(node.getOp)) types(value) else Nil
        if ((tensorTypes(value) ++ read).exists(Handles)) refuse(graph.name, node, "op_resource")
        for (func <- funcs(value) if func.getName.nonEmpty)
          if (!program.functions.contains(func.getName))
            refuse(graph.name, node, "op_no_function", "name" -> func.getName)
      }

    /** What a caller feeds is made to be fed: an input, and no file's name. */
    private def checkInputs(): Unit =
      for {
        (name, signature) <- meta.getSignatureDefMap.asScala.toSeq.sortBy(_._1)
        (key, info) <- signature.getInputsMap.asScala.toSeq.sortBy(_._1)
        tensor <- tensors(info)
      } {
        val isInput = main.nodes.get(nodeOf(tensor)).exists { node =>
          Inputs(node.getOp) && !assets.placeholders(node.getName) &&
          node.getName != filename
        }
        if (!isInput) {
          val said = Seq("signature" -> name, "input" -> key, "tensor" -> tensor)
          throw new UnsafeModelError(say("unsafe_input", ("folder" -> folder) +: said: _*))
        }
      }

    private def refuse(graph: String, node: NodeDef, why: String, said: (String, Any)*): Nothing = {
      val place = if (graph.isEmpty) "the main graph" else s"function $graph"
      throw new UnsafeModelError(
        say(
          "unsafe_op",
          "folder" -> folder,
          "op" -> node.getOp,
          "node" -> node.getName,
          "place" -> place,
          "why" -> say(why, said: _*)
        )
      )
    }

    private def refuseFunction(name: String, why: String): Nothing =
      throw new UnsafeModelError(
        say("unsafe_function", "folder" -> folder, "function" -> name, "why" -> say(why))
      )
  }

  private def namesMore(value: AttrValue): Boolean =
    value.getValueCase == AttrValue.ValueCase.PLACEHOLDER || Program.funcs(value).nonEmpty

  private def types(value: AttrValue): Seq[Int] = value.getValueCase match {
    case AttrValue.ValueCase.TYPE => Seq(value.getTypeValue)
    case AttrValue.ValueCase.LIST => value.getList.getTypeValueList.asScala.map(_.intValue).toSeq
    case _ => Nil
  }

  private def tensorTypes(value: AttrValue): Seq[Int] = value.getValueCase match {
    case AttrValue.ValueCase.TENSOR => Seq(value.getTensor.getDtypeValue)
    case AttrValue.ValueCase.LIST => value.getList.getTensorList.asScala.map(_.getDtypeValue).toSeq
    case _ => Nil
  }

  /** The tensors of an input or an output: several of a sparse or a composite one. */
  private def tensors(info: TensorInfo): Seq[String] = info.getEncodingCase match {
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
}
