"""Every setting, typed. Command line > environment > configuration file > default.

Environment: `TFSPARK_` and the path with two underscores, `TFSPARK_TRAINING__EPOCHS=3`.
An unknown key is an error in each of the three.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from typing import Any, ClassVar, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from tfspark import storage
from tfspark.contracts import load_yaml
from tfspark.errors import ConfigError
from tfspark.recipe import Feature, Model, Section, Training

ENV_PREFIX = "TFSPARK_"
# Read elsewhere: where models are unpacked, the form of the log, set-up, packages, schedules.
_OWN_VARIABLES = {
    f"{ENV_PREFIX}{name}"
    for name in ["MODEL_CACHE", "MODEL_CACHE_BYTES", "LOG", "IVY_SETTINGS", "BASE_PYTHON", "HOME"]
}
_SECRET = re.compile(r"password|passwd|secret|token|credential|api_?key|access_?key", re.I)
_URL_SECRET = re.compile(r"(://[^/\s:@]*:)[^@/\s]+@|((?:password|pwd|token)=)[^;&\s]+", re.I)


class Source(Section):
    """The raw table. `{date}` in `path` is replaced by the logical date."""

    format: Literal["csv", "json", "parquet", "delta", "jdbc", "table"] = "parquet"
    path: str = Field("", description="folder, file or glob; for jdbc and table: the table's name")
    options: dict[str, str] = Field({}, description="Spark's options of the format")
    day_column: str | None = Field(None, description="take only rows where this column is the date")


class Split(Section):
    """Which rows train, validate and test: by the key's hash, or by a column of dates."""

    by: Literal["hash", "time"] = "hash"
    seed: int = 0
    validation: float = Field(0.1, ge=0, lt=1, description="share of the rows (hash)")
    test: float = Field(0.1, ge=0, lt=1, description="share of the rows (hash)")
    column: str | None = Field(None, description="date or timestamp column (time)")
    validation_from: dt.date | None = Field(None, description="first day of validation (time)")
    test_from: dt.date | None = Field(None, description="first day of test (time)")

    @model_validator(mode="after")
    def _whole(self) -> Split:
        if self.validation + self.test >= 1:
            raise ValueError("validation + test must leave rows to train on (below 1)")
        if self.by == "time":
            if not (self.column and self.validation_from and self.test_from):
                raise ValueError("by: time needs column, validation_from and test_from")
            if self.validation_from > self.test_from:
                raise ValueError("validation_from is after test_from")
        return self


class Prepare(Section):
    """How the dataset is written."""

    format: Literal["parquet", "tfrecord"] = "parquet"
    compression: Literal["none", "gzip", "zlib"] = Field("none", description="of tfrecord")
    narrow: dict[str, Literal["float", "string"]] = Field(
        {}, description="for tfrecord: what a double (float) or decimal (float, string) becomes"
    )
    split: Split = Split()
    file_mb: int = Field(128, ge=1, description="target size of a file, MiB")
    rows_per_file: int | None = Field(None, ge=1)
    vocabulary: int = Field(10_000, ge=1, description="most values of a column kept in statistics")


class Distributed(Section):
    """Where a training runs, and on how many ranks."""

    ranks: int = Field(1, ge=1, description="processes that train together")
    least_ranks: int | None = Field(
        None, ge=1, description="go on with as few where slots are missing; default: all"
    )
    launcher: Literal["auto", "local", "spark"] = Field(
        "auto", description="local: in this process; auto: that for one rank, else spark"
    )
    tries: int = Field(3, ge=1, description="starts in all, when ranks are lost")
    start_seconds: float = Field(120, gt=0, description="for all ranks to meet; + 1 s a rank")
    stall_seconds: float = Field(600, gt=0, description="a rank without a step so long hangs")
    slots_seconds: float = Field(30, ge=0, description="to wait for enough executors")
    threads: int | None = Field(None, ge=1, description="TensorFlow's, of a rank")
    pin: bool = Field(True, description="bind each rank of a machine to cores of its own")
    interface: str = Field("", description="of the driver, for ranks to meet: address or name")

    @model_validator(mode="after")
    def _whole(self) -> Distributed:
        if self.launcher == "local" and self.ranks > 1:
            raise ValueError("launcher local has one rank; use spark, or horovodrun")
        if self.least_ranks is not None and self.least_ranks > self.ranks:
            raise ValueError("least_ranks is more than ranks")
        return self


