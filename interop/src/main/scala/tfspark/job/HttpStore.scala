package tfspark.job

import com.fasterxml.jackson.databind.{JsonNode, ObjectMapper}
import java.net.http.HttpResponse.BodyHandlers
import java.net.http.{HttpClient, HttpRequest, HttpResponse}
import java.net.{URI, URLEncoder}
import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.{Files, Path}
import java.time.Duration
import java.util.Base64
import org.apache.commons.io.FileUtils
import scala.jdk.CollectionConverters._

/** An MLflow server, by its REST API. `MLFLOW_TRACKING_USERNAME` and `_PASSWORD`, or
  * `MLFLOW_TRACKING_TOKEN`, are sent along, as MLflow's own client does.
  */
private[tfspark] final class HttpStore(uri: String) extends Store {
  private val address = URI.create(uri.replaceAll("/+$", ""))
  private val base = address.toString.replace(s"${address.getRawUserInfo}@", "")
  private val json = new ObjectMapper()
  private val OfRun = "runs:/([^/]+)/?(.*)".r
  private val client = HttpClient.newBuilder()
    .connectTimeout(Duration.ofSeconds(30))
    .followRedirects(HttpClient.Redirect.NORMAL)
    .build()

  def byAlias(name: String, alias: String): Option[Version] =
    MlflowError
      .orAbsent(ask("registered-models/alias", "name" -> name, "alias" -> alias))
      .map(version)

  def byNumber(name: String, number: String): Option[Version] =
    MlflowError
      .orAbsent(ask("model-versions/get", "name" -> name, "version" -> number))
      .map(version)

  private def version(found: JsonNode): Version = {
    val about = found.path("model_version")
    val (name, number) = (about.path("name").asText, about.path("version").asText)
    val where = ask("model-versions/get-download-uri", "name" -> name, "version" -> number)
    val tags = about.path("tags").asScala.map { tag =>
      tag.path("key").asText -> tag.path("value").asText
    }.toMap
    val source = where.path("artifact_uri").asText match {
      case OfRun(run, path) => s"${artifacts(run)}/$path"
      case other => other
    }
    Version(number, source, tags)
  }

  def aliases(name: String): Option[Map[String, String]] =
    MlflowError.orAbsent(ask("registered-models/get", "name" -> name)).map { found =>
      found.path("registered_model").path("aliases").asScala.map { alias =>
        alias.path("alias").asText -> alias.path("version").asText
      }.toMap
    }

  def numbers(name: String): Seq[String] =
    ask("model-versions/search", "filter" -> s"name='${name.replace("'", "")}'")
      .path("model_versions").asScala.map(_.path("version").asText).toSeq

  def models(): Seq[String] =
    ask("registered-models/search", "max_results" -> "20")
      .path("registered_models").asScala.map(_.path("name").asText).toSeq

  private def artifacts(runId: String): String =
    ask("runs/get", "run_id" -> runId).path("run").path("info").path("artifact_uri").asText

  /** What the server keeps itself (`mlflow-artifacts:`) is copied to this machine until the process
    * ends; any other place is read where it is.
    */
  override def fetch(source: String): String =
    if (!source.startsWith("mlflow-artifacts:")) source
    else {
      val path = URI.create(source).getPath.stripPrefix("/")
      val folder = Files.createTempDirectory("tfspark-model-")
      sys.addShutdownHook(FileUtils.deleteQuietly(folder.toFile): Unit)
      download(path, folder)
      folder.toString
    }

  private def download(path: String, to: Path): Unit = {
    val listed = get("mlflow-artifacts/artifacts", Seq("path" -> path))
    for (file <- listed.path("files").asScala) {
      val name = file.path("path").asText.split("/").last
      // A name comes from the server: it stays below the folder.
      val here = to.resolve(name).normalize
      if (here.getParent != to || name.isEmpty)
        throw new MlflowError("", s"a file of the server has no plain name: $name")
      if (file.path("is_dir").asBoolean) {
        Files.createDirectory(here)
        download(s"$path/$name", here)
      } else {
        val encoded = s"$path/$name".split("/").map(encode(_).replace("+", "%20")).mkString("/")
        val request = asked(s"/api/2.0/mlflow-artifacts/artifacts/$encoded", Nil)
        val got = client.send(request, BodyHandlers.ofFile(here))
        if (got.statusCode != 200)
          throw new MlflowError("", s"$path/$name: the server answers ${got.statusCode}")
      }
    }
  }

  private def ask(what: String, query: (String, String)*): JsonNode = get(s"mlflow/$what", query)

  private def get(what: String, query: Seq[(String, String)]): JsonNode = {
    val answer: HttpResponse[String] =
      client.send(asked(s"/api/2.0/$what", query), BodyHandlers.ofString())
    val body =
      try json.readTree(answer.body)
      catch { case _: com.fasterxml.jackson.core.JsonProcessingException => null }
    if (answer.statusCode == 200 && body != null) body
    else {
      val code = Option(body).fold("")(_.path("error_code").asText)
      val said = Option(body).fold("")(_.path("message").asText)
      throw new MlflowError(
        code,
        if (code.isEmpty) s"$what: ${answer.statusCode}" else s"$code: $said"
      )
    }
  }

  private def asked(path: String, query: Seq[(String, String)]): HttpRequest = {
    val parts = query.map { case (name, value) => s"$name=${encode(value)}" }
    val full = if (parts.isEmpty) path else s"$path?${parts.mkString("&")}"
    val request = HttpRequest.newBuilder(URI.create(base + full)).timeout(Duration.ofMinutes(10))
    authorization.foreach(request.header("Authorization", _))
    request.GET().build()
  }

  private def authorization: Option[String] = {
    def set(name: String) = sys.env.get(s"MLFLOW_TRACKING_$name").filter(_.nonEmpty)
    def basic(text: String) = "Basic " + Base64.getEncoder.encodeToString(text.getBytes(UTF_8))
    Option(address.getUserInfo).map(basic)
      .orElse(set("USERNAME").zip(set("PASSWORD")).map { case (u, p) => basic(s"$u:$p") })
      .orElse(set("TOKEN").map(token => s"Bearer $token"))
  }

  private def encode(text: String) = URLEncoder.encode(text, UTF_8)

  override def close(): Unit = () // java.net.http's client has no close before Java 21
}
