"""Every setting, typed. Command line > environment > configuration file > default.

Environment: `TFSPARK_` and the path with two underscores, `TFSPARK_TRAINING__EPOCHS=3`.
An unknown key is an error in each of the three.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from tfspark import storage
from tfspark.config.clean import Clean
from tfspark.config.day import day_setting
from tfspark.config.gate import Gate
from tfspark.config.labels import Labels
from tfspark.config.night import Nightly
from tfspark.config.recipe import Feature, Model, Section, Training
from tfspark.config.textoptions import text_options
from tfspark.errors import ConfigError
from tfspark.wording import say

ENV_PREFIX = "TFSPARK_"


class ImagePaths(Section):
    """A column of paths of images, whose bytes become a column."""

    column: str = Field(description="that names the files")
    folder: str = Field(description="that the paths are relative to; or a zip")
    into: str = Field("image", description="the column of the bytes")


class Source(Section):
    """The raw table. `{date}` in `path` is replaced by the logical date."""

    format: Literal["csv", "json", "parquet", "delta", "jdbc", "table", "images"] = "parquet"
    path: str = Field("", description="folder, file or glob; for jdbc and table: the table's name")
    options: dict[str, str | bool | int | float | list[str]] = Field(
        {}, description="of the format; those of csv and json: docs/contracts.md"
    )
    images: ImagePaths | None = Field(None, description="files that a column names: docs/images.md")
    day_column: str | None = Field(None, description="take only rows where this column is the date")

    def place(self, day: dt.date | None) -> str:
        """The path of a day."""
        return self.path.replace("{date}", str(day))

    @model_validator(mode="after")
    def _known_options(self) -> Source:
        if self.format in ("csv", "json"):
            text_options(self.format, self.options)
        if self.format == "images" and self.options:
            raise ValueError(say("option_images", name=next(iter(self.options))))
        for name, value in self.options.items():
            if isinstance(value, list) and self.format not in ("csv", "json"):
                raise ValueError(say("option_list", name=name))
        return self


class Split(Section):
    """Which rows train, validate and test: by the key's hash, or by a column of dates."""

    by: Literal["hash", "time"] = "hash"
    seed: int = 0
    validation: float = Field(0.1, ge=0, lt=1, description="share of the rows (hash)")
    test: float = Field(0.1, ge=0, lt=1, description="share of the rows (hash)")
    column: str | None = Field(None, description="date or timestamp column (time)")
    validation_from: dt.date | None = Field(None, description="first day of validation (time)")
    test_from: dt.date | None = Field(None, description="first day of test (time)")

    _days = field_validator("validation_from", "test_from", mode="before")(day_setting)

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
    signature: str = Field(
        "", description="of the model; default: the manifest's, else serving_default"
    )
    segment_column: str = Field("", description="its value chooses of the models the one of a row")
    segment_default: str = Field("", description="the model of all other values")
    output: str = Field("", description="Delta folder or table name")
    keep: list[str] = Field([], description="columns to keep beside the predictions")
    inputs: dict[str, str | list[str]] = Field(
        {}, description="model input: column, or columns that become one tensor"
    )
    constants: dict[str, Any] = Field(
        {}, description="model input: the value that it has in all rows"
    )
    outputs: dict[str, str] = Field({}, description="model output: name of its column")
    binary: list[str] = Field([], description="text outputs that are left as bytes")
    classes: bool = Field(False, description="also the column predicted, the class of a row")
    threshold: float | None = Field(
        None, ge=0, lt=1, description="of two classes, with classes; default: the model's own"
    )
    max_bad_rows: int | None = Field(
        None, ge=0, description="default: the contract's limit, else 1 row in 100"
    )
    evolve: bool = Field(
        False, description="the table gets columns that it lacks, and rows without some of its own"
    )
    plan: str = Field("auto", description="auto, scan, arrow, pandas, or jvm: the Scala module")

    @field_validator("keep", mode="before")
    @classmethod
    def _comma_list(cls, value: Any) -> Any:
        return [part.strip() for part in value.split(",")] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_signature(self) -> Score:
        if self.threshold is not None and not self.classes:
            raise ValueError(say("threshold_alone"))
        if self.classes and self.signature:
            raise ValueError(say("classes_signature"))
        return self


