package tfspark.model

import com.fasterxml.jackson.databind.JsonNode
import java.nio.charset.StandardCharsets.UTF_8
import java.security.MessageDigest
import scala.jdk.CollectionConverters._
import tfspark.IntegrityError
import tfspark.shared.Shared.say
import tfspark.storage.{Hex, Note, Storage}

/** One file of a model: its path in the folder, its length, its sum. */
private[tfspark] final case class ModelFile(path: String, bytes: Long, sha256: String)

/** What the registry says of a version's manifest.
  *
  * @param ours
  *   tfspark made the version, so that it has one
  * @param sha256
  *   of it; older versions have none
  */
private[tfspark] final case class Registered(ours: Boolean = false, sha256: Option[String] = None)

/** The manifest of a model version, `tfspark.json`, as the Python side writes it. */
private[tfspark] final case class Manifest(
    files: Seq[ModelFile],
    digest: String,
    name: Option[String],
    version: Option[String],
    signature: Option[String],
    inputs: Map[String, JsonNode],
    keys: Seq[String]
) {

  /** Compare every file with its sum.
    *
    * @throws IntegrityError
    *   a file is missing, was changed, or is not named; nothing of such a folder is opened
    */
  def verify(folder: Storage): Unit = {
    val todo = "do not use this model; copy or register the version again"
    val known = files.map(file => file.path -> file).toMap
    val found = folder.files()
    def refuse(what: String) =
      throw new IntegrityError(s"model ${folder.shown}: $what; $todo")
    for (name <- (found.keySet -- known.keySet -- Manifest.NotOurs).toSeq.sorted)
      refuse(s"$name is not in its manifest")
    for (file <- files.sortBy(_.path)) found.get(file.path) match {
      case None => refuse(s"${file.path} is missing")
      case Some(bytes) if bytes != file.bytes =>
        refuse(s"${file.path} was changed ($bytes bytes, its manifest says ${file.bytes})")
      case _ =>
        if (folder.sha256(file.path) != file.sha256)
          refuse(s"${file.path} was changed (another sha256)")
    }
    if (Manifest.digest(files) != digest) refuse(s"${Manifest.File} was changed (digest)")
  }
}

private[tfspark] object Manifest {
  val File = "tfspark.json"

  /** Besides it what MLflow writes when it loads a version. */
  private val NotOurs = Set(File, "registered_model_meta")
  private val Format = 1

  /** None where the folder has no manifest: a model that others exported.
    *
    * @throws IntegrityError
    *   it is not JSON, not a manifest, or not the one that was registered
    */
  def read(folder: Storage, registered: Registered = Registered()): Option[Manifest] = {
    val where = s"${folder.shown}/$File"
    def refuse(text: String, values: (String, Any)*) =
      throw new IntegrityError(say(text, values :+ ("path" -> where): _*))
    if (!folder.exists(File)) {
      if (registered.ours) refuse("lost_manifest")
      return None
    }
    val content = folder.read(File)
    if (registered.sha256.exists(_ != Hex.sha256(content))) refuse("other_manifest")
    val root = Note.parse(content, where)
    if (root == null || !root.isObject || !root.path("format").isIntegralNumber)
      refuse("not_manifest")
    if (root.get("format").bigIntegerValue != BigInt(Format).bigInteger)
      refuse("other_format", "format" -> root.get("format").asText, "known" -> Format)
    if (!isManifest(root)) refuse("not_manifest")
    val files = root.get("files").properties().asScala.toSeq.map { entry =>
      ModelFile(
        entry.getKey,
        entry.getValue.get("bytes").asLong,
        text(entry.getValue, "sha256")
      )
    }
    val inputs = root.path("inputs").properties().asScala.map { entry =>
      entry.getKey -> entry.getValue
    }.toMap
    def optional(name: String) = Option(root.get(name)).map(_.asText).filter(_.nonEmpty)
    Some(
      Manifest(
        files.sortBy(_.path),
        text(root, "digest"),
        optional("name"),
        optional("version"),
        optional("signature"),
        inputs,
        root.path("keys").asScala.map(_.asText).toSeq
      )
    )
  }

  /** Whether what is read of a manifest has its shape; the rest is for people. */
  private def isManifest(root: JsonNode): Boolean = {
    def optional(name: String)(fits: JsonNode => Boolean) = Option(root.get(name)).forall(fits)
    val files = root.path("files")
    files.isObject && files.elements.asScala.forall { entry =>
      entry.isObject && entry.path("sha256").isTextual &&
      entry.path("bytes").isIntegralNumber && entry.get("bytes").canConvertToLong
    } &&
    root.path("digest").isTextual &&
    Seq("name", "version", "signature").forall(optional(_)(_.isTextual)) &&
    optional("inputs")(all => all.isObject && all.elements.asScala.forall(_.isObject)) &&
    optional("keys")(all => all.isArray && all.elements.asScala.forall(_.isTextual))
  }

  /** The files as they are now. */
  def sums(folder: Storage): Seq[ModelFile] =
    folder.files().toSeq.filterNot(file => NotOurs(file._1)).sortBy(_._1).map {
      case (name, bytes) =>
        ModelFile(name, bytes, folder.sha256(name))
    }

  /** sha256 over the sorted names and sums, written as Python's JSON writes them. */
  def digest(files: Seq[ModelFile]): String = {
    val entries = files.sortBy(_.path).map(f => s"[${quote(f.path)}, ${quote(f.sha256)}]")
    val digest = MessageDigest.getInstance("SHA-256")
    digest.update(entries.mkString("[", ", ", "]").getBytes(UTF_8))
    Hex(digest)
  }

  private def quote(value: String): String = value.map {
    case '"' => "\\\""
    case '\\' => "\\\\"
    case '\n' => "\\n"
    case '\r' => "\\r"
    case '\t' => "\\t"
    case '\b' => "\\b"
    case '\f' => "\\f"
    case c if c < ' ' || c > '~' => f"\\u${c.toInt}%04x"
    case c => c.toString
  }.mkString("\"", "", "\"")

  private def text(node: JsonNode, name: String): String = node.path(name).asText
}
