"""The plan `pandas`: Spark hands Python processes pandas columns, which `columns.py` prepares."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.functions import pandas_udf  # type: ignore[attr-defined]

from tfspark.registry.signature import Signature
from tfspark.scoring.kinds.bound import BoundModel
from tfspark.scoring.plans.columns import columns_for, judged, spark_type
from tfspark.scoring.plans.plan import (
    ERROR,
    REASON,
    RESULT,
    BySpark,
    Results,
    RowsPlan,
    TableSource,
)
from tfspark.scoring.worker.many import Scores
from tfspark.tables import quote
from tfspark.tensors import TensorSpec

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_SHORT = 64


class Pandas(RowsPlan):
    name = "pandas"

    def for_table(self, source: TableSource) -> BySpark:
        return BySpark("asked for", self.results)

    def results(self, df: DataFrame, bound: BoundModel, kept: Sequence[str]) -> Results:
        signature = bound.model.signature
        fed = replace(bound, bindings=tuple(judged(b, df.schema) for b in bound.bindings))
        prepared = [columns_for(binding, df.schema) for binding in bound.bindings]
        arguments = [column for columns, _, _ in prepared for column in columns]
        kinds = [kind for _, kinds, _ in prepared for kind in kinds]
        reasons = [reason for _, _, reasons in prepared for reason in reasons]
        function = _function(fed.scorer(df.sparkSession), kinds, signature)
        scored = df.select(
            *[F.col(quote(name)) for name in kept],
            function(*arguments).alias(RESULT),
            *([reduce(lambda a, b: F.coalesce(a, b), reasons).alias(REASON)] if reasons else []),
        )
        return Results.of(scored, signature, F.col(REASON) if reasons else None, _output)


def _output(result: Column, number: int, spec: TensorSpec) -> Column:
    """One output of the column of results."""
    if width := _width(spec):
        return F.array(*[result.getField(f"o{number}_{i}") for i in range(width)])
    value, kind = result.getField(f"o{number}"), spark_type(spec)
    return _with_nan(value, kind) if isinstance(kind, T.ArrayType) else value


def _with_nan(value: Column, kind: T.DataType) -> Column:
    """Floats as the model gave them: on its way from pandas NaN in a list becomes null."""
    if isinstance(kind, T.ArrayType):
        leaf: T.DataType = kind
        while isinstance(leaf, T.ArrayType):
            leaf = leaf.elementType
        if not isinstance(leaf, T.FloatType | T.DoubleType):
            return value
        return F.transform(value, lambda element: _with_nan(element, kind.elementType))
    return F.coalesce(value, F.lit(float("nan")).cast(kind))


def _fields(signature: Signature) -> list[T.StructField]:
    """The fields of the result: by number, as outputs may have any name.

    Output 0 is `o0`. A short vector is a field a value, `o0_0`, `o0_1`...: pandas passes a list
    by a Python object a value, numbers by none.
    """
    fields = []
    for number, spec in enumerate(signature.outputs.values()):
        kind = spark_type(spec)
        if width := _width(spec):
            element = kind.elementType  # type: ignore[attr-defined]
            fields += [T.StructField(f"o{number}_{i}", element) for i in range(width)]
        else:
            fields.append(T.StructField(f"o{number}", kind))
    return fields


def _function(
    scorer: Scores, kinds: Sequence[pa.DataType], signature: Signature
) -> Callable[..., Column]:
    """A pandas UDF over prepared columns.

    Args:
        kinds: the Arrow types of its columns.

    Returns:
        A function of columns that gives a struct of `_fields` and `error`, null where the row was
        scored.
    """
    kinds = list(kinds)
    specs = list(signature.outputs.values())

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

    fields = [*_fields(signature), T.StructField(ERROR, T.StringType())]
    function: Any = pandas_udf(score, T.StructType(fields))
    result: Callable[..., Column] = function.asNondeterministic()  # see the plan `arrow`
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