class Stream(Section):
    """What `stream` reads, applies and writes; by default the champion, `scored`."""

    input: str = Field("", description="Delta folder or name that rows are added to")
    model: str = Field("", description="SavedModel folder or models:/name@alias")
    signature: str = Field(
        "", description="of the model; default: the manifest's, else serving_default"
    )
    output: str = Field("", description="Delta folder or table name; default: scored")
    checkpoint: str = Field("", description="folder; default: WAREHOUSE/checkpoints/NAME")
    every: str = Field("", description="'30 seconds': go on for ever; default: what is there")
    options: dict[str, str] = Field({}, description="of Spark's Delta source: maxFilesPerTrigger")
    keep: list[str] = Field([], description="columns to keep beside the predictions")
    inputs: dict[str, str | list[str]] = Field(
        {}, description="model input: column, or columns that become one tensor"
    )
    constants: dict[str, Any] = Field(
        {}, description="model input: the value that it has in all rows"
    )
    outputs: dict[str, str] = Field({}, description="model output: name of its column")
    binary: list[str] = Field([], description="text outputs that are left as bytes")
    max_bad_rows: int | None = Field(None, ge=0, description="of a batch; default: any number")


class S3(Section):
    """Where S3 is. Keys come from the environment (`AWS_*`) or the platform's identity."""

    endpoint: str = Field("", description="of another server than Amazon's; else AWS_ENDPOINT_URL")
    region: str = Field("", description="default: AWS_REGION, else us-east-1")
    path_style: bool | None = Field(
        None, description="the bucket is in the path, not in the host; default: with an endpoint"
    )
    retries: int | None = Field(None, ge=1, description="tries of a request, each later; 8")


class Storage(Section):
    """How object stores are reached, by Spark and by Python."""

    s3: S3 = S3()


class Environment(EnvSettingsSource):
    """Variables; one that cannot be read is named."""

    _unread: Any = None

    def prepare_field_value(
        self, field_name: str, field: FieldInfo, value: Any, value_is_complex: bool
    ) -> Any:
        try:
            return super().prepare_field_value(field_name, field, value, value_is_complex)
        except (ValueError, RecursionError):
            first = f"{ENV_PREFIX}{field_name}".upper()
            named = [v for v in os.environ if v.upper().split("__")[0] == first]
            variable = next(v for v in named if os.environ[v] == self._unread)
            raise ConfigError(say("no_json", variable=variable)) from None

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        self._unread = value
        return super().decode_complex_value(field_name, field, value)


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
    _days = field_validator("date", mode="before")(day_setting)

    name: str = Field(
        "", pattern=r"^([A-Za-z0-9][A-Za-z0-9_.-]*)?$", description="of the dataset and the model"
    )
    contract: str = Field("", description="the contract's file")
    warehouse: str = Field("warehouse", description="folder of datasets, models, tables")
    date: dt.date | None = Field(None, description="the logical date, YYYY-MM-DD")
    dataset: int | None = Field(None, description="version of the dataset to train on")
    source: Source = Source()
    prepare: Prepare = Prepare()
    features: list[Feature] = Field([], description="of the model, from columns: docs/features.md")
    model: Model = Model()
    training: Training = Training()
    distributed: Distributed = Distributed()
    tune: Tune = Tune()
    registry: Registry = Registry()
    gate: Gate = Gate()
    score: Score = Score()
    stream: Stream = Stream()
    labels: Labels = Labels()
    nightly: Nightly = Nightly()
    clean: Clean = Clean()
    storage: Storage = Storage()
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
        return init_settings, Environment(settings_cls), _FileSource(settings_cls, cls._file)

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
        return Path(self.own_folder, "mlflow-artifacts").as_uri()

    @property
    def tracking_uri(self) -> str:
        """Of MLflow: the setting, else a SQLite file in the warehouse.

        SQLite knows files of this machine alone: see `own_folder`.
        """
        if self.registry.tracking_uri:
            return self.registry.tracking_uri
        return f"sqlite:///{self.own_folder}/mlflow.db"

    @property
    def own_folder(self) -> str:
        """Where SQLite files are: the warehouse, or, of a warehouse elsewhere, a folder of this
        machine's user which that warehouse alone has."""
        place = storage.parse(self.warehouse)
        if place.is_local:
            return place.key
        name = hashlib.sha256(f"{place.scheme}://{place.authority}/{place.key}".encode())
        home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
        return str(Path(home, "tfspark", "registries", name.hexdigest()[:16]))
