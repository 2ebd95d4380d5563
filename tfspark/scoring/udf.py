"""The functions that Spark runs in its Python processes, and `score_udf` for columns.

`arrow_plan` and `score_udf` take Arrow arrays, which bring their types and nulls with them;
`pandas_plan` is for columns that `columns_for` has prepared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.pandas.functions import arrow_udf, pandas_udf

from tfspark.contracts import TensorSpec
from tfspark.errors import SignatureError
from tfspark.registry.resolve import ModelFolder, resolve_model
from tfspark.scoring import pack
from tfspark.scoring.binding import check_outputs
from tfspark.scoring.columns import spark_type
from tfspark.scoring.predict import Feed, Scorer
from tfspark.tables import quote
from tfspark.tensors import arrow_type

if TYPE_CHECKING:
    from pyspark.sql import Column, SparkSession

ERROR = "error"
_THREADS = "spark.tfspark.threads"
_SHORT = 64


def scorer_for(spark: SparkSession, model: ModelFolder, feeds: Sequence[Feed]) -> Scorer:
    """Send the model out, and make what the UDF carries."""
    task_cpus = spark.sparkContext.getConf().get("spark.task.cpus", "1")
    threads = int(spark.conf.get(_THREADS, task_cpus) or 1)
    return Scorer(pack.broadcast(spark, model), model.signature, tuple(feeds), threads)


def result_fields(model: ModelFolder) -> list[T.StructField]:
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


def arrow_plan(scorer: Scorer, model: ModelFolder) -> Callable[..., Column]:
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
    function: Any = arrow_udf(score, T.StructType(fields))  # type: ignore[call-overload]
    result: Callable[..., Column] = function.asNondeterministic()  # see `pandas_plan`
    return result


def pandas_plan(
    scorer: Scorer, kinds: Sequence[pa.DataType], model: ModelFolder
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
    function: Any = pandas_udf(score, T.StructType(fields))  # type: ignore[call-overload]
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


def score_udf(
    spark: SparkSession,
    model: str,
    tracking_uri: str | None = None,
    signature: str | None = None,
) -> ScoreFunction:
    """A model as a function of columns.

    Args:
        model: the folder of a SavedModel, or an MLflow URI.

    Example:
        survival = tfspark.score_udf(spark, "models:/passengers@champion")
        df.withColumn("survival", survival())           # columns of the inputs' names
        df.withColumn("survival", survival(Age="age"))  # the others by name
        survival.register("survival")                   # for SQL
    """
    return ScoreFunction(spark, resolve_model(model, tracking_uri, signature))


class ScoreFunction:
    """A function of columns that gives a column: typed for one output, a struct for several.

    A row that cannot be scored fails the query, with its values and its reason.

    Attributes:
        inputs: the model's inputs, in the order in which columns are given by position.
        outputs: the model's outputs.
    """

    def __init__(self, spark: SparkSession, model: ModelFolder) -> None:
        check_outputs(model, [])
        self._spark, self._model = spark, model
        self.inputs = list(model.signature.inputs)
        self.outputs = list(model.signature.outputs)

    def __call__(self, *columns: Column | str | Sequence[Column | str], **named: Any) -> Column:
        """Apply the model.

        Args:
            columns: by position, in the order of `inputs`. A text is a column's name, whatever
                characters it has; a list of columns becomes one tensor.
            named: the same by the input's name; an input that is not given takes the column of
                its name.

        Raises:
            SignatureError: more columns than inputs, an unknown input, one given twice.
        """
        if len(columns) > len(self.inputs):
            raise SignatureError(
                f"model {self._model.path}: {len(columns)} columns for {len(self.inputs)} inputs: "
                + ", ".join(self.inputs)
            )
        given: dict[str, Any] = dict(zip(self.inputs, columns, strict=False))
        for name, column in named.items():
            if name not in self.inputs or name in given:
                what = "is given twice" if name in given else "is no input"
                raise SignatureError(
                    f"model {self._model.path}: {name} {what}; inputs: {', '.join(self.inputs)}"
                )
            given[name] = column
        feeds, arguments = [], []
        for name, spec in self._model.signature.inputs.items():
            value = given.get(name, name)
            stacked = isinstance(value, list | tuple)
            values = list(value) if stacked else [value]
            feeds.append(Feed(name, spec, len(values), stacked))
            arguments += [F.col(quote(v)) if isinstance(v, str) else v for v in values]
        result: Column = self._udf(tuple(feeds))(*arguments)
        return result.alias(self.outputs[0] if len(self.outputs) == 1 else "scored")

    def register(self, name: str) -> None:
        """Make the function known to SQL: `SELECT name(a, b) FROM t`, in the order of `inputs`."""
        feeds = tuple(Feed(n, spec) for n, spec in self._model.signature.inputs.items())
        self._spark.udf.register(name, self._udf(feeds))

    def _udf(self, feeds: tuple[Feed, ...]) -> Any:
        scorer = scorer_for(self._spark, self._model, feeds)
        run = _OrFail(scorer, tuple(self.outputs))
        # Defined here, as Spark pickles functions of modules by name and those inside by value.

        def score(batches: Iterator[tuple[pa.Array, ...]]) -> Iterator[pa.Array]:
            for batch in batches:
                yield run(batch if isinstance(batch, tuple) else (batch,))

        kinds = [spark_type(spec) for spec in self._model.signature.outputs.values()]
        fields = [T.StructField(n, k) for n, k in zip(self.outputs, kinds, strict=True)]
        returned = kinds[0] if len(kinds) == 1 else T.StructType(fields)
        return arrow_udf(score, returned)  # type: ignore[call-overload]


@dataclass(frozen=True)
class _OrFail:
    """A batch to one array, or an error that names the first row that failed."""

    scorer: Scorer
    outputs: tuple[str, ...]

    def __call__(self, columns: Sequence[pa.Array]) -> pa.Array:
        outputs, errors = self.scorer(columns)
        if errors.null_count < len(errors):
            row = next(i for i, reason in enumerate(errors) if reason.is_valid)
            values = ", ".join(str(column[row].as_py())[:80] for column in columns)
            raise ValueError(
                f"model {self.scorer.packed.model}: a row cannot be scored: {errors[row].as_py()}; "
                f"its values: {values}; leave such rows out, or use score_table, which puts them "
                "into a quarantine table"
            )
        if len(outputs) == 1:
            return outputs[0]
        kinds = [arrow_type(spec) for spec in self.scorer.signature.outputs.values()]
        fields = [pa.field(n, k) for n, k in zip(self.outputs, kinds, strict=True)]
        return pa.StructArray.from_arrays(outputs, fields=fields)
