package tfspark.model

import com.fasterxml.jackson.databind.JsonNode
import org.apache.hadoop.conf.Configuration
import tfspark.shared.Shared.say
import tfspark.storage.Storage
import tfspark.tensors.TensorSpec
import tfspark.{IntegrityError, ModelNotFound, SignatureError}

/** A SavedModel that is verified: its files are those of its manifest, its ops are allowed.
  *
  * @param version
  *   the registered version; "" where there is none
  * @param keys
  *   the columns that name a row, where the manifest says so
  */
final case class ModelFolder private[tfspark] (
    name: String,
    version: String,
    path: String,
    digest: String,
    private[tfspark] val files: Seq[ModelFile],
    signature: Signature,
    private[tfspark] val keys: Seq[String] = Nil
) {

  /** With other names for the columns of some outputs. */
  private[tfspark] def withOutputs(renamed: Map[String, String]): ModelFolder = {
    val known = signature.outputs.map(_.name)
    for (name <- renamed.keys.toSeq.sorted if !known.contains(name))
      throw new SignatureError(
        s"model $path: has no output $name; its outputs: ${known.mkString(", ")}"
      )
    val outputs =
      signature.outputs.map(spec => spec.copy(name = renamed.getOrElse(spec.name, spec.name)))
    copy(signature = signature.copy(outputs = outputs))
  }
}

object ModelFolder {
  private val Floats = Set("float16", "bfloat16", "float32", "float64")

  /** Find a model, verify its files and its ops, read its signature.
    *
    * @param model
    *   a folder with `saved_model.pb`, or the `tfspark.json` in it
    * @param signature
    *   default: the one that the manifest names, else `serving_default`
    * @param shown
    *   what messages call a folder without a model; default: its name
    * @param registered
    *   what the registry says of its manifest
    */
  def resolve(
      model: String,
      conf: Configuration,
      signature: Option[String] = None,
      shown: Option[String] = None,
      registered: Registered = Registered()
  ): ModelFolder = {
    val named = model.stripSuffix("/" + Manifest.File)
    val folder = placed(new Storage(named, conf), named, conf)
    isModel(folder, shown.getOrElse(named))
    for (link <- folder.links())
      throw new IntegrityError(say("link_in_model", "model" -> folder.shown, "name" -> link))
    val manifest = Manifest.read(folder, registered)
    manifest.foreach(_.verify(folder))
    val files = manifest.fold(Manifest.sums(folder))(_.files)
    val saved = new SavedModelFile(folder.shown, folder.read(SavedModelFile.Name))
    Safety.check(folder.names(), saved)
    val wanted = signature.orElse(manifest.flatMap(_.signature)).getOrElse(Signature.Default)
    val read = Signature.read(saved, wanted)
    val inputs = read.inputs.map(withRules(_, manifest))
    val parts = new Storage(named, conf).shown.stripSuffix("/").split("/")
    val byNumber = parts.last.nonEmpty && parts.last.forall(_.isDigit) && parts.length > 1
    val (name, version) = manifest.flatMap(_.name) match {
      case Some(name) => (name, manifest.flatMap(_.version).getOrElse(""))
      case None if byNumber => (parts(parts.length - 2), parts.last)
      case None => (parts.last, manifest.flatMap(_.version).getOrElse(""))
    }
    val digest = manifest.fold(Manifest.digest(files))(_.digest)
    val keys = manifest.fold(Seq.empty[String])(_.keys)
    ModelFolder(name, version, folder.shown, digest, files, read.copy(inputs = inputs), keys)
  }

  /** The folder, or the one in it that MLflow's own flavour made (`tf2model`). */
  private def placed(folder: Storage, named: String, conf: Configuration): Storage = {
    val file = SavedModelFile.Name
    if (folder.exists(file) || !folder.exists("MLmodel")) folder
    else
      folder.names().filter(name => folder.exists(s"$name/$file")) match {
        case Seq(one) => new Storage(s"${named.stripSuffix("/")}/$one", conf)
        case _ => folder
      }
  }

  private def isModel(folder: Storage, named: String): Unit = {
    val file = SavedModelFile.Name
    def refuse(what: String) = throw new ModelNotFound(s"$named: $what")
    if (folder.exists(file)) return
    if (!folder.exists())
      refuse(
        "there is no such folder; name a SavedModel's folder, or models:/name@alias"
      )
    if (!folder.isFolder) refuse("is a file; name the folder of a SavedModel")
    val there = folder.names()
    if (there.contains("MLmodel"))
      refuse(
        "MLflow has saved a model here that is no SavedModel; export it in Python, and name " +
          s"that folder: mlflow.pyfunc.load_model('$named').get_raw_model().export('FOLDER')"
      )
    val versions = there.filter(name => folder.exists(s"$name/$file"))
    if (there.contains("model") && versions == Seq("model"))
      refuse(s"the SavedModel is in $named/model")
    if (versions.nonEmpty) {
      val numbers = versions.sortBy(name => (name.length, name))
      refuse(
        s"holds the versions ${numbers.mkString(", ")}, and is no version itself; name one: " +
          s"${named.stripSuffix("/")}/${numbers.last}"
      )
    }
    val said =
      if (there.isEmpty) "it is empty" else s"there is: ${there.take(8).mkString(", ")}"
    refuse(s"holds no $file, so it is no SavedModel ($said)")
  }

  /** An input with the rules that the manifest declares. A model without one takes NaN and "" for
    * null where the dtype has such a value; for its integers and booleans nothing stands for null.
    */
  private def withRules(spec: TensorSpec, manifest: Option[Manifest]): TensorSpec = manifest match {
    case None if Floats(spec.dtype) => spec.copy(empty = Some(Double.NaN))
    case None if spec.dtype == "string" => spec.copy(empty = Some(""))
    case None => spec
    case Some(found) =>
      found.inputs.get(spec.name).fold(spec) { declared =>
        spec.copy(
          empty = value(declared.path("null"), spec),
          pad = value(declared.path("pad"), spec),
          refuseNan = declared.path("nan").asText == "refuse"
        )
      }
  }

  /** A value that stands for null or pads a list: a Double, a Long, a Boolean or a String. */
  private def value(json: JsonNode, spec: TensorSpec): Option[Any] = {
    val isFloat = Floats(spec.dtype)
    if (json.isMissingNode || json.isNull) None
    else if (isFloat && json.asText == "NaN") Some(Double.NaN)
    else if (isFloat && json.isNumber) Some(json.asDouble)
    else if (spec.dtype == "string" && json.isTextual) Some(json.asText)
    else if (spec.dtype == "bool" && (json.isBoolean || json.isInt)) Some(json.asBoolean)
    else if (json.isIntegralNumber && json.canConvertToLong) Some(json.asLong)
    else
      throw new SignatureError(s"the null or pad value $json is no ${spec.dtype}")
  }
}
