// The Scala module: sources under interop/, run by `python scripts/sbt.py`.

ThisBuild / organization := "tfspark"
ThisBuild / version := "0.1.0"
ThisBuild / scalaVersion := "2.13.18"

val sparkVersion = "4.2.0"
val tensorflowVersion = "1.1.0"
val natives = "linux-x86_64"

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

lazy val interop = (project in file("."))
  .settings(
    name := "tfspark-interop",
    target := baseDirectory.value / "build" / "scala",
    Compile / sourceDirectory := baseDirectory.value / "interop" / "src" / "main",
    Test / sourceDirectory := baseDirectory.value / "interop" / "src" / "test",
    // The list that the Python side checks models against, and no other.
    Compile / resourceGenerators += Def.task {
      val list = baseDirectory.value / "tfspark" / "registry" / "allowed_ops.txt"
      val copy = (Compile / resourceManaged).value / "tfspark" / "allowed_ops.txt"
      IO.copyFile(list, copy)
      Seq(copy)
    }.taskValue,
    scalacOptions ++= Seq(
      "-release:17",
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
      "org.xerial" % "sqlite-jdbc" % "3.53.0.0",
      "org.tensorflow" % "tensorflow-core-api" % tensorflowVersion,
      "org.tensorflow" % "tensorflow-core-native" % tensorflowVersion classifier natives,
      "org.bytedeco" % "javacpp" % "1.5.11",
      "org.bytedeco" % "javacpp" % "1.5.11" classifier natives,
      "net.java.dev.jna" % "jna" % "5.17.0",
      "org.scalatest" %% "scalatest" % "3.2.20" % Test
    ),
    dependencyOverrides += "com.google.protobuf" % "protobuf-java" % "3.21.9",
    classpathFile := {
      val file = target.value / "classpath.txt"
      val jars = (Runtime / fullClasspathAsJars).value.map(_.data)
      IO.writeLines(file, jars.filterNot(_.getName.startsWith("scala-library")).map(_.toString))
      file
    },
    Test / fork := true,
    Test / baseDirectory := baseDirectory.value,
    Test / javaOptions ++= opened ++ Seq(
      "-Xmx2g",
      s"-Dorg.bytedeco.javacpp.cachedir=${baseDirectory.value}/build/sbt/javacpp"
    ),
    Test / envVars += "TFSPARK_MODEL_CACHE" -> s"${baseDirectory.value}/build/scala/models",
    Test / testOptions += Tests.Argument(TestFrameworks.ScalaTest, "-oD")
  )
