"""Spark's data source `tfrecord`."""
