package tfspark.model

import java.nio.file.{Files, Path, StandardOpenOption}
import java.util.concurrent.{Callable, Executors}
import org.apache.hadoop.conf.Configuration
import scala.jdk.CollectionConverters._
import tfspark.storage.Storage
import tfspark.{
  IntegrityError,
  Local,
  ModelNotFound,
  SignatureError,
  StorageError,
  UnsafeModelError
}

/** What is opened, and what is refused. */
class ModelFolderSuite extends Local {
  private val conf = new Configuration()

  private def resolve(folder: String) = ModelFolder.resolve(folder, conf)

  private def copied(name: String): Path = {
    val folder = Local.temporary("copy")
    Local.copy(Local.models.resolve(name), folder.resolve("model"))
  }

  test("the manifest, its digest, and the names of the registry") {
    val found = resolve(model("linear/3"))
    assert((found.name, found.version) == (("linear", "3")))
    assert(found.digest == Manifest.digest(Manifest.sums(new Storage(found.path, conf))))
    assert(resolve(model("linear/3/tfspark.json")) == found)
    assert(resolve("file:" + model("linear/3")).digest == found.digest)
  }

  test("the signature, from the SavedModel itself") {
    val mixed = resolve(model("mixed")).signature
    assert(mixed.inputs.map(_.name) == Seq("age", "sex", "siblings", "paid"))
    assert(mixed.inputs.map(_.dtype) == Seq("float32", "string", "int64", "bool"))
    assert(mixed.outputs.map(output => output.name -> output.shape) ==
      Seq("label" -> Nil, "p" -> Nil, "parts" -> Seq(2L)))
    assert(resolve(model("fixed_batch")).signature.batch.contains(3))
  }

  test("a folder that is no model") {
    val missing = intercept[ModelNotFound](resolve("/never/there"))
    assert(missing.getMessage.startsWith("/never/there: there is no such folder"))
    assert(missing.exitCode == 2)
    val versions = intercept[ModelNotFound](resolve(model("linear")))
    assert(versions.getMessage.contains("holds the versions 3, and is no version itself"))
    val empty = intercept[ModelNotFound](resolve(Local.temporary("empty").toString))
    assert(empty.getMessage.contains("(it is empty)"))
  }

  test("a file that was changed, added or removed") {
    def refused(change: Path => Any): String = {
      val folder = copied("linear/3")
      change(folder)
      val error = intercept[IntegrityError](resolve(folder.toString))
      assert(error.exitCode == 6)
      error.getMessage
    }
    val data = "variables/variables.data-00000-of-00001"
    assert(refused { folder =>
      val bytes = Files.readAllBytes(folder.resolve(data))
      bytes(10) = (bytes(10) ^ 1).toByte
      Files.write(folder.resolve(data), bytes)
    }.contains(s"$data was changed (another sha256)"))
    assert(refused { folder =>
      Files.write(folder.resolve(data), Array[Byte](1), StandardOpenOption.APPEND)
    }.contains(s"$data was changed ("))
    assert(refused(f => Files.write(f.resolve("more"), Array[Byte](1))).contains("more is not in"))
    assert(refused(f => Files.delete(f.resolve(data))).contains(s"$data is missing"))
    assert(refused { folder =>
      val manifest = folder.resolve("tfspark.json")
      val digest = Manifest.read(new Storage(folder.toString, conf)).get.digest
      Files.writeString(manifest, Files.readString(manifest).replace(digest, "0" * 64))
    }.contains("tfspark.json was changed (digest)"))
    assert(refused(f => Files.writeString(f.resolve("tfspark.json"), "{")).contains("is not JSON"))
  }

  test("a model that could do more than compute") {
    val error = intercept[UnsafeModelError](resolve(model("writer")))
    assert(error.getMessage.contains("op WriteFile"))
    assert(error.getMessage.contains("is not allow-listed"))
    val folder = copied("mlp")
    Files.copy(folder.resolve("saved_model.pb"), folder.resolve("saved_model.pbtxt"))
    intercept[UnsafeModelError](resolve(folder.toString))
    val damaged = copied("mlp")
    val file = damaged.resolve("saved_model.pb")
    Files.write(file, Files.readAllBytes(file).take(1000))
    intercept[IntegrityError](resolve(damaged.toString))
  }

  test("a signature that is not there") {
    val error = intercept[SignatureError](ModelFolder.resolve(model("mlp"), conf, Some("other")))
    assert(error.getMessage.contains("has no signature other (there are: serving_default)"))
  }

