"""Deprecated: `from tfspark.tfrecord import register, write_tfrecord`."""

from tfspark.deprecated import moved
from tfspark.tfrecord.spark.source import TFRecordDataSource, register, write_tfrecord

__all__ = ["TFRecordDataSource", "register", "write_tfrecord"]

moved(__name__, instead="from tfspark.tfrecord import ...", since="0.2.0", removed_in="0.3.0")
