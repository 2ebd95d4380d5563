"""The recipe: which columns become which features, which model, which training."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Section(BaseModel):
    """Base of every part of the settings: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", validate_default=True)


class Embedding(Section):
    """A trained vector of this many numbers a category."""

    embedding: int = Field(ge=1)
    shared: str | None = Field(None, description="features of one name here share their vectors")


Encode = Literal["indicator"] | Embedding


class _Feature(Section):
    name: str = Field("", description="default: the columns' names")
    column: str | list[str]

    @property
    def columns(self) -> list[str]:
        return [self.column] if isinstance(self.column, str) else self.column

    @model_validator(mode="after")
    def _named(self) -> _Feature:
        if not self.columns:
            raise ValueError("column names no column")
        self.name = self.name or "_".join(self.columns)
        return self


class Numeric(_Feature):
    """Numbers: missing ones filled, scaled, optionally with a flag of what was missing."""

    kind: Literal["numeric"]
    combine: Literal["concat", "sum"] = Field("concat", description="several columns: how")
    impute: Literal["mean", "median"] | float = "mean"
    missing_flag: bool = False
    transform: Literal["log1p"] | None = None
    normalize: Literal["zscore", "minmax", "none"] = "zscore"
    clip: float | None = Field(
        None, gt=0, description="largest absolute value after scaling; default 10, unscaled: none"
    )


class Bucketize(_Feature):
    """Ranges of a number, or of the sum of several; missing is a bucket of its own."""

    kind: Literal["bucketize"]
    quantiles: int | None = Field(None, ge=2, le=100, description="so many buckets of equal count")
    bounds: list[float] | None = Field(None, min_length=1, description="a bucket starts at each")
    encode: Encode = "indicator"

    @model_validator(mode="after")
    def _one_way(self) -> Bucketize:
        if (self.quantiles is None) == (self.bounds is None):
            raise ValueError("bucketize takes quantiles or bounds, one of them")
        if self.quantiles and len(self.columns) > 1:
            raise ValueError("quantiles are known for one column; give bounds for a sum")
        if self.bounds and sorted(set(self.bounds)) != self.bounds:
            raise ValueError("bounds must rise")
        return self


class _OneColumn(_Feature):
    column: str
    encode: Encode = "indicator"


class Vocabulary(_OneColumn):
    """Known values, each an id; unseen values share `oov` ids, missing has its own."""

    kind: Literal["vocabulary"]
    values: list[str] | list[int] | None = Field(None, description="default: the statistics'")
    file: str | None = Field(None, description="one value a line")
    min_count: int = Field(1, ge=1, description="statistics: least rows of a value")
    size: int | None = Field(None, ge=1, description="statistics: the most frequent so many")
    oov: int = Field(1, ge=1, description="ids for values that are not in the vocabulary")
    extract: str | None = Field(None, description="RE2 expression; its group 1 is the value")

    @model_validator(mode="after")
    def _one_source(self) -> Vocabulary:
        if self.values is not None and self.file is not None:
            raise ValueError("vocabulary takes values or file, not both")
        return self


class Hash(_OneColumn):
    """Values hashed to ids, the same in every process and language (FarmHash Fingerprint64)."""

    kind: Literal["hash"]
    buckets: int = Field(ge=1)
    extract: str | None = Field(None, description="RE2 expression; its group 1 is the value")


class Identity(_OneColumn):
    """Integers 0 to size - 1 that are ids already; any other is as missing."""

    kind: Literal["identity"]
    size: int = Field(ge=1)


class Cross(_Feature):
    """Combinations of columns or of earlier features, hashed to ids."""

    kind: Literal["cross"]
    column: list[str] = Field(min_length=2, description="columns, or names of earlier features")
    buckets: int = Field(ge=1)
    encode: Encode = "indicator"


class Text(_Feature):
    """The words of a text, each an id, in their order."""

    kind: Literal["text"]
    column: str
    length: int = Field(200, ge=1, description="words of a row; what follows is cut off")
    standardize: Literal["lower_and_strip", "lower", "strip", "none"] = Field(
        "lower_and_strip", description="strip: of punctuation, symbols and HTML's line breaks"
    )
    ngrams: int = Field(1, ge=1, le=5, description="also runs of up to so many words")
    size: int = Field(20_000, ge=1, description="statistics: the most frequent so many")
    min_count: int = Field(1, ge=1, description="statistics: how often a word is there at least")
    file: str | None = Field(None, description="one word a line, instead of the statistics'")
    buckets: int | None = Field(None, ge=1, description="hash words to so many ids instead")
    oov: int = Field(1, ge=1, description="ids for words that are not in the vocabulary")
    encode: Embedding = Embedding(embedding=16, shared=None)

    @model_validator(mode="after")
    def _fits(self) -> Text:
        if self.file is not None and self.buckets is not None:
            raise ValueError("text takes file or buckets, not both")
        if self.ngrams > self.length:
            raise ValueError("ngrams is more than length, the words of a row")
        return self

    @property
    def counted(self) -> bool:
        """Whether its vocabulary is of the statistics."""
        return self.file is None and self.buckets is None