class Space(Section):
    """The values that a search tries for one setting."""

    low: float | None = None
    high: float | None = None
    log: bool = False
    step: float | None = Field(None, gt=0)
    choices: list[Any] | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _one_kind(self) -> Space:
        if (self.choices is None) == (self.low is None or self.high is None):
            raise ValueError("give low and high, or choices")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError("low is above high")
        return self


class Tune(Section):
    """A search for the settings of the recipe that give the best model."""

    trials: int = Field(20, ge=1)
    parallel: int = Field(0, ge=0, description="trials side by side; 0: as many as there are slots")
    timeout_seconds: float | None = Field(None, gt=0)
    metric: str = Field("", description="of the validation split; default: the task's first")
    sampler_seed: int = 0
    prune: bool = Field(True, description="end trials that are worse than the median early")
    space: dict[str, Space] = Field({}, description="training.learning_rate: {low, high, log}")
    study: str = Field("", description="its name; default: from the dataset, recipe and space")


class Registry(Section):
    """Where runs and model versions live."""

    tracking_uri: str = Field("", description="any MLflow server; default: SQLite in the warehouse")
    experiment: str = Field("", description="default: the name of the configuration")
    gate: dict[str, float] = Field(
        {}, description="metric on the test split: least value (of a loss or error: most)"
    )


class Score(Section):
    """What `score` reads, applies and writes; by default the source, the champion, `scored`."""

    input: str = Field("", description="Parquet or Delta folder, or a table's name")
    model: str | dict[str, str] = Field(
        "", description="SavedModel folder or models:/name@alias; several: name: model"
    )
    segment_column: str = Field("", description="its value chooses of the models the one of a row")
    segment_default: str = Field("", description="the model of all other values")
    output: str = Field("", description="Delta folder or table name")
    keep: list[str] = Field([], description="columns to keep beside the predictions")
    inputs: dict[str, str | list[str]] = Field(
        {}, description="model input: column, or columns that become one tensor"
    )
    plan: str = Field("auto", description="auto, scan, arrow, pandas, or jvm: the Scala module")

    @field_validator("keep", mode="before")
    @classmethod
    def _comma_list(cls, value: Any) -> Any:
        return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


class Stream(Section):
    """What `stream` reads, applies and writes; by default the champion, `scored`."""

    input: str = Field("", description="Delta folder or name that rows are added to")
    model: str = Field("", description="SavedModel folder or models:/name@alias")
    output: str = Field("", description="Delta folder or table name; default: scored")
    checkpoint: str = Field("", description="folder; default: WAREHOUSE/checkpoints/NAME")
    every: str = Field("", description="'30 seconds': go on for ever; default: what is there")
    options: dict[str, str] = Field({}, description="of Spark's Delta source: maxFilesPerTrigger")
    keep: list[str] = Field([], description="columns to keep beside the predictions")
    inputs: dict[str, str | list[str]] = Field(
        {}, description="model input: column, or columns that become one tensor"
    )
    max_bad_rows: int | None = Field(None, ge=0, description="of a batch; default: any number")


class _FileSource(InitSettingsSource):
    """The configuration file, already parsed."""


class Settings(BaseSettings):
    """The settings of every job."""

    model_config = SettingsConfigDict(
        extra="forbid",
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        validate_default=True,
        protected_namespaces=(),
    )
    _file: ClassVar[dict[str, Any]] = {}

    name: str = Field("", pattern=r"^[A-Za-z0-9_.-]*$", description="of the dataset and the model")
    contract: str = Field("", description="the contract's file")
    warehouse: str = Field("warehouse", description="folder of datasets, models, tables")
    date: dt.date | None = Field(None, description="the logical date, YYYY-MM-DD")
    dataset: int | None = Field(None, description="version of the dataset to train on")
    source: Source = Source()
    prepare: Prepare = Prepare()
    features: list[Feature] = []
    model: Model = Model()
    training: Training = Training()
    distributed: Distributed = Distributed()
    tune: Tune = Tune()
    registry: Registry = Registry()
    score: Score = Score()
    stream: Stream = Stream()
    spark: dict[str, str] = Field({}, description="Spark settings: spark.NAME: value")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _FileSource(settings_cls, cls._file)

    @property
    def scored(self) -> str:
        """The scored table."""
        return self.score.output or storage.join(self.warehouse, "scored", self.name)

    @property
    def quarantine(self) -> str:
        """The table of bad rows."""
        return storage.join(self.warehouse, "quarantine")

    @property
    def datasets(self) -> str:
        """The folder of this name's datasets."""
        return storage.join(self.warehouse, "datasets", self.name)

    @property
    def models(self) -> str:
        """The folder of models, as TensorFlow Serving's `--model_base_path` has it."""
        return storage.join(self.warehouse, "models")

    @property
    def artifacts(self) -> str | None:
        """Where files of a new experiment go; None: an MLflow server knows."""
        if self.registry.tracking_uri:
            return None
        return f"file://{storage.absolute(self.warehouse)}/mlflow-artifacts"

    @property
    def tracking_uri(self) -> str:
        if self.registry.tracking_uri:
            return self.registry.tracking_uri
        return "sqlite:///" + storage.absolute(storage.join(self.warehouse, "mlflow.db"))


