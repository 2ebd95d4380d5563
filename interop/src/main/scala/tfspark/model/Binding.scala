package tfspark.model

import org.apache.spark.sql.types._
import tfspark.SignatureError
import tfspark.shared.Near
import tfspark.tensors.{Feed, OutputColumn, Reader, TensorSpec, Values}

/** Which columns become which inputs of a model, decided on the driver before any task runs. */
private[tfspark] object Binding {
  private val Floats = Set("float16", "bfloat16", "float32", "float64")

  /** An input and the fields that feed it. */
  final case class Bound(feed: Feed, columns: Seq[Int])

  /** Bind every input of a model to columns of a table.
    *
    * @param mapping
    *   input → column, or → columns that become one tensor; an input that is not named is bound to
    *   the column of its name
    * @throws SignatureError
    *   an input without a column, a column of a type that never fits, a name that is not there
    */
  def bind(
      model: ModelFolder,
      schema: StructType,
      mapping: Map[String, Seq[String]],
      caseSensitive: Boolean
  ): Seq[Bound] = {
    val inputs = model.signature.inputs
    val unknown =
      for (name <- mapping.keys.toSeq if !inputs.exists(_.name == name))
        yield unknownInput(model, name)
    val (wrong, bound) = inputs.partitionMap { spec =>
      try Right(one(model, schema, spec, mapping, caseSensitive))
      catch { case error: SignatureError => Left(error) }
    }
    allOf(s"model ${model.path}", unknown ++ wrong).foreach(throw _)
    bound
  }

  private def one(
      model: ModelFolder,
      schema: StructType,
      spec: TensorSpec,
      mapping: Map[String, Seq[String]],
      caseSensitive: Boolean
  ): Bound = {
    val wanted = mapping.getOrElse(spec.name, Seq(spec.name))
    val columns = wanted.map { column =>
      find(schema, column, caseSensitive).getOrElse(
        throw new SignatureError(missing(
          model,
          schema,
          spec,
          column,
          mapping.contains(spec.name)
        ))
      )
    }
    of(model, spec, columns.map(schema(_)), wanted.size != 1).copy(columns = columns)
  }

  /** All mistakes as one error. */
  private def allOf(where: String, wrong: Seq[SignatureError]): Option[SignatureError] =
    if (wrong.size < 2) wrong.headOption
    else {
      val lines = wrong.map(_.getMessage.stripPrefix(s"$where: "))
      Some(new SignatureError(
        (s"$where: ${wrong.size} mistakes:" +: lines).mkString("\n  ")
      ))
    }

  /** The error of an input that is not there. */
  def unknownInput(model: ModelFolder, name: String): SignatureError = {
    val known = model.signature.inputs.map(_.name)
    new SignatureError(
      s"model ${model.path}: has no input $name; its inputs: ${listed(known)}${Near.said(name, known)}"
    )
  }

  /** An input fed by columns of these types. */
  def of(
      model: ModelFolder,
      spec: TensorSpec,
      columns: Seq[StructField],
      stacked: Boolean
  ): Bound = {
    if (stacked) checkStack(model, spec, columns.size)
    val one = if (stacked) spec.copy(shape = Nil) else spec
    for (column <- columns; reason <- misfit(column.dataType, one))
      throw new SignatureError(
        s"model ${model.path}: input ${spec.name} (${spec.dtype}, shape ${one.printed}) cannot take " +
          s"the column ${column.name} (${column.dataType.simpleString}): $reason"
      )
    val about = columns.map { column =>
      if (stacked) s"${spec.name} (${column.name}): " else s"${spec.name}: "
    }
    Bound(Feed(spec, columns.map(_.dataType), about), Nil)
  }

  /** Refuse outputs that no column can hold, or whose names are taken. */
  def checkOutputs(model: ModelFolder, kept: Seq[String]): Unit = {
    val taken = kept.map(name => name.toLowerCase -> name).toMap
    var made = Map.empty[String, String]
    for (spec <- model.signature.outputs) {
      if (!OutputColumn.Dtypes.contains(spec.dtype))
        throw new SignatureError(
          s"model ${model.path}: output ${spec.name} is ${spec.dtype}, which no column can hold"
        )
      val rename = s"outputs={'${spec.name}': 'other_name'}"
      for (column <- taken.get(spec.name.toLowerCase))
        throw new SignatureError(
          s"model ${model.path}: its output ${spec.name} would take the name of the kept column " +
            s"$column; name the columns to keep without it: keep=[...], or rename the column, " +
            s"or the output: $rename"
        )
      for (other <- made.get(spec.name.toLowerCase))
        throw new SignatureError(
          s"model ${model.path}: its outputs $other and ${spec.name} differ by their case alone, " +
            s"which Spark does not tell apart; rename one: $rename"
        )
      made += spec.name.toLowerCase -> spec.name
    }
  }

  def find(schema: StructType, column: String, caseSensitive: Boolean): Option[Int] = {
    val exact = schema.fieldNames.indexOf(column)
    if (exact >= 0) Some(exact)
    else if (caseSensitive) None
    else {
      val same = schema.fieldNames.indices.filter(schema.fieldNames(_).equalsIgnoreCase(column))
      if (same.size == 1) same.headOption else None
    }
  }

  /** Why no column of this type can become this tensor; None if it can. */
  def misfit(kind: DataType, spec: TensorSpec): Option[String] = {
    if (spec.pad.isDefined && spec.shape.size > 1 && spec.shape.exists(_ < 0))
      return Some("lists inside lists of open length cannot be filled up here")
    if (!Values.Dtypes.contains(spec.dtype))
      return Some(
        s"dtype ${spec.dtype} cannot be fed from a column; use one of ${Values.Dtypes.mkString(", ")}"
      )
    if (Reader.isRaw(kind, spec)) return None
    def peel(kind: DataType): (Int, DataType) = kind match {
      case list: ArrayType =>
        val (depth, leaf) = peel(list.elementType)
        (depth + 1, leaf)
      case leaf => (0, leaf)
    }
    val (depth, leaf) = peel(kind)
    val rank = spec.shape.size
    val flat = depth == 1 && rank > 1 && !spec.shape.exists(_ < 0)
    val one = depth == 0 && spec.shape.forall(_ == 1)
    if (depth != rank && !flat && !one) {
      val levels = if (depth == 0) "no" else depth.toString
      val wanted = if (rank == 0) "none" else rank.toString
      Some(
        s"${ArrowName(kind)} has $levels list level(s), shape ${spec.printed} needs $wanted"
      )
    } else if (leafFits(leaf, spec.dtype)) None
    else
      Some(
        s"${ArrowName(kind)} does not become ${spec.dtype} by itself: cast the column to the type " +
          "you mean"
      )
  }

  private def leafFits(leaf: DataType, dtype: String): Boolean = {
    val isInteger = leaf match {
      case ByteType | ShortType | IntegerType | LongType | BooleanType => true
      case _ => false
    }
    dtype match {
      case "string" => leaf.isInstanceOf[StringType] || leaf == BinaryType
      case "bool" => leaf == BooleanType
      case float if Floats(float) =>
        isInteger || leaf == FloatType || leaf == DoubleType || leaf.isInstanceOf[DecimalType]
      case _ =>
        isInteger || leaf == DateType || leaf == TimestampType || leaf == TimestampNTZType
    }
  }

  private def checkStack(model: ModelFolder, spec: TensorSpec, columns: Int): Unit = {
    val known = spec.shape.filter(_ >= 0)
    val size = known.product
    val open = spec.shape.size - known.size
    val fits = if (open == 0) columns == size else size > 0 && columns % size == 0
    val openAllowed = if (spec.shape.headOption.exists(_ < 0)) 1 else 0
    if (columns == 0 || !fits || open > openAllowed)
      throw new SignatureError(
        s"model ${model.path}: input ${spec.name} takes ${spec.printed} values a row, the mapping " +
          s"gives it $columns columns"
      )
  }

  private def missing(
      model: ModelFolder,
      schema: StructType,
      spec: TensorSpec,
      column: String,
      named: Boolean
  ): String = {
    val what =
      if (named) s" is mapped to the column $column, which the table does not have"
      else " has no column of its name"
    val many = spec.shape.map(size => if (size <= 0) 2L else size).product > 1
    val example = if (many) """["f0", "f1", ...]""" else "\"your_column\""
    val there = schema.fieldNames.toSeq
    s"model ${model.path}: input ${spec.name} (${spec.dtype}, shape ${spec.printed})$what; the " +
      s"table's columns: ${listed(there)}${Near.said(column, there)}; map it: " +
      s"inputs={'${spec.name}': $example}"
  }

  private def listed(names: Seq[String]): String = {
    val more = if (names.size > 30) s" and ${names.size - 30} more" else ""
    names.take(30).mkString(", ") + more
  }
}

/** The name that Arrow, and so the Python side's messages, has for a type. */
private[tfspark] object ArrowName {
  def apply(kind: DataType): String = kind match {
    case ByteType => "int8"
    case ShortType => "int16"
    case IntegerType => "int32"
    case LongType => "int64"
    case FloatType => "float"
    case DoubleType => "double"
    case BooleanType => "bool"
    case _: StringType => "string"
    case BinaryType => "binary"
    case DateType => "date32[day]"
    case TimestampType => "timestamp[us, tz=UTC]"
    case TimestampNTZType => "timestamp[us]"
    case d: DecimalType => s"decimal128(${d.precision}, ${d.scale})"
    case ArrayType(element, nullable) =>
      s"list<element: ${apply(element)}${if (nullable) "" else " not null"}>"
    case other => other.simpleString
  }
}