class Sequence(_Feature):
    """A list in its order: of categories, each an id, or of numbers."""

    kind: Literal["sequence"]
    column: str
    length: int | None = Field(None, ge=1, description="the last so many of a row; default: all")
    values: list[str] | list[int] | None = Field(None, description="categories: the known ones")
    file: str | None = Field(None, description="categories: one value a line, instead of values")
    buckets: int | None = Field(None, ge=1, description="categories: hash to so many ids")
    size: int | None = Field(None, ge=1, description="integers that are ids, 0 to size - 1")
    oov: int = Field(1, ge=1, description="ids for values that are not in the vocabulary")
    encode: Embedding = Embedding(embedding=16, shared=None)
    shift: float = Field(0.0, description="numbers: (x - shift) / scale")
    scale: float = Field(1.0, gt=0, description="numbers: (x - shift) / scale")

    @property
    def ways(self) -> list[str]:
        """How its values become ids; none for numbers."""
        return [n for n in ("values", "file", "buckets", "size") if getattr(self, n) is not None]

    @model_validator(mode="after")
    def _one_way(self) -> Sequence:
        if len(self.ways) > 1:
            raise ValueError(f"sequence takes one of {', '.join(self.ways)}")
        if self.ways and (self.shift, self.scale) != (0.0, 1.0):
            raise ValueError("shift and scale are for numbers, not for categories")
        return self


class Augment(Section):
    """How images are changed at every look, in training alone."""

    flip: bool = Field(False, description="left to right, every second time")
    shift: int = Field(0, ge=0, description="by at most so many pixels; edges are mirrored")

    @property
    def changes(self) -> bool:
        return self.flip or self.shift > 0


class Image(_Feature):
    """Encoded images (JPEG, PNG, GIF, BMP): decoded, resized and scaled; [height, width, channels].

    What `prepare` checks of a column of images is said here too.
    """

    kind: Literal["image"]
    column: str = "image"
    size: list[int] = Field(min_length=2, max_length=2, description="[height, width]")
    channels: Literal[1, 3] = Field(3, description="colour, or grey")
    resize: Literal["bilinear", "nearest", "bicubic", "area"] = "bilinear"
    scale: Literal["-1..1", "0..1", "0..255"] = "-1..1"
    augment: Augment = Augment()
    least_side: int = Field(1, ge=1, description="pixels; smaller images are bad rows")
    most_pixels: int = Field(50_000_000, ge=1, description="larger images are bad rows")

    @model_validator(mode="after")
    def _fits(self) -> Image:
        if min(self.size) < 1:
            raise ValueError("size: [height, width], both above 0")
        if self.augment.shift >= min(self.size):
            raise ValueError("augment.shift must be smaller than the image")
        return self


Feature: TypeAlias = Annotated[
    Numeric | Bucketize | Vocabulary | Hash | Identity | Cross | Text | Sequence | Image,
    Field(discriminator="kind"),
]
"""One feature. Kinds and encodings are TensorFlow's nine feature columns, texts, lists in order and
images: docs/features.md."""


Rule: TypeAlias = Literal["f1"] | dict[Literal["precision", "recall"], float]


class Model(Section):
    """Which function builds the Keras model: `module:function`, ours or the user's own."""

    builder: str = "tfspark.models.structured:mlp"
    params: dict[str, Any] = {}
    task: Literal["binary", "multiclass", "multilabel", "regression"] = "binary"
    output: str = Field(
        "",
        pattern=r"^([A-Za-z][A-Za-z0-9_]*)?$",
        description="name of the prediction; default probability, probabilities or prediction",
    )

    threshold: float | Rule = Field(
        0.5,
        description="binary: above it a row is positive; f1, {precision: 0.9} or {recall: 0.9}: "
        "chosen on the validation split",
    )
    target_transform: Literal["none", "log1p"] = Field(
        "none", description="regression: learn log(1 + label); predictions stay in its own units"
    )
    slices: list[str] = Field(
        [], description="columns of the contract: metrics of the test split for each value of them"
    )

    @model_validator(mode="after")
    def _fits(self) -> Model:
        if self.threshold != 0.5 and self.task != "binary":
            raise ValueError(f"threshold is for task: binary, not {self.task}")
        if self.target_transform != "none" and self.task != "regression":
            raise ValueError(f"target_transform is for task: regression, not {self.task}")
        if isinstance(self.threshold, dict) and len(self.threshold) != 1:
            raise ValueError("threshold: give precision or recall, one of them")
        least = self.threshold.values() if isinstance(self.threshold, dict) else [self.threshold]
        if not all(isinstance(one, str) or 0 <= one < 1 for one in least):
            raise ValueError("threshold: give numbers from 0 to below 1")
        return self

    @field_validator("builder")
    @classmethod
    def _two_names(cls, value: str) -> str:
        if value.count(":") != 1:
            raise ValueError(f"{value!r} is not module:function")
        return value

    @property
    def output_name(self) -> str:
        defaults = {"binary": "probability", "regression": "prediction"}
        return self.output or defaults.get(self.task, "probabilities")


