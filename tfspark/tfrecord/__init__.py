"""TFRecord files of `tf.train.Example` and `SequenceExample`, to and from Arrow.

    write_file("part.tfrecord", table.to_batches(), table.schema)
    for batch in read_file("part.tfrecord", table.schema): ...

No Python object is made per value: see `docs/tfrecord.md`. TensorFlow is not needed.
"""

from __future__ import annotations

from tfspark.tfrecord.codec.infer import infer_schema
from tfspark.tfrecord.codec.read import Counted, Reading, count_records, read_file
from tfspark.tfrecord.codec.schema import SIDECAR, Layout, layout_of, read_sidecar, write_sidecar
from tfspark.tfrecord.codec.write import Writer, Written, write_file

__all__ = [
    "SIDECAR",
    "Counted",
    "Layout",
    "Reading",
    "Writer",
    "Written",
    "count_records",
    "infer_schema",
    "layout_of",
    "read_file",
    "read_sidecar",
    "write_file",
    "write_sidecar",
]
