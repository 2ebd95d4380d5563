"""`score_udf`: a model as a function of columns, in Python and in SQL."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.functions import arrow_udf  # type: ignore[attr-defined]

from tfspark.errors import SignatureError
from tfspark.scoring.kinds.model import TEXT, AnyModel
from tfspark.scoring.kinds.resolve import Models, resolve
from tfspark.scoring.model.binding import (
    check_outputs,
    constant_of,
    needs_constant,
    unknown_input,
)
from tfspark.scoring.model.outputs import Outputs
from tfspark.scoring.plans.columns import spark_type
from tfspark.scoring.refuse import check_on_bad_row, refusal
from tfspark.scoring.worker.many import Scores
from tfspark.scoring.worker.predict import Feed
from tfspark.tables import quote
from tfspark.tensors import arrow_type, misfit

if TYPE_CHECKING:
    from pyspark.sql import Column, SparkSession


def score_udf(
    spark: SparkSession,
    model: Models,
    tracking_uri: str | None = None,
    signature: str | None = None,
    *,
    on_bad_row: str = "fail",
    outputs: Outputs | None = None,
) -> ScoreFunction:
    """A model as a function of columns.

    Args:
        spark: the session whose queries call it.
        model: the folder of a SavedModel, or an MLflow URI; or several, as for `score`.
        tracking_uri: the MLflow server; default: MLflow's own, else the jobs' in `warehouse`.
        signature: name of the signature; default: the manifest's, else `serving_default`.
        on_bad_row: `fail`: a row that cannot be scored fails the query, with its values and the
            reason; `null`: its outputs are null.
        outputs: as for `score`.

    Raises:
        ModelNotFound, IntegrityError, UnsafeModelError: of the model.
        ConfigError: `on_bad_row` is none of these.

    Example:
        survival = tfspark.score_udf(spark, "models:/passengers@champion")
        df.withColumn("survival", survival())           # columns of the inputs' names
        df.withColumn("survival", survival(Age="age"))  # the others by name
        df.withColumn("survival", survival(F.struct("*")))  # the fields of the inputs' names
        df.withColumn("survival", survival(Sex={"constant": "male"}))
        survival.register("survival")                   # for SQL
    """
    fail = check_on_bad_row(on_bad_row)
    return ScoreFunction(spark, resolve(model, tracking_uri, signature, outputs), fail)


class ScoreFunction:
    """A function of columns that gives a column: typed for one output, a struct for several.

    Attributes:
        inputs: the model's inputs, in the order in which columns are given by position, which is
            that of the model's own function; of a model by segment, the segment's column before
            them.
        outputs: the model's outputs.
    """

    def __init__(self, spark: SparkSession, model: AnyModel, fail: bool = True) -> None:
        check_outputs(model, [])
        self._spark, self._model, self._fail = spark, model, fail
        self.inputs = list(model.inputs)
        self.outputs = list(model.signature.outputs)

    def __call__(self, *columns: Column | str | Sequence[Column | str], **named: Any) -> Column:
        """Apply the model.

        Args:
            columns: by position, in the order of `inputs`. A text is a column's name, whatever
                characters it has; a list of columns becomes one tensor; `{"constant": value}` is
                the same in all rows. One `struct(...)`: its fields of the inputs' names.
            named: the same by the input's name; an input that is not given takes the model's
                default, where it has one, else the column of its name.

        Raises:
            SignatureError: more columns than inputs, an unknown input, one given twice; a value
                that does not fit, or none where one is needed.
        """
        if len(columns) == 1 and not named and _is_struct(columns[0]):
            return self._named(self._udf({}, {})(columns[0]))
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
        stacks: dict[str, int | None] = {}
        constants: dict[str, Any] = {}
        arguments: list[Any] = []
        signature, path = self._model.signature, self._model.path
        for name, spec in self._model.inputs.items():
            value = given.get(name, name)
            if isinstance(value, Mapping):
                constants[name] = constant_of(path, name, spec, value)
                continue
            if name not in given and name in signature.defaults:
                constants[name] = signature.defaults[name]
                continue
            if name in signature.whole:
                raise needs_constant(path, name, spec)
            stacked = isinstance(value, list | tuple)
            values = list(value) if stacked else [value]
            stacks[name] = len(values) if stacked else None
            arguments += [F.col(quote(v)) if isinstance(v, str) else v for v in values]
        if not arguments:
            raise SignatureError(f"model {path}: no column is given; a constant gives no rows")
        return self._named(self._udf(stacks, constants)(*arguments))

    def _named(self, result: Column) -> Column:
        return result.alias(self.outputs[0] if len(self.outputs) == 1 else "scored")

    def register(self, name: str) -> None:
        """Make the function known to SQL.

        `name(a, b)` takes columns in the order of `inputs`, `name(Age => a, Sex => b)` by name,
        `name(struct(*))` the fields of the inputs' names, of any struct. An input that is not
        there, or a type that does not fit, fails the query. What the model has a default for may
        be left out; an input that is one value for the whole batch takes its default.

        Raises:
            SignatureError: such an input without a default.
        """
        self._spark.udf.register(name, self._udf({}, {}))

    def _udf(self, stacks: Mapping[str, int | None], constants: Mapping[str, Any]) -> Any:
        """The function for Spark.

        Args:
            stacks: input → the number of its columns; None: one that is no list.
            constants: input → the value of a row.
        """
        model, signature = self._model, self._model.signature
        for name in signature.whole:
            if name not in constants and name not in signature.defaults:
                raise needs_constant(model.path, name, signature.inputs[name])
        whole = {n: v for n, v in signature.defaults.items() if n in signature.whole}
        fixed = {**whole, **constants}
        feeds = [
            Feed(name, spec, 0, value=fixed[name], whole=name in signature.whole)
            if name in fixed
            else Feed(name, spec, stacks.get(name) or 1, stacks.get(name) is not None)
            for name, spec in model.arguments
        ]
        fed = [name for name in self.inputs if name not in fixed]
        call = Call(
            model.scorer(self._spark, feeds),
            tuple(fed),
            tuple(stacks.get(name) or 1 for name in fed),
            tuple(feed for feed in feeds if feed.columns),
            # Told here: what is pickled is no longer the same TEXT.
            tuple(f for f in feeds if f.columns and not f.stacked and f.spec is not TEXT),
            model.path,
            self._fail,
            {name: value for name, value in signature.defaults.items() if name in fed},
        )
        # Defined here, as Spark pickles functions of modules by name and those inside by value.

        def score(*columns: pa.Array, **named: pa.Array) -> pa.Array:
            return call(columns, named)

        kinds = [spark_type(spec) for spec in model.signature.outputs.values()]
        fields = [T.StructField(n, k) for n, k in zip(self.outputs, kinds, strict=True)]
        returned = kinds[0] if len(kinds) == 1 else T.StructType(fields)
        return arrow_udf(score, returned)


@dataclass(frozen=True)
class Call:
    """The arguments of one call, of one batch, to one array.

    Attributes:
        inputs: the inputs by position; `counts` has the number of columns of each.
        feeds: the scorer's arguments: inputs of several models may come more than once.
        typed: those of the feeds whose columns must fit: a segment's may be of any type.
        model: for messages.
        fail: whether a bad row ends the query.
        defaults: input → the value of a row where it is not given.
    """

    scorer: Scores
    inputs: tuple[str, ...]
    counts: tuple[int, ...]
    feeds: tuple[Feed, ...]
    typed: tuple[Feed, ...]
    model: str
    fail: bool
    defaults: Mapping[str, Any]

    def __call__(self, columns: Sequence[pa.Array], named: Mapping[str, pa.Array]) -> pa.Array:
        given = self._given(columns, named)
        for feed in self.typed:
            self._check(feed, given[feed.name][0].type)
        arguments = [array for feed in self.feeds for array in given[feed.name]]
        outputs, errors = self.scorer(arguments)
        if self.fail and errors.null_count < len(errors):
            row = next(i for i, reason in enumerate(errors) if reason.is_valid)
            values = ", ".join(
                str(array[row].as_py())[:80] for name in self.inputs for array in given[name]
            )
            raise ValueError(
                refusal(self.model, "a row", f"{errors[row].as_py()}; its values: {values}")
            )
        if len(outputs) == 1:
            return outputs[0]
        specs = self.scorer.signature.outputs
        fields = [pa.field(name, arrow_type(spec)) for name, spec in specs.items()]
        return pa.StructArray.from_arrays(outputs, fields=fields)

    def _given(
        self, columns: Sequence[pa.Array], named: Mapping[str, pa.Array]
    ) -> dict[str, list[pa.Array]]:
        """Input → its columns."""
        if len(columns) == 1 and not named and pa.types.is_struct(columns[0].type):
            fields = dict(zip(columns[0].type.names, columns[0].flatten(), strict=True))
            named = {n: fields[n] for n in fields if self._input(n)}
            columns = []
        given, at = {}, 0
        for name, count in zip(self.inputs, self.counts, strict=True):
            if at < len(columns):
                given[name] = list(columns[at : at + count])
            at += count
        if at < len(columns):
            raise SignatureError(
                f"model {self.model}: {len(columns)} arguments for {len(self.inputs)} inputs: "
                + ", ".join(self.inputs)
            )
        for said, array in named.items():
            meant = self._input(said)
            if meant is None:
                raise unknown_input(self.model, said, dict.fromkeys(self.inputs))
            if meant in given:
                raise SignatureError(f"model {self.model}: the input {meant} is given twice")
            given[meant] = [array]
        missing = [name for name in self.inputs if name not in given]
        if needed := [name for name in missing if name not in self.defaults]:
            raise SignatureError(
                f"model {self.model}: nothing is given for the input {', '.join(needed)}; give "
                f"all of {', '.join(self.inputs)}, in this order or by name (NAME => column); "
                "columns that become one tensor as array(a, b)"
            )
        if missing and not given:
            raise SignatureError(f"model {self.model}: no column is given")
        rows = len(next(iter(given.values()))[0]) if given else 0
        given |= {name: [pa.array([self.defaults[name]] * rows)] for name in missing}
        return given

    def _input(self, said: str) -> str | None:
        """The input that is meant; SQL does not mind the case."""
        if said in self.inputs:
            return said
        same = [name for name in self.inputs if name.lower() == said.lower()]
        return same[0] if len(same) == 1 else None

    def _check(self, feed: Feed, kind: pa.DataType) -> None:
        if reason := misfit(kind, feed.spec):
            is_struct = pa.types.is_struct(kind)
            todo = "; for the fields of a struct s: struct(s.*)" if is_struct else ""
            raise SignatureError(
                f"model {self.model}: input {feed.name} ({feed.spec.dtype}, shape "
                f"{list(feed.spec.shape)}) cannot take a column of type {kind}: {reason}{todo}"
            )


def _is_struct(column: Any) -> bool:
    """Whether a column is made by `struct`; of others only the query knows the type."""
    said = "" if isinstance(column, str) else str(column)
    return re.match(r"Column<'(named_)?struct\(", said) is not None
