"""The commands of `tfspark`: where each one's function is, its flags, and its help."""

from __future__ import annotations

import datetime as dt
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tfspark.config import Settings


@dataclass(frozen=True)
class Command:
    """One job.

    Attributes:
        function: where it is.
        short: short names of settings.
        own: further settings that `--help` shows; `--help all` shows every one.
        asks: flags that are no settings, with what is said of them; the function is given their
            values as a third argument, and gives an exit code.
    """

    function: str
    about: str
    short: dict[str, str] = field(default_factory=dict)
    own: tuple[str, ...] = ()
    asks: dict[str, str] = field(default_factory=dict)


COMMANDS = {
    "prepare": Command(
        "tfspark.run:prepare",
        "raw table -> checked dataset",
        {"--input": "source.path", "--format": "source.format"},
        ("date", "contract", "source.options", "source.day_column", "prepare.format", "warehouse"),
    ),
    "train": Command(
        "tfspark.run:train",
        "dataset -> model version in the registry",
        {"--ranks": "distributed.ranks"},
        (
            *("dataset", "model.builder", "model.params", "training.epochs"),
            *("training.batch_size", "training.learning_rate", "training.patience"),
            *("training.force", "registry.gate", "warehouse"),
        ),
    ),
    "tune": Command(
        "tfspark.run:tune",
        "dataset and a space of settings -> the best recipe",
        {"--ranks": "distributed.ranks", "--trials": "tune.trials"},
        (
            *("dataset", "tune.space", "tune.metric", "tune.parallel", "tune.timeout_seconds"),
            *("tune.study", "training.epochs", "warehouse"),
        ),
    ),
    "score": Command(
        "tfspark.run:score",
        "table and model -> scored Delta table, one day",
        {
            "--input": "score.input",
            "--model": "score.model",
            "--signature": "score.signature",
            "--output": "score.output",
            "--keep": "score.keep",
            "--plan": "score.plan",
            "--evolve": "score.evolve",
        },
        ("date", "score.inputs", "contract", "registry.tracking_uri", "warehouse"),
    ),
    "stream": Command(
        "tfspark.run:stream",
        "Delta table that grows -> scored Delta table, each row once",
        {
            "--input": "stream.input",
            "--model": "stream.model",
            "--signature": "stream.signature",
            "--output": "stream.output",
            "--checkpoint": "stream.checkpoint",
            "--every": "stream.every",
        },
        ("stream.keep", "stream.inputs", "stream.options", "stream.max_bad_rows", "warehouse"),
    ),
    "nightly": Command(
        "tfspark.night.command:nightly",
        "a night: one day prepared, judged, scored, published, watched",
        {
            "--lookback": "nightly.lookback",
            "--at-most": "nightly.at_most",
            "--deadline": "nightly.deadline",
        },
        ("date", "nightly.start", "nightly.prepare", "nightly.lease_seconds", "warehouse"),
        {
            "--due": "the days up to --date (default: yesterday, UTC) that are not done",
            "--from YYYY-MM-DD": "with --to: fill these days, one after the other",
            "--to YYYY-MM-DD": "the last of them; default: --date",
            "--status": "print the day's verdict and end with its exit code; without Spark",
            "--audit": "compare every published day with its record, its model and its files",
            "--explain": "print what would be done, and why",
            "--force": "do again what is done",
            "--model TEXT": "of a day that is done again: recorded, or current; default recorded",
        },
    ),
}
OTHERS = {
    "init": ("tfspark.starter.command", "a table of your own -> its contract and recipe"),
    "query": ("tfspark.query", "scored table -> screen, CSV, JSON lines or Parquet"),
    "serve": ("tfspark.serving.command", "a model behind TensorFlow Serving's REST API, to try"),
    "export": ("tfspark.exports.command", "a model for TensorFlow Serving, LiteRT or Keras"),
    "judge": ("tfspark.judge.command", "is a version better than the champion, on the same rows"),
    "promote": ("tfspark.champions.command:promote", "make a version the champion"),
    "rollback": ("tfspark.champions.command:rollback", "the champion before, and the days to redo"),
    "champions": ("tfspark.champions.command:champions", "who was champion, since when, why"),
    "contract": ("tfspark.contracts.docs", "check a contract and print its page"),
    "tfrecord": ("tfspark.tfrecord.command", "look into TFRecord: head, count, schema, verify"),
    "registry": ("tfspark.registry.index", "bring a SQLite registry's index up to date"),
    "cache": ("tfspark.scoring.model.command", "models unpacked on this machine: list, clean"),
    "demo": ("tfspark.demo", "the passengers example, from the raw table to the scored one"),
}
MEANT = {
    **dict.fromkeys(("predict", "infer", "inference", "apply", "batch"), "score"),
    **dict.fromkeys(("fit", "learn"), "train"),
    **dict.fromkeys(("search", "optimize"), "tune"),
    **dict.fromkeys(("select", "sql", "show"), "query"),
    **dict.fromkeys(("ingest", "dataset", "validate"), "prepare"),
}
"""What others call our commands."""

