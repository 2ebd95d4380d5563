"""A DataFrame that is plain Parquet files, read by tasks without Spark's rows."""