def load_settings(path: str | None = None, overrides: dict[str, Any] | None = None) -> Settings:
    """Settings from a file, the environment and overrides (dotted names, as on the command line).

    Raises:
        ConfigError: an unknown key, a wrong value or a broken file, with its place.
    """
    file, lines = ({}, {}) if path is None else _read(path)
    nested = _nest(overrides or {})
    _refuse_unknown_variables()
    scoped = type("Settings", (Settings,), {"_file": file, "__module__": __name__})
    try:
        settings = scoped(**nested)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ConfigError(_say(first, path, lines, nested)) from None
    except Exception as error:  # pydantic-settings' own error for a variable it cannot parse
        raise ConfigError(f"environment: {error}") from None
    return Settings.model_construct(**dict(settings))


def require_date(settings: Settings) -> dt.date:
    """The logical date.

    Raises:
        ConfigError: none was given. A job never takes the clock's.
    """
    if settings.date is None:
        raise ConfigError("date: this job is for one day; give --date YYYY-MM-DD")
    return settings.date


def masked(settings: Settings) -> dict[str, Any]:
    """The effective settings as plain values, every secret replaced by `***`."""

    def mask(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: mask(inner, str(name)) for name, inner in value.items()}
        if isinstance(value, list):
            return [mask(inner, key) for inner in value]
        if value and _SECRET.search(key):
            return "***"
        if isinstance(value, str):
            return _URL_SECRET.sub(lambda m: f"{m[1]}***@" if m[1] else f"{m[2]}***", value)
        return value

    result: dict[str, Any] = mask(settings.model_dump(mode="json"))
    return result


def _read(path: str) -> tuple[dict[str, Any], dict[tuple[Any, ...], int]]:
    if not storage.exists(path):
        raise ConfigError(f"{path}: there is no such configuration file")
    value, lines = load_yaml(storage.read_bytes(path), path)
    if not isinstance(value, dict):
        raise ConfigError(f"{path}:1: a configuration file is a mapping of settings")
    return value, lines


def _nest(dotted: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in dotted.items():
        # A Spark setting has dots of its own.
        head, *rest = name.split(".", 1) if name.startswith("spark.") else name.split(".")
        inner = result
        for part in rest:
            inner = inner.setdefault(head, {})
            head = part
        inner[head] = value
    return result


def _refuse_unknown_variables() -> None:
    for variable in os.environ:
        if not variable.startswith(ENV_PREFIX) or variable in _OWN_VARIABLES:
            continue
        first = variable.removeprefix(ENV_PREFIX).split("__")[0].lower()
        if first not in Settings.model_fields:
            raise ConfigError(
                f"environment: {variable} is no setting; known: "
                + ", ".join(f"{ENV_PREFIX}{name.upper()}" for name in Settings.model_fields)
            )


def _say(error: Any, path: str | None, lines: dict[Any, int], given: dict[str, Any]) -> str:
    location = tuple(error["loc"])
    dotted = ".".join(str(part) for part in location)
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        message = "unknown setting; --help lists all of them"
    inner: Any = given
    for part in location:
        inner = inner.get(part) if isinstance(inner, dict) else None
    variable = ENV_PREFIX + "__".join(str(part) for part in location).upper()
    if inner is not None:
        place = "command line"
    elif variable in os.environ:
        place = f"environment {variable}"
    else:
        known = location
        while known and known not in lines:
            known = known[:-1]
        place = f"{path}:{lines.get(known, 1)}" if path else "settings"
    return f"{place}: {dotted}: {message}"
