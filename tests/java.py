"""Java for tests: it lives for seconds or minutes."""

SHORT_LIVED = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m -XX:+UseParallelGC"
"""An optimising compiler would take half of the time. Without it the code cache is 48 MB, which
Spark fills within minutes, and a third of the time goes into sweeping it."""
