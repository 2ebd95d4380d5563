"""Deprecated: `from tfspark.tfrecord import verify`."""

from tfspark.deprecated import moved
from tfspark.tfrecord.folder.verify import Verified, verify

__all__ = ["Verified", "verify"]

moved(
    __name__,
    instead="from tfspark.tfrecord import verify",
    since="0.2.0",
    removed_in="0.3.0",
    call=verify,
)
