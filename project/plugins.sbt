addSbtPlugin("org.scalameta" % "sbt-scalafmt" % "2.6.2")
addSbtPlugin("com.eed3si9n" % "sbt-assembly" % "2.3.1")
libraryDependencies += "org.apache.commons" % "commons-compress" % "1.28.0"
