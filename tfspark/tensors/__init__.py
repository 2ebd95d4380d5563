"""Arrow to tensor and back, column by column, without a Python object per number.

    to_numpy(pa.array([1.0, None]), TensorSpec("float32", (), math.nan))  # array([1., nan])

What becomes what is written in `docs/scoring.md`; `misfit` answers it for a type alone, so that
a driver can refuse a column before any task runs.
"""

from tfspark.tensors.kinds import DTYPES, Array, arrow_type, misfit, numpy_dtype
from tfspark.tensors.read import batch_to_tensors, to_numpy
from tfspark.tensors.rows import NAN, NO_NULL, BadRows, RaggedRows
from tfspark.tensors.spec import INT_NULL, TensorSpec, default_null
from tfspark.tensors.write import to_arrow

__all__ = [
    "DTYPES",
    "INT_NULL",
    "NAN",
    "NO_NULL",
    "Array",
    "BadRows",
    "RaggedRows",
    "TensorSpec",
    "arrow_type",
    "batch_to_tensors",
    "default_null",
    "misfit",
    "numpy_dtype",
    "to_arrow",
    "to_numpy",
]