class ReduceRate(Section):
    """A smaller learning rate when the validation loss no longer falls."""

    patience: int = Field(5, ge=1, description="epochs without a better validation loss")
    factor: float = Field(0.5, gt=0, lt=1)
    least: float = Field(0.0, ge=0)


class Training(Section):
    """One training."""

    epochs: int = Field(100, ge=1)
    batch_size: int = Field(32, ge=1, description="rows of a step")
    batch: Literal["global", "rank"] = Field(
        "global", description="batch_size is of all ranks together, or of each rank"
    )
    way: Literal["fit", "train_on_batch", "custom"] = Field(
        "fit", description="model.fit, model.train_on_batch, or a loop over a tf.function"
    )
    optimizer: Literal["adam", "adamw", "sgd", "rmsprop", "adagrad", "lion"] = "adam"
    momentum: float = Field(0.0, ge=0, lt=1, description="of sgd and rmsprop")
    learning_rate: float = Field(1e-3, gt=0)
    scale_learning_rate: Literal["none", "linear", "sqrt"] = Field(
        "none", description="with batch: rank, by the number of ranks or its root"
    )
    warmup_epochs: float = Field(0.0, ge=0, description="the rate rises from 0 for so long")
    reduce_learning_rate: ReduceRate | None = None
    weight_decay: float = Field(0.0, ge=0, description="AdamW's, decoupled from the loss")
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    patience: int = Field(10, ge=1, description="epochs without a better validation loss")
    class_weights: Literal["balanced"] | dict[str, float] | None = None
    resample: Literal["balanced"] | dict[str, float] | None = Field(
        None, description="draw rows by class, with replacement"
    )
    reader: Literal["auto", "parquet", "tfrecord", "petastorm"] = "auto"
    shuffle_rows: int = Field(131_072, ge=1, description="rows that are mixed with each other")
    compression: Literal["none", "float16"] = Field("none", description="of gradients on the wire")
    local_steps: int = Field(1, ge=1, description="gradients of so many steps are sent at once")
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    xla: bool = Field(False, description="compile forward and backward pass with XLA")
    strategy: Literal["none", "mirrored", "tpu"] = Field(
        "none", description="one process for several GPUs (mirrored) or for TPUs"
    )
    callbacks: list[str] = Field([], description="module:function, gives Keras callbacks")
    checkpoint_epochs: int = Field(1, ge=1, description="a checkpoint every so many epochs")
    checkpoint_steps: int = Field(0, ge=0, description="and within an epoch; 0: none")
    keep_checkpoints: int = Field(2, ge=1)
    compare_steps: int = Field(
        1000, ge=1, description="ranks compare weights after step 1 and every so many"
    )
    seed: int = 0
    force: bool = Field(False, description="train even where this very model exists already")

    @field_validator("class_weights", "resample", mode="before")
    @classmethod
    def _text_keys(cls, value: Any) -> Any:
        """YAML reads the class 0 as a number; names of classes are text."""
        return {str(k): v for k, v in value.items()} if isinstance(value, dict) else value

    @field_validator("callbacks")
    @classmethod
    def _named(cls, value: list[str]) -> list[str]:
        for name in value:
            if name.count(":") != 1:
                raise ValueError(f"{name!r} is not module:function")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Training:
        if self.scale_learning_rate != "none" and self.batch != "rank":
            raise ValueError(
                "scale_learning_rate is for batch: rank; a global batch is the same for any "
                "number of ranks, and so is its learning rate"
            )
        if self.strategy != "none" and self.way != "fit":
            raise ValueError(f"strategy {self.strategy} trains with way: fit")
        if self.strategy != "none" and (self.local_steps > 1 or self.checkpoint_steps or self.xla):
            raise ValueError(
                f"local_steps, checkpoint_steps and xla are for ranks, not for {self.strategy}"
            )
        if self.class_weights is not None and self.resample is not None:
            raise ValueError("class_weights and resample both weigh classes; give one")
        return self

    def global_batch(self, ranks: int) -> int:
        """Rows of a step over all ranks."""
        return self.batch_size * (ranks if self.batch == "rank" else 1)

    def peak_rate(self, ranks: int) -> float:
        """The learning rate after warm-up (Goyal et al. 2017: linear in the batch)."""
        power = {"none": 0.0, "linear": 1.0, "sqrt": 0.5}[self.scale_learning_rate]
        return self.learning_rate * math.pow(ranks, power)