  test("pieces: the same files, whatever their size; unpacked once, by many at once") {
    val found = resolve(model("linear/3"))
    val whole = Packed.cut(found, conf).flatten.toSeq
    for (size <- Seq(1000, 1, 4096))
      assert(Packed.cut(found, conf, size).map(_.toSeq).flatten.toSeq == whole)
    val context = spark.sparkContext
    val pieces = Packed.cut(found, conf, 1000).map(context.broadcast(_)).toVector
    val packed = Packed(found.path, found.digest, found.files, pieces)
    val root = Local.temporary("cache")
    val pool = Executors.newFixedThreadPool(4)
    val task: Callable[Path] = () => ModelCache.unpack(packed, root)
    val folders = pool.invokeAll(Seq.fill(8)(task).asJava).asScala.map(_.get)
    pool.shutdown()
    assert(folders.toSet == Set(root.resolve(found.digest)))
    assert(Manifest.sums(new Storage(folders.head.toString, conf)) == found.files)
    assert(root.toFile.list().toSet ==
      Set(found.digest, s"${found.digest}.lock", s"${found.digest}.lease"))
    // A cleaner took a file: it is unpacked again, and leftovers of a killed process go.
    Files.delete(folders.head.resolve("saved_model.pb"))
    val left = Files.createDirectories(root.resolve(s".${found.digest}-dead.partial/variables"))
    ModelCache.unpack(packed, root)
    assert(Files.exists(folders.head.resolve("saved_model.pb")) && !Files.exists(left))
    val wrong = packed.copy(digest = "0" * 64, pieces = pieces.reverse)
    intercept[IntegrityError](ModelCache.unpack(wrong, root))
    assert(!Files.exists(root.resolve("0" * 64)))
  }

  test("a link below a model, to a file or to a folder") {
    val outside = Local.temporary("outside")
    Files.writeString(outside.resolve("canary"), "secret")
    for (to <- Seq(outside, outside.resolve("canary"))) {
      val folder = copied("mlp")
      Files.createDirectories(folder.resolve("assets"))
      Files.createSymbolicLink(folder.resolve("assets/vocab.txt"), to)
      val error = intercept[IntegrityError](resolve(folder.toString))
      assert(error.getMessage.startsWith(s"model $folder: assets/vocab.txt is a link"))
    }
    val link = Files.createSymbolicLink(outside.resolve("link"), Path.of(model("mlp")))
    assert(resolve(link.toString).digest == resolve(model("mlp")).digest)
  }

  test("a version that tfspark registered has the manifest that was registered") {
    def resolved(name: String, sha256: Option[String]) = ModelFolder.resolve(
      model(name),
      conf,
      registered = Registered(ours = true, sha256)
    )
    val file = Path.of(model("linear/3"), Manifest.File)
    val own = tfspark.storage.Hex.sha256(Files.readAllBytes(file))
    assert(resolved("linear/3", Some(own)) == resolved("linear/3", None))
    intercept[IntegrityError](resolved("linear/3", Some("0" * 64)))
    intercept[IntegrityError](resolved("mlp", None))
  }

  test("what a machine has kept of a model is mended once when it does not open") {
    // A model that no other suite has opened in this JVM.
    val own = copied("mlp")
    Files.createDirectories(own.resolve("assets"))
    Files.writeString(own.resolve("assets/own.txt"), "own")
    val found = resolve(own.toString)
    val root = ModelCache.folder()
    val packed = Packed.broadcast(spark.sparkContext, found).copy(model = "mended")
    val folder = ModelCache.unpack(packed, root)
    assert(!ModelCache.repair(packed, root))
    val file = folder.resolve("saved_model.pb")
    Files.write(file, Files.readAllBytes(file).map(_ => 1.toByte))
    OpenModel.of(packed, found.signature, 1)
    assert(Manifest.sums(new Storage(folder.toString, conf)) == found.files)
  }

  test("JavaCPP's folder is among the models, and checked as theirs") {
    val root = Local.temporary("natives")
    assert(OpenModel.natives(root) == root.resolve("javacpp"))
    Files.setAttribute(root.resolve("javacpp"), "unix:mode", Integer.parseInt("777", 8))
    intercept[StorageError](OpenModel.natives(root))
  }

  test("a process of Python that unpacks is waited for, and what it made is taken") {
    val found = resolve(model("mlp"))
    val packed = Packed.broadcast(spark.sparkContext, found)
    val root = Local.temporary("shared")
    val program =
      """import fcntl, pathlib, shutil, sys
        |source, root, digest = sys.argv[1:]
        |with open(f"{root}/{digest}.lock", "a") as lock:
        |    fcntl.flock(lock, fcntl.LOCK_EX)
        |    print("locked", flush=True)
        |    sys.stdin.readline()
        |    shutil.copytree(source, f"{root}/{digest}")
        |    pathlib.Path(root, digest, "by-python").touch()
        |""".stripMargin
    val python =
      new ProcessBuilder(Local.python, "-c", program, found.path, root.toString, found.digest)
        .redirectError(ProcessBuilder.Redirect.INHERIT)
        .start()
    try {
      assert(python.inputReader().readLine() == "locked")
      val pool = Executors.newSingleThreadExecutor()
      val unpacked = pool.submit((() => ModelCache.unpack(packed, root)): Callable[Path])
      python.outputWriter().append("go\n").flush()
      val folder = unpacked.get()
      pool.shutdown()
      assert(python.waitFor() == 0)
      assert(Files.exists(folder.resolve("by-python")))
    } finally python.destroyForcibly(): Unit
  }
}
