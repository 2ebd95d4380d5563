package tfspark.model

import java.nio.charset.StandardCharsets.UTF_8
import org.tensorflow.proto.{AssetFileDef, AttrValue, FunctionDef, MetaGraphDef, NodeDef}
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
    val meta = Entry.serving(model)
    val assets = Entry.assets(meta, model.folder)
    for (asset <- assets.map(_.getFilename) if !Assets.isInside(asset))
      refuse("asset_outside", "asset" -> asset)
    new Check(model.folder, meta, assets).run()
  }

  private val Save = Set("SaveV2", "MergeV2Checkpoints")
  private val Restore = "RestoreV2"
  private val TextTables = Set("InitializeTableFromTextFile", "InitializeTableFromTextFileV2")
  private val Print = "PrintV2"
  private val Streams = Set("stderr", "stdout", "log(info)", "log(warning)", "log(error)")
  private val LookedAt = Save ++ TextTables + Restore + Print
  // Ops that TensorFlow puts into a graph by itself; no exporter names a function so.
  private val Internal = "_[A-Z][A-Za-z0-9]*".r
  private val Inputs = Set("Placeholder", "PlaceholderWithDefault")
  private val Fed = Inputs + "Const"
  // A resource or a variant that is read from bytes may be anybody's.
  private val Handles = Set(20, 21, 120, 121)
  private val ReadBytes =
    Set("ParseTensor", "DeserializeSparse", "DeserializeManySparse", Restore)

  /** The rules for one meta graph. */
  private final class Check(
      folder: String,
      meta: MetaGraphDef,
      assetFiles: Seq[AssetFileDef]
  ) {
    import Entry.tensors
    import Program.{ancestors, attributes, funcs, named, nodeOf}
    namesAreClear()
    private val program = new Program(meta)
    private val main = program.main
    private val assets = new Assets(meta, program, assetFiles)
    private val init = Entry.initOps(meta, folder).flatten.toSet
    private val filename = nodeOf(meta.getSaverDef.getFilenameTensorName)
    // The nodes of the main graph that are run: to score, to initialise, to restore.
    private val scores = ancestors(
      main,
      meta.getSignatureDefMap.asScala.toSeq
        .filter(_._1 != Entry.InitOp)
        .map(_._2)
        .flatMap(s => s.getOutputsMap.values.asScala ++ s.getInputsMap.values.asScala)
        .flatMap(tensors)
        .map(nodeOf)
    )
    private val begins = ancestors(main, init)
    private val reads = ancestors(main, Seq(nodeOf(meta.getSaverDef.getRestoreOpName)))
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
        if (allowed(name) || LookedAt(name) || Internal.matches(name))
          refuseFunction(name, "function_is_op")
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
      used ++= init
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
      case op if allowed(op) => ()
      case op if Save(op) =>
        if (!isSaver(graph, node, saves)) refuse(graph.name, node, "op_unlisted")
      case Restore =>
        if (!restores(graph.name) && !isMainRestore(graph, node))
          refuse(graph.name, node, "op_unlisted")
        if (!isRestored(graph, node)) refuse(graph.name, node, "op_no_checkpoint")
      case op if TextTables(op) =>
        if (!isAsset(graph, node)) refuse(graph.name, node, "op_no_asset")
      case Print =>
        val stream = Option(node.getAttrMap.get("output_stream")).map(_.getS.toString(UTF_8))
        if (!stream.forall(Streams)) refuse(graph.name, node, "op_prints")
      case _ => refuse(graph.name, node, "op_unlisted")
    }

    /** Whether saving alone runs a node. */
    private def isSaver(graph: Graph, node: NodeDef, saves: Set[String]): Boolean = {
      val name = node.getName
      if (graph eq main) !scores(name) && !begins(name) && !reads(name) else saves(graph.name)
    }

    private def isMainRestore(graph: Graph, node: NodeDef): Boolean =
      (graph eq main) && !scores(node.getName) && !begins(node.getName)

    /** Whether a file that is read is the one that TensorFlow tells the saver. */
    private def isRestored(graph: Graph, node: NodeDef): Boolean = {
      val file = if (node.getInputCount > 0) node.getInput(0) else ""
      if (graph eq main) !reads(node.getName) || isFed(graph, file, Set(filename))
      else program.comesFrom(graph, file, isFilename, (_, _) => false, restored)
    }

    private def isFilename(tensor: String): Boolean =
      main.nodes.get(nodeOf(tensor)).exists { node =>
        node.getOp == "Placeholder" && node.getName == filename
      }

    /** Whether a file that fills a table is an asset. */
    private def isAsset(graph: Graph, node: NodeDef): Boolean = {
      val file = if (node.getInputCount > 1) node.getInput(1) else ""
      // Where a signature or the saver fills it, nobody would feed the path.
      val begun = (graph eq main) && !scores(node.getName) && !reads(node.getName)
      assets.has(graph, file) || begun && isFed(graph, file, assets.placeholders)
    }

    /** Whether a tensor is that of one of these nodes, which have one, and is fed. */
    private def isFed(graph: Graph, tensor: String, names: Set[String]): Boolean =
      graph.nodes.get(nodeOf(graph.source(tensor))).exists { node =>
        names(node.getName) && Fed(node.getOp)
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
          // What is no input may be fed, if it does not say which file is read.
          (Inputs(node.getOp) || !assets.isPath(main.source(tensor))) &&
          !assets.placeholders(node.getName) && node.getName != filename
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
}
