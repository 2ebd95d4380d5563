"""The functions that Spark runs in its Python processes, and what they carry.

`arrow_plan` takes Arrow arrays, which bring their types and nulls with them; `pandas_plan` is for
columns that `columns_for` has prepared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.functions import arrow_udf, pandas_udf  # type: ignore[attr-defined]

from tfspark.registry.resolve import ModelFolder
from tfspark.scoring.model import pack
from tfspark.scoring.model.many import ABOUT, AnyModel, BySegment, SideBySide, about, split
from tfspark.scoring.plans.columns import spark_type
from tfspark.scoring.worker.guard import Scorer
from tfspark.scoring.worker.many import Scores, SegmentScorer, SideBySideScorer
from tfspark.scoring.worker.predict import Feed
from tfspark.scoring.worker.settings import scorer_settings
from tfspark.tensors import TensorSpec

if TYPE_CHECKING:
    from pyspark.sql import Column, SparkSession

ERROR = "error"
_SHORT = 64


def scorer_for(spark: SparkSession, model: AnyModel, feeds: Sequence[Feed]) -> Any:
    """Send the model out, or each of several, and make what the tasks carry: `Scores`."""
    if isinstance(model, ModelFolder):
        return _one(spark, model, feeds)
    parts = zip(model.members, split(model, feeds), strict=True)
    scorers = tuple(_one(spark, member, own) for member, own in parts)
    if isinstance(model, SideBySide):
        return SideBySideScorer(model.names, scorers, model.signature)
    if not isinstance(model, BySegment):
        raise TypeError(f"{type(model).__name__}: no scorer is known for it")
    texts = [about(member) for member in model.members]
    return SegmentScorer(
        model.column,
        model.segments,
        model.of,
        model.default,
        tuple((text[ABOUT[0]], text[ABOUT[1]], text[ABOUT[2]]) for text in texts),
        scorers,
        model.signature,
    )


def _one(spark: SparkSession, model: ModelFolder, feeds: Sequence[Feed]) -> Scorer:
    packed = pack.broadcast(spark, model)
    return Scorer(packed, model.signature, tuple(feeds), **scorer_settings(spark))


def result_fields(model: AnyModel) -> list[T.StructField]:
    """The fields of the result: by number, as outputs may have any name.

    Output 0 is `o0`. A short vector is a field a value, `o0_0`, `o0_1`...: pandas passes a list
    by a Python object a value, numbers by none.
    """
    fields = []
    for number, spec in enumerate(model.signature.outputs.values()):
        kind = spark_type(spec)
        if width := _width(spec):
            element = kind.elementType  # type: ignore[attr-defined]
            fields += [T.StructField(f"o{number}_{i}", element) for i in range(width)]
        else:
            fields.append(T.StructField(f"o{number}", kind))
    return fields


def output_column(result: Column, number: int, spec: TensorSpec, plan: str) -> Column:
    """One output of the result of a plan."""
    if plan == "pandas" and (width := _width(spec)):
        return F.array(*[result.getField(f"o{number}_{i}") for i in range(width)])
    return result.getField(f"o{number}")


def arrow_plan(scorer: Scores, model: AnyModel) -> Callable[..., Column]:
    """An Arrow UDF over columns as they are.

    Returns:
        A function of columns that gives a struct of the outputs by number (`o0`, `o1`...) and
        `error`, null where the row was scored.
    """
    specs = list(model.signature.outputs.values())
    names = [*(f"o{number}" for number in range(len(specs))), ERROR]

    def score(batches: Iterator[tuple[pa.Array, ...]]) -> Iterator[pa.Array]:
        for batch in batches:
            outputs, errors = scorer(batch if isinstance(batch, tuple) else (batch,))
            yield pa.StructArray.from_arrays([*outputs, errors], names)

    returned = [*(spark_type(spec) for spec in specs), T.StringType()]
    fields = [T.StructField(name, kind) for name, kind in zip(names, returned, strict=True)]
    function: Any = arrow_udf(score, T.StructType(fields))
    result: Callable[..., Column] = function.asNondeterministic()  # see `pandas_plan`
    return result


def pandas_plan(
    scorer: Scores, kinds: Sequence[pa.DataType], model: AnyModel
) -> Callable[..., Column]:
    """A pandas UDF over prepared columns.

    Args:
        kinds: the Arrow types of its columns.

    Returns:
        A function of columns that gives a struct of `result_fields` and `error`, null where the
        row was scored.
    """
    kinds = list(kinds)
    specs = list(model.signature.outputs.values())

    def score(batches: Iterator[tuple[pd.Series, ...]]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            series = batch if isinstance(batch, tuple) else (batch,)
            outputs, errors = scorer([_arrow(s, k) for s, k in zip(series, kinds, strict=True)])
            columns = {}
            for number, (spec, output) in enumerate(zip(specs, outputs, strict=True)):
                if width := _width(spec):
                    for i in range(width):
                        columns[f"o{number}_{i}"] = _series(pc.list_element(output, i))
                else:
                    columns[f"o{number}"] = _series(output)
            yield pd.DataFrame({**columns, ERROR: _series(errors)})

    fields = [*result_fields(model), T.StructField(ERROR, T.StringType())]
    # Nondeterministic: Spark would push a filter on a prediction below the projection and score
    # every row twice, once for the filter and once for the result.
    function: Any = pandas_udf(score, T.StructType(fields))
    result: Callable[..., Column] = function.asNondeterministic()
    return result


def _width(spec: TensorSpec) -> int | None:
    """The length of a vector that is passed value by value; None for what is passed whole."""
    short = len(spec.shape) == 1 and 1 < (spec.shape[0] or 0) <= _SHORT
    return spec.shape[0] if short else None


def _arrow(series: pd.Series, kind: pa.DataType) -> pa.Array:
    """What pandas holds as Arrow again; numbers are not copied, NaN does not become null."""
    if isinstance(kind, pa.ListType):
        return pa.array(series, kind, from_pandas=False)
    values = series.to_numpy()
    if values.dtype == object:
        return pa.array(values, kind)
    return pa.array(values)


def _series(array: pa.Array) -> pd.Series:
    """Arrow in pandas as it is; lists as Python's, which is how Spark takes them from pandas."""
    if isinstance(array.type, pa.ListType):
        return pd.Series(array.to_pylist(), dtype=object)
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([array])))
