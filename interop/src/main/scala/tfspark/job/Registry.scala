package tfspark.job

import com.fasterxml.jackson.databind.JsonNode
import java.nio.file.{Files, Paths}
import org.apache.hadoop.conf.Configuration
import tfspark.model.{ModelFolder, Registered}
import tfspark.{ConfigError, ModelNotFound, StorageError}

/** A registered version of a model.
  *
  * @param source
  *   where its files are
  * @param tags
  *   name → value, of those that tfspark gives
  */
private[tfspark] final case class Version(
    number: String,
    source: String,
    tags: Map[String, String]
) {

  /** What it says of the manifest. */
  def registered: Registered =
    Registered(tags.contains("tfspark.train_key"), tags.get("tfspark.manifest_sha256"))
}

/** What is asked of an MLflow store. */
private[tfspark] trait Store extends AutoCloseable {
  def byAlias(name: String, alias: String): Option[Version]
  def byNumber(name: String, number: String): Option[Version]

  /** Alias → version; None where there is no model of the name. */
  def aliases(name: String): Option[Map[String, String]]
  def numbers(name: String): Seq[String]
  def models(): Seq[String]

  /** A folder of the store's own artifacts as one that Hadoop can read. */
  def fetch(source: String): String = source
}

/** Models by their MLflow names: `models:/name@alias`, `models:/name/3`, `models:/name/latest`, as
  * `tfspark/registry/download.py` finds them.
  */
private[tfspark] object Registry {
  private val Uri = """models:/([^/@]+)(?:@([^/@]+)|/(\d+|latest))""".r

  /** A model that is verified: a folder's, or a registered one's under its name and version.
    *
    * @throws TfsparkException
    *   there is no such version, or its store or files cannot be used
    */
  def resolve(
      model: String,
      trackingUri: String,
      conf: Configuration,
      signature: Option[String] = None
  ): ModelFolder =
    if (!model.startsWith("models:/")) ModelFolder.resolve(model, conf, signature)
    else {
      val (folder, name, version) = find(model, trackingUri)
      ModelFolder
        .resolve(folder, conf, signature, shown = Some(model), registered = version.registered)
        .copy(name = name, version = version.number)
    }

  /** The folder of a registered version, its name and what the registry says of it. */
  private def find(uri: String, trackingUri: String): (String, String, Version) = {
    def missing(said: String) = throw new ModelNotFound(s"$uri: $said")
    val (name, alias, number) = uri match {
      case Uri(name, alias, number) => (name, Option(alias), number)
      case _ =>
        missing(
          "write models:/name@alias, models:/name/3 or models:/name/latest; jobs/score.py knows " +
            "models:/m-ID and runs:/RUN/PATH too"
        )
    }
    val file = sqliteFile(trackingUri)
    if (file.exists(name => !Files.exists(Paths.get(name))))
      missing(
        s"there is no registry at $trackingUri; train a model, or name its MLflow server with " +
          "registry.tracking_uri"
      )
    reported(trackingUri) {
      val store = file.fold(overHttp(trackingUri))(name => new IndexedStore(name))
      try {
        val found = alias match {
          case Some(named) => store.byAlias(name, named)
          case None if number == "latest" => latest(store, name)
          case None => store.byNumber(name, number)
        }
        val version = found.getOrElse(missing(s"${known(store, name)} in $trackingUri"))
        if (!finished(version))
          missing(s"version ${version.number} was not finished; run the same training again")
        (store.fetch(version.source), name, version)
      } finally store.close()
    }
  }

  private def finished(version: Version): Boolean =
    !version.registered.ours || version.tags.contains("tfspark.complete")

  private def latest(store: Store, name: String): Option[Version] =
    store.numbers(name).map(_.toLong).sorted.reverseIterator
      .flatMap(number => store.byNumber(name, number.toString))
      .find(finished)

  private def sqliteFile(uri: String): Option[String] =
    Option.when(uri.startsWith("sqlite:///"))(uri.stripPrefix("sqlite:///"))

  private def overHttp(uri: String): Store =
    if (uri.matches("https?://.+")) new HttpStore(uri)
    else
      throw new ConfigError(
        s"registry.tracking_uri $uri: this job reads registries over http(s) and in " +
          "sqlite:/// files; name the model's folder, or run jobs/score.py"
      )

  /** What a store or the network raises as one line. */
  private def reported[T](where: String)(run: => T): T =
    try run
    catch {
      case error @ (_: java.io.IOException | _: MlflowError) =>
        val said = Option(error.getMessage).getOrElse(error.toString).trim.linesIterator
        val first = said.nextOption().getOrElse("")
        throw new StorageError(s"MLflow at $where: $first", error)
    }

  /** What there is instead, for messages. */
  private def known(store: Store, name: String): String = store.aliases(name) match {
    case None =>
      val models = store.models().sorted
      s"no model $name (there are: ${if (models.isEmpty) "none" else models.mkString(", ")})"
    case Some(aliases) =>
      val numbers = store.numbers(name).map(_.toLong).sorted.map(_.toString)
      val named = aliases.toSeq.sorted.map { case (alias, number) => s"@$alias ($number)" }
      val said = (numbers ++ named).mkString(", ")
      s"no such version; there are ${if (said.isEmpty) "none" else said}"
  }
}

/** What an MLflow server refuses. */
private[tfspark] final class MlflowError(val code: String, message: String)
    extends RuntimeException(message)

private[tfspark] object MlflowError {
  private val Absent = Set("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")

  /** None where there is no such thing. */
  def orAbsent(ask: => JsonNode): Option[JsonNode] =
    try Some(ask)
    catch { case error: MlflowError if Absent(error.code) => None }
}
