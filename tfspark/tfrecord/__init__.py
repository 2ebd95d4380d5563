"""TFRecord files of `tf.train.Example` and `SequenceExample`, to and from Arrow and Spark.

    write_file("part.tfrecord", table.to_batches(), table.schema)
    for batch in read_file("part.tfrecord", table.schema): ...

No Python object is made per value: see `docs/tfrecord.md`. TensorFlow is not needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfspark import lazy

if TYPE_CHECKING:
    from tfspark.tfrecord.codec.infer import infer_schema
    from tfspark.tfrecord.codec.read import Counted, Reading, count_records, read_file
    from tfspark.tfrecord.codec.schema import (
        SIDECAR,
        Layout,
        layout_of,
        read_sidecar,
        write_sidecar,
    )
    from tfspark.tfrecord.codec.write import Writer, Written, write_file
    from tfspark.tfrecord.folder.verify import Verified, verify
    from tfspark.tfrecord.spark.convert import convert
    from tfspark.tfrecord.spark.examples import to_example
    from tfspark.tfrecord.spark.source import register, write_tfrecord

__all__ = [
    "SIDECAR",
    "Counted",
    "Layout",
    "Reading",
    "Verified",
    "Writer",
    "Written",
    "convert",
    "count_records",
    "infer_schema",
    "layout_of",
    "read_file",
    "read_sidecar",
    "register",
    "to_example",
    "verify",
    "write_file",
    "write_sidecar",
    "write_tfrecord",
]

__getattr__ = lazy.names(
    __name__,
    {
        "codec.infer": ("infer_schema",),
        "codec.read": ("Counted", "Reading", "count_records", "read_file"),
        "codec.schema": ("SIDECAR", "Layout", "layout_of", "read_sidecar", "write_sidecar"),
        "codec.write": ("Writer", "Written", "write_file"),
        "folder.verify": ("Verified", "verify"),
        "spark.convert": ("convert",),
        "spark.examples": ("to_example",),
        "spark.source": ("register", "write_tfrecord"),
    },
)
