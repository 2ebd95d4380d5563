"""Deprecated: `from tfspark.tfrecord import convert`."""

from tfspark.deprecated import moved
from tfspark.tfrecord.spark.convert import convert

__all__ = ["convert"]

moved(
    __name__,
    instead="from tfspark.tfrecord import convert",
    since="0.2.0",
    removed_in="0.3.0",
    call=convert,
)