TRAINS = ("prepare", "train", "tune")
RECIPE = {
    "--recipe FILE": "its sections take the place of the configuration's: tune's best.yaml",
}
COMMON = {
    "--config FILE": "configuration file, e.g. conf/x.yaml",
    "--dry-run": "print the effective settings, secrets masked",
    "--log FORM": "of the steps on stderr: plain, json, auto (plain for a person); default auto",
    "--conf spark.X=Y": "a setting of Spark; may be repeated",
    "--help all": "all settings; --help: those that are of this command",
}


def settings() -> Iterator[tuple[str, FieldInfo]]:
    """Every setting that is a flag: dotted name, field."""
    yield from _leaves(Settings, "")


def spellings(command: Command, path: str) -> list[str]:
    """The flags of a setting; the short one first."""
    return [*(s for s, setting in command.short.items() if setting == path), f"--{path}"]


def is_container(info: FieldInfo) -> bool:
    """Whether a setting is a list or a mapping, or may be."""
    return any(kind in str(info.annotation) for kind in ("list[", "dict["))


def help_of(name: str, everything: bool = False) -> str:
    """What `--help` (or `--help all`) of a job prints."""
    command = COMMANDS[name]
    shorts = command.short.values()
    own = {*shorts, *command.own}
    recipe = RECIPE if name in TRAINS else {}
    lines = [*COMMON.items(), *recipe.items(), *command.asks.items()]
    # The command's short flags first: what it cannot do without.
    for path, info in sorted(settings(), key=lambda s: not everything and s[0] not in shorts):
        if everything or path in own:
            flags = ", ".join(
                spellings(command, path) if everything else spellings(command, path)[:1]
            )
            lines.append((f"{flags} {_kind(info)}", _about(info)))
    width = 30
    shown = [
        f"  {flags:<{width}}  {about}"
        if len(flags) <= width
        else f"  {flags}\n{'':{width + 4}}{about}"
        for flags, about in lines
    ]
    return "\n".join(
        [
            f"usage: {name} [--config FILE] [--FLAG VALUE ...]",
            "",
            f"{command.about}. Every setting is a flag (--training.epochs 5), a variable",
            "(TFSPARK_TRAINING__EPOCHS=5) or a line of the configuration file; the first one wins.",
            "",
            *(line.rstrip() for line in shown),
            "",
        ]
    )


def _leaves(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, info in model.model_fields.items():
        path, inner = prefix + name, info.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _leaves(inner, f"{path}.")
        elif path != "spark":
            yield path, info


def _kind(info: FieldInfo) -> str:
    """What a value looks like."""
    if is_container(info):
        return "TEXT|YAML" if "str |" in str(info.annotation) else "YAML"
    kind = info.annotation
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(inner for inner in get_args(kind) if inner is not type(None))
    if get_origin(kind) is Literal:
        return "|".join(map(str, get_args(kind)))
    names: dict[Any, str] = {int: "N", float: "X", bool: "true|false", dt.date: "YYYY-MM-DD"}
    return names.get(kind, "TEXT")


def _about(info: FieldInfo) -> str:
    default = info.default
    shown = "" if default in (None, "", [], {}) else f" [{_shown(default)}]"
    return f"{info.description or ''}{shown}".strip()


def _shown(default: Any) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)
