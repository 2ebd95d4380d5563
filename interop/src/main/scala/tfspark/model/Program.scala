package tfspark.model

import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedObject
import org.tensorflow.proto.{AttrValue, MetaGraphDef, NameAttrList, NodeDef}
import scala.collection.mutable
import scala.jdk.CollectionConverters._

/** The main graph (its name is "") or a function. */
private[model] final class Graph(
    val name: String,
    val listed: Seq[NodeDef],
    arguments: Seq[String] = Nil
) {
  val nodes: Map[String, NodeDef] = listed.map(node => node.getName -> node).toMap
  val args: Map[String, Int] = arguments.zipWithIndex.toMap
  private val sources = mutable.HashMap.empty[String, String]

  /** What a tensor is, looking through Identity; itself where that leads nowhere. */
  def source(tensor: String): String = {
    val way = mutable.LinkedHashSet.empty[String]
    var at = tensor
    var more = true
    while (more && !sources.contains(at) && way.add(at))
      nodes.get(Program.nodeOf(at)) match {
        case Some(node) if node.getOp == "Identity" && node.getInputCount > 0 =>
          at = node.getInput(0)
        case _ => more = false
      }
    val found = sources.getOrElse(at, at)
    way.foreach(sources(_) = found)
    found
  }
}

/** One meta graph: its main graph, its functions, and who calls whom. All of it takes time and
  * memory in proportion to the file, as on the Python side (`tfspark/registry/program.py`).
  */
private[model] final class Program(meta: MetaGraphDef) {
  import Program._
  private val library = meta.getGraphDef.getLibrary
  private val definitions = library.getFunctionList.asScala.toSeq

  val main = new Graph("", meta.getGraphDef.getNodeList.asScala.toSeq)
  private val listed = definitions.map { f =>
    val signature = f.getSignature
    new Graph(
      signature.getName,
      f.getNodeDefList.asScala.toSeq,
      signature.getInputArgList.asScala.map(_.getName).toSeq
    )
  }
  val functions: Map[String, Graph] = listed.map(graph => graph.name -> graph).toMap

  /** The main graph, then the functions in their order. */
  val graphs: Seq[Graph] = main +: listed

  private val callers = mutable.HashMap.empty[String, mutable.ArrayBuffer[(Graph, NodeDef)]]
  private val called = mutable.HashMap.empty[String, Seq[String]]
  for (graph <- graphs)
    called(graph.name) = graph.listed.flatMap { node =>
      val names = named(node)
      for (name <- names)
        callers.getOrElseUpdate(name, mutable.ArrayBuffer.empty) += ((graph, node))
      names
    }

  /** The objects that are a function's last arguments, where an object calls it. */
  val bound: Map[String, IndexedSeq[Int]] =
    meta.getObjectGraphDef.getConcreteFunctionsMap.asScala.map { case (name, function) =>
      name -> function.getBoundInputsList.asScala.map(_.intValue).toVector
    }.toMap

  /** Functions that an object names. */
  val objects: Set[String] =
    bound.keySet ++ meta.getObjectGraphDef.getNodesList.asScala.flatMap(byObject)

  /** Functions that are called where nothing says with what. */
  val elsewhere: Set[String] = (
    library.getGradientList.asScala.flatMap(g => Seq(g.getFunctionName, g.getGradientFunc)) ++
      library.getRegisteredGradientsList.asScala.map(_.getGradientFunc) ++
      // Grappler puts one function of an interface in place of another.
      definitions
        .filter(_.getAttrMap.keySet.asScala.exists(_.endsWith("implements")))
        .map(_.getSignature.getName)
  ).toSet

  /** The functions that a node of the main graph names; none if there is no such node. */
  def calledBy(node: String): Seq[String] = main.nodes.get(node).fold(Seq.empty[String])(named)

  /** The functions of these names, and those that they call. */
  def reached(names: Iterable[String]): Set[String] = {
    val reached = mutable.HashSet.empty[String]
    val todo = mutable.Stack.from(names)
    while (todo.nonEmpty) {
      val name = todo.pop()
      if (functions.contains(name) && reached.add(name)) todo.pushAll(called(name))
    }
    reached.toSet
  }

  /** Whether a tensor is, on every way into its graph, one that is known; there is a way.
    *
    * @param known
    *   of a tensor of the main graph
    * @param captured
    *   of a function that others than nodes call, and the position of an argument
    * @param proven
    *   arguments that are known; those found here are added
    */
  def comesFrom(
      graph: Graph,
      tensor: String,
      known: String => Boolean,
      captured: (String, Int) => Boolean,
      proven: mutable.Set[(String, Int)]
  ): Boolean = {
    val todo = mutable.Stack((graph, tensor))
    val seen = mutable.HashSet.empty[(String, Int)]
    var (fine, ends) = (true, false)
    while (fine && todo.nonEmpty) {
      val (graph, shown) = todo.pop()
      val tensor = graph.source(shown)
      if (graph eq main) {
        fine = known(tensor)
        ends = true
      } else
        graph.args.get(tensor).map((graph.name, _)) match {
          case None => fine = false
          case Some(argument) if proven(argument) => ends = true
          case Some(argument @ (name, place)) =>
            if (seen.add(argument)) {
              if (objects(name) || elsewhere(name)) {
                fine = captured(name, place)
                ends = true
              }
              val calls = callers.getOrElse(name, Nil)
              fine &&= calls.forall { case (_, node) =>
                Calls(node.getOp) && place < node.getInputCount
              }
              if (fine) todo.pushAll(calls.map { case (by, node) => (by, node.getInput(place)) })
            }
        }
    }
    if (fine && ends) proven ++= seen
    fine && ends
  }
}

private[model] object Program {
  val Calls = Set("PartitionedCall", "StatefulPartitionedCall")

  /** The nodes of these names and all that they stand on. */
  def ancestors(graph: Graph, roots: Iterable[String]): Set[String] = {
    val found = mutable.HashSet.empty[String]
    val todo = mutable.Stack.from(roots)
    while (todo.nonEmpty) {
      val name = todo.pop()
      for (node <- graph.nodes.get(name) if found.add(name))
        todo.pushAll(node.getInputList.asScala.map(tensor => nodeOf(tensor.stripPrefix("^"))))
    }
    found.toSet
  }

  /** The node whose output a tensor is. */
  def nodeOf(tensor: String): String = tensor.takeWhile(_ != ':')

  /** The functions that a node's attributes name. */
  def named(node: NodeDef): Seq[String] =
    attributes(node).flatMap { case (_, value) => funcs(value).map(_.getName) }.filter(_.nonEmpty)

  def attributes(node: NodeDef): Seq[(String, AttrValue)] =
    node.getAttrMap.asScala.toSeq.sortBy(_._1)

  /** The functions of an attribute. */
  def funcs(value: AttrValue): Seq[NameAttrList] = value.getValueCase match {
    case AttrValue.ValueCase.FUNC => Seq(value.getFunc)
    case AttrValue.ValueCase.LIST => value.getList.getFuncList.asScala.toSeq
    case _ => Nil
  }

  private def byObject(node: SavedObject): Seq[String] = node.getKindCase match {
    case SavedObject.KindCase.FUNCTION =>
      node.getFunction.getConcreteFunctionsList.asScala.toSeq
    case SavedObject.KindCase.BARE_CONCRETE_FUNCTION =>
      Seq(node.getBareConcreteFunction.getConcreteFunctionName)
    case SavedObject.KindCase.CAPTURED_TENSOR => Seq(node.getCapturedTensor.getConcreteFunction)
    case _ => Nil
  }
}
