package tfspark.model

import com.google.protobuf.ByteString
import org.tensorflow.proto.{
  AttrValue,
  DataType,
  FunctionDefLibrary,
  GraphDef,
  MetaGraphDef,
  NodeDef,
  TensorProto,
  TensorShapeProto
}
import scala.collection.mutable
import scala.jdk.CollectionConverters._

/** A graph, and what to run once before it is used.
  *
  * @param restore
  *   op that restores the variables; "" where there are none
  * @param filename
  *   tensor that is fed with the variables' path then
  * @param init
  *   ops that initialise the rest
  * @param assets
  *   tensors that are fed with the paths of assets then, and the names of these
  */
private[tfspark] final case class Pruned(
    graph: GraphDef,
    restore: String,
    filename: String,
    init: Seq[String],
    assets: Seq[(String, String)]
)

/** What of a meta graph one signature needs, as on the Python side
  * (`tfspark/scoring/model/prune.py`): the same nodes, functions, and variables that are restored.
  */
private[tfspark] object Prune {
  import Program.{ancestors, nodeOf}
  private val Variables = Set("VarHandleOp", "Variable", "VariableV2")
  private val Puts = Set("Assign", "AssignVariableOp")
  private val Passed =
    Set("NoOp", "Identity", "Const", "RestoreV2", "Placeholder", "PlaceholderWithDefault") ++
      Variables
  private val Own = "tfspark_restore"
  private val Place = """:([0-9]{1,9})\z""".r.unanchored

  /** A value in the checkpoint. */
  private final case class Value(key: ByteString, part: ByteString, dtype: Int)

  def apply(meta: MetaGraphDef, signature: String, folder: String = ""): Pruned = {
    val program = new Program(meta)
    val main = program.main
    val asked = meta.getSignatureDefMap.get(signature)
    val infos = (asked.getOutputsMap.values.asScala ++ asked.getInputsMap.values.asScala).toSeq
    val init = Entry.initOps(meta, folder).head
    val fed = mutable.LinkedHashMap.empty[String, String]
    for (asset <- Entry.assets(meta, folder)) fed(asset.getTensorInfo.getName) = asset.getFilename
    val roots = infos.flatMap(Entry.tensors).map(nodeOf) ++ init ++ fed.keys.map(nodeOf)
    val needed = ancestors(main, roots)

    val saver = meta.getSaverDef
    val (restore, file) = (saver.getRestoreOpName, saver.getFilenameTensorName)
    val read = saved(main, restore, program).map(_.filter { case (name, _) => needed(name) })
    val kept = needed ++ (if (read.isEmpty) ancestors(main, Seq(restore, nodeOf(file))) else Nil)

    val graph = GraphDef.newBuilder().setVersions(meta.getGraphDef.getVersions)
    for (node <- main.listed if kept(node.getName)) graph.addNode(plain(node, kept))
    read.foreach(restoring(_, main.nodes).foreach(graph.addNode))
    val called = program.reached(kept.toSeq.flatMap(program.calledBy))
    val functions = meta.getGraphDef.getLibrary.getFunctionList.asScala
      .filter(function => called(function.getSignature.getName))
    graph.setLibrary(FunctionDefLibrary.newBuilder().addAllFunction(functions.asJava))
    val (op, tensor) = read match {
      case None => (restore, file)
      case Some(Nil) => ("", "")
      case _ => (Own, s"$Own/file:0")
    }
    Pruned(graph.build(), op, tensor, init, fed.toSeq)
  }

  /** Without the devices that it was trained on, and without places beside nodes that are gone. */
  private def plain(node: NodeDef, kept: Set[String]): NodeDef = {
    val made = node.toBuilder.setDevice("")
    Option(node.getAttrMap.get("_class")).foreach { places =>
      val stay = places.getList.getSList.asScala
        .filter(place => kept(place.toStringUtf8.stripPrefix("loc:@")))
      if (stay.isEmpty) made.removeAttr("_class")
      else {
        val list = places.getList.toBuilder.clearS().addAllS(stay.asJava)
        made.putAttr("_class", places.toBuilder.setList(list).build())
      }
    }
    made.build()
  }

  /** Nodes that put values of a checkpoint into variables. */
  private def restoring(
      needed: Seq[(String, Value)],
      nodes: Map[String, NodeDef]
  ): Seq[NodeDef] = {
    val made = mutable.ArrayBuffer.empty[NodeDef]
    def node(name: String, op: String, inputs: Seq[String], attrs: (String, AttrValue)*): String = {
      val built = NodeDef.newBuilder().setName(name).setOp(op).addAllInput(inputs.asJava)
      for ((key, value) <- attrs) built.putAttr(key, value)
      made += built.build()
      name
    }
    val text = kind(DataType.DT_STRING_VALUE)
    def texts(name: String, values: Seq[ByteString]): String = {
      val size = TensorShapeProto.Dim.newBuilder().setSize(values.size.toLong)
      val tensor = TensorProto
        .newBuilder()
        .setDtype(DataType.DT_STRING)
        .setTensorShape(TensorShapeProto.newBuilder().addDim(size))
        .addAllStringVal(values.asJava)
      val value = AttrValue.newBuilder().setTensor(tensor).build()
      node(name, "Const", Nil, "dtype" -> text, "value" -> value)
    }
    if (needed.nonEmpty) {
      val values = needed.map(_._2)
      val file = node(s"$Own/file", "Placeholder", Nil, "dtype" -> text)
      val keys = texts(s"$Own/keys", values.map(_.key))
      val parts = texts(s"$Own/parts", values.map(_.part))
      val kinds = AttrValue.ListValue.newBuilder()
      values.foreach(value => kinds.addTypeValue(value.dtype))
      val types = AttrValue.newBuilder().setList(kinds).build()
      val read = node(s"$Own/values", "RestoreV2", Seq(file, keys, parts), "dtypes" -> types)
      val puts = needed.zipWithIndex.map { case ((variable, value), place) =>
        val resource = nodes(variable).getOp == "VarHandleOp"
        val (op, attr) = if (resource) ("AssignVariableOp", "dtype") else ("Assign", "T")
        val names = Seq(variable, s"$read:$place")
        node(s"$Own/put_$place", op, names, attr -> kind(value.dtype))
      }
      node(Own, "NoOp", puts.map(put => s"^$put")): Unit
    }
    made.toSeq
  }

  private def kind(dtype: Int) = AttrValue.newBuilder().setTypeValue(dtype).build()

  /** Which variable gets which value of the checkpoint; None where restoring does more. */
  private def saved(
      main: Graph,
      restore: String,
      program: Program
  ): Option[Seq[(String, Value)]] = {
    val reached = if (restore.isEmpty) Set.empty[String] else ancestors(main, Seq(restore))
    val found = main.listed.filter(node => reached(node.getName)).map { node =>
      if (Program.Calls(node.getOp) && node.getName == restore) byCall(node, program)
      else assigned(main, Seq(node), identity, program)
    }
    val all = found.flatMap(_.getOrElse(Nil))
    Option.when(found.forall(_.isDefined) && all.map(_._1).distinct.size == all.size)(all)
  }

  /** The same where a function restores. */
  private def byCall(node: NodeDef, program: Program): Option[Seq[(String, Value)]] = {
    val called = Option(node.getAttrMap.get("f")).map(_.getFunc.getName)
    called.flatMap(program.functions.get).flatMap { function =>
      val arguments = node.getInputList.asScala.filterNot(_.startsWith("^")).toVector
      def outside(tensor: String) = function.args.get(tensor).flatMap(arguments.lift).getOrElse("")
      assigned(function, function.listed, outside, program)
    }
  }

  /** The same of nodes of one graph; `outside` is what its tensor is in the main graph. */
  private def assigned(
      graph: Graph,
      listed: Seq[NodeDef],
      outside: String => String,
      program: Program
  ): Option[Seq[(String, Value)]] = {
    val (puts, others) = listed.partition(node => Puts(node.getOp))
    val found = puts.map { node =>
      if (node.getInputCount < 2) None
      else
        for {
          name <- Some(nodeOf(program.main.source(outside(node.getInput(0)))))
          variable <- program.main.nodes.get(name)
          if Variables(variable.getOp)
          value <- restored(graph, graph.source(node.getInput(1)))
        } yield (name, value)
    }
    val plain = others.forall(node => Passed(node.getOp))
    Option.when(plain && found.forall(_.isDefined))(found.flatten)
  }

  /** Where in the checkpoint a value is; None if it is not from there. */
  private def restored(graph: Graph, value: String): Option[Value] = {
    val place = Place.findFirstMatchIn(value).map(_.group(1).toInt)
    for {
      node <- graph.nodes.get(nodeOf(value))
      if node.getOp == "RestoreV2" && (place.isDefined || !value.contains(":"))
      at = place.getOrElse(0)
      names = node.getInputList.asScala.slice(1, 3)
      lists = names.map(tensor => graph.nodes.get(nodeOf(graph.source(tensor)))).flatten
      if lists.size == 2
      key <- text(lists(0), at)
      part <- text(lists(1), at)
      types <- Option(node.getAttrMap.get("dtypes")).map(_.getList.getTypeValueList)
      if at < types.size
    } yield Value(key, part, types.get(at))
  }

  /** One of a constant list of texts; the last one stands for all that follow. */
  private def text(node: NodeDef, at: Int): Option[ByteString] = {
    val tensor = Option(node.getAttrMap.get("value")).fold(TensorProto.getDefaultInstance)(
      _.getTensor
    )
    val sizes = tensor.getTensorShape.getDimList.asScala.map(_.getSize)
    val count = tensor.getStringValCount
    val read = node.getOp == "Const" && tensor.getDtypeValue == DataType.DT_STRING_VALUE &&
      tensor.getTensorContent.isEmpty && sizes.size == 1 && at < sizes.head
    Option.when(read)(
      if (count > 0) tensor.getStringVal(math.min(at, count - 1)) else ByteString.EMPTY
    )
  }
}
