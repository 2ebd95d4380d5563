// The Scala module: sources under interop/, run by `python scripts/sbt.py`.

import org.apache.commons.compress.archivers.zip.{ZipArchiveOutputStream, ZipFile}
import scala.util.Using

ThisBuild / organization := "tfspark"
ThisBuild / version := "0.1.0"
ThisBuild / scalaVersion := "2.13.18"

val sparkVersion = "4.2.0"
val tensorflowVersion = "1.1.0"
val javacppVersion = "1.5.11"
val jnaVersion = "5.17.0"
val natives = "linux-x86_64"
val jnaSystem = "linux-x86-64"

// Spark's --packages takes no classifiers, which is what natives are told by: these go to --jars.
// The -platform modules are no way around: Ivy then leaves out the jar of the classes, depending on
// what its cache holds, and they bring the natives of four systems.
val packages = Seq(
  s"org.tensorflow:tensorflow-core-api:$tensorflowVersion",
  s"net.java.dev.jna:jna:$jnaVersion"
)

// What Spark's own launcher opens to it on Java 17 and newer.
val opened = Seq(
  "java.lang",
  "java.lang.invoke",
  "java.lang.reflect",
  "java.io",
  "java.net",
  "java.nio",
  "java.util",
  "java.util.concurrent",
  "java.util.concurrent.atomic",
  "jdk.internal.ref",
  "sun.nio.ch",
  "sun.nio.cs",
  "sun.security.action",
  "sun.util.calendar"
).map(name => s"--add-opens=java.base/$name=ALL-UNNAMED")

val classpathFile = taskKey[File]("What a cluster needs beside Spark: a line a jar")
val dist = taskKey[Seq[File]]("dist/: the thin jar, what it needs, the assembly")

// Entries are copied as they are: to pack TensorFlow's natives (683 MB) again would take half a
// minute, and sbt-assembly would hold them in memory.
def join(jars: Seq[File], whole: File): Unit = {
  val part = file(s"$whole.part")
  Using.resource(new ZipArchiveOutputStream(part)) { out =>
    for (jar <- jars)
      Using.resource(ZipFile.builder().setFile(jar).get()) { in =>
        // Whose jar it is, the first one alone says.
        def wanted(name: String) =
          jar == jars.head || !name.endsWith("/") && !name.startsWith("META-INF/")
        in.copyRawEntries(out, entry => wanted(entry.getName))
      }
  }
  IO.move(part, whole)
}

lazy val interop = (project in file("."))
  .settings(
    name := "tfspark-interop",
    target := baseDirectory.value / "build" / "scala",
    Compile / sourceDirectory := baseDirectory.value / "interop" / "src" / "main",
    Test / sourceDirectory := baseDirectory.value / "interop" / "src" / "test",
    // The lists that the Python side checks models against, and no others.
    Compile / resourceGenerators += Def.task {
      for (name <- Seq("allowed_ops.txt", "saved_model_fields.txt")) yield {
        val copy = (Compile / resourceManaged).value / "tfspark" / name
        IO.copyFile(baseDirectory.value / "tfspark" / "registry" / name, copy)
        copy
      }
    }.taskValue,
    scalacOptions ++= Seq(
      // A Java runtime without a compiler, as the one of `make setup`, knows no other release's API.
      if ((file(sys.props("java.home")) / "lib" / "ct.sym").exists) "-release:17"
      else "-Xunchecked-java-output-version:17",
      "-encoding:utf8",
      "-deprecation",
      "-feature",
      "-unchecked",
      "-Xlint",
      "-Wunused",
      "-Werror"
    ),
    Test / scalacOptions += "-Xlint:-infer-any", // rows of a table are of Any
    libraryDependencies ++= Seq(
      "org.apache.spark" %% "spark-sql" % sparkVersion % Provided,
      "io.delta" % "delta-spark_4.2_2.13" % "4.4.0" % Provided,
      "org.tensorflow" % "tensorflow-core-api" % tensorflowVersion,
      "org.tensorflow" % "tensorflow-core-native" % tensorflowVersion classifier natives,
      "org.bytedeco" % "javacpp" % javacppVersion,
      "org.bytedeco" % "javacpp" % javacppVersion classifier natives,
      "net.java.dev.jna" % "jna" % jnaVersion,
      "org.scalatest" %% "scalatest" % "3.2.20" % Test
    ),
    // The last of the line that TensorFlow's classes are made for.
    dependencyOverrides += "com.google.protobuf" % "protobuf-java" % "3.25.8",
    classpathFile := {
      val file = target.value / "classpath.txt"
      val jars = (Runtime / fullClasspathAsJars).value.map(_.data)
      IO.writeLines(file, jars.filterNot(_.getName.startsWith("scala-library")).map(_.toString))
      file
    },
    assembly / assemblyOutputPath := target.value / "assembly-without-natives.jar",
    assembly / assemblyExcludedJars :=
      (assembly / fullClasspath).value.filter(_.data.getName.endsWith(s"$natives.jar")),
    assemblyPackageScala / assembleArtifact := false,
    // Hadoop and Hive bring their own protobuf to a cluster's classpath, often an old one.
    assembly / assemblyShadeRules := Seq(
      ShadeRule.rename("com.google.protobuf.**" -> "tfspark.shaded.protobuf.@1").inAll
    ),
    assembly / assemblyMergeStrategy := {
      case path if path.endsWith("module-info.class") => MergeStrategy.discard
      case PathList("META-INF", "maven" | "native-image", _*) => MergeStrategy.discard
      // JNA's for other systems than the natives'.
      case PathList("com", "sun", "jna", system, _)
          if system.contains('-') && system != jnaSystem =>
        MergeStrategy.discard
      case path => (assembly / assemblyMergeStrategy).value(path)
    },
    dist := {
      val folder = baseDirectory.value / "dist"
      val thin = (Compile / packageBin).value
      val listed = classpathFile.value // scripts/sbt.py checks what is in it
      val list = folder / s"${name.value}.packages"
      val whole = folder / s"${name.value}-assembly-${version.value}.jar"
      val nativeJars = (assembly / assemblyExcludedJars).value.map(_.data)
      IO.copyFile(thin, folder / thin.getName)
      IO.write(list, packages.mkString("", ",", "\n"))
      IO.delete(folder / "natives")
      for (jar <- nativeJars) IO.copyFile(jar, folder / "natives" / jar.getName)
      join(assembly.value +: nativeJars, whole)
      Seq(folder / thin.getName, list, folder / "natives", whole)
    },
    Test / fork := true,
    Test / baseDirectory := baseDirectory.value,
    Test / javaOptions ++= opened ++ Seq(
      "-Xmx2g",
      "-XX:TieredStopAtLevel=1",
      "-XX:ReservedCodeCacheSize=256m",
      "-XX:+UseParallelGC",
      s"-Dorg.bytedeco.javacpp.cachedir=${baseDirectory.value}/build/sbt/javacpp"
    ),
    Test / envVars += "TFSPARK_MODEL_CACHE" -> s"${baseDirectory.value}/build/scala/models",
    Test / testOptions += Tests.Argument(TestFrameworks.ScalaTest, "-oD")
  )
