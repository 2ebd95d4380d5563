"""`tfspark COMMAND` and the jobs of `spark-submit`: settings → session → one call → summary.

Every setting is a flag: `--training.epochs 5`. The exit codes are those of `tfspark.errors`.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tfspark.config import Settings, load_settings, masked
from tfspark.console import Steps, print_summary, printable
from tfspark.errors import ConfigError, StorageError, TfsparkError
from tfspark.mask import mask_text
from tfspark.wording import say
from tfspark.yamlfile import load_yaml


@dataclass(frozen=True)
class Command:
    """One job: where its function is, and the short names of its settings."""

    function: str
    about: str
    short: dict[str, str] = field(default_factory=dict)


COMMANDS = {
    "prepare": Command(
        "tfspark.run:prepare",
        "raw table -> checked dataset",
        {"--input": "source.path", "--format": "source.format"},
    ),
    "train": Command(
        "tfspark.run:train",
        "dataset -> model version in the registry",
        {"--ranks": "distributed.ranks"},
    ),
    "tune": Command(
        "tfspark.run:tune",
        "dataset and a space of settings -> the best recipe",
        {"--ranks": "distributed.ranks", "--trials": "tune.trials"},
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
        },
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
    ),
}
_OTHERS = {
    "init": ("tfspark.starter.command", "a table of your own -> its contract and recipe"),
    "query": ("tfspark.query", "scored table -> screen, CSV or Parquet"),
    "contract": ("tfspark.contracts.docs", "check a contract and print its page"),
    "tfrecord": ("tfspark.tfrecord.command", "look into TFRecord: head, count, schema, verify"),
    "registry": ("tfspark.registry.index", "bring a SQLite registry's index up to date"),
    "cache": ("tfspark.scoring.model.command", "models unpacked on this machine: list, clean"),
    "demo": ("tfspark.demo", "the passengers example, from the raw table to the scored one"),
}


def main(command: str | None = None, argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code.

    Args:
        command: the job; None takes it from the first argument, as `tfspark COMMAND` does.
        argv: the arguments; None takes the process's.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    if command is None:
        if not given or given[0] not in {*COMMANDS, *_OTHERS}:
            return _usage(given)
        command = given.pop(0)
    if command in _OTHERS:
        run = importlib.import_module(_OTHERS[command][0]).main
        return guarded(command, lambda: run(given))
    return guarded(command, lambda: _job(command, given))


def guarded(name: str, run: Callable[[], int | None]) -> int:
    """Run, and turn every error into one message and its exit code."""
    try:
        return run() or 0
    except TfsparkError as error:
        return _failed(name, error)
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return 130
    except OSError as error:
        return _failed(name, StorageError(f"{error.filename or ''}: {error.strerror or error}"))
    except Exception as error:
        if type(error).__module__.startswith(("py4j", "pyspark")):
            from tfspark.sparkerrors import first_line

            return _failed(name, StorageError(f"Spark: {first_line(error)}"))
        print(mask_text(traceback.format_exc()), end="", file=sys.stderr)
        print(f"{name}: this is a fault of tfspark, please report it", file=sys.stderr)
        return 1


def _job(name: str, argv: list[str]) -> int:
    command = COMMANDS[name]
    given = _parsed(_parser(name, command), argv)
    config, dry_run, spark = given.pop("config"), given.pop("dry_run"), given.pop("conf")
    overrides = {key: value for key, value in given.items() if value is not None}
    for setting in spark:
        key, found, value = setting.partition("=")
        if not found or not key.startswith("spark."):
            raise ConfigError(say("no_spark_setting", text=key))
        overrides[f"spark.{key}"] = value
    settings = load_settings(config, overrides)
    if dry_run:
        print(yaml.safe_dump(masked(settings), sort_keys=False, allow_unicode=True), end="")
        return 0
    steps = Steps(name)
    module, function = command.function.split(":")
    summary = getattr(importlib.import_module(module), function)(settings, steps)
    print_summary(f"{name}: done", {**summary, "seconds": steps.seconds(), "run": steps.run_id})
    return 0


def _failed(name: str, error: TfsparkError) -> int:
    said = "\n".join(printable(line) for line in str(error).split("\n"))
    print(f"\n{name}: {type(error).__name__}: {said}", file=sys.stderr, flush=True)
    return error.exit_code


def _usage(given: list[str]) -> int:
    asked = not given or given[0] in ("-h", "--help", "help")
    out = sys.stdout if asked else sys.stderr
    if not asked:
        print(f"tfspark: no command {given[0]!r}", file=out)
    print("usage: tfspark COMMAND [--help] [OPTIONS]\n", file=out)
    about = {name: c.about for name, c in COMMANDS.items()}
    for name, said in (about | {name: entry[1] for name, entry in _OTHERS.items()}).items():
        print(f"  {name:<10}{said}", file=out)
    return 0 if asked else 2


def _parsed(parser: argparse.ArgumentParser, argv: list[str]) -> dict[str, Any]:
    try:
        given, unknown = parser.parse_known_args(argv)
    except argparse.ArgumentError as error:
        flag = str(error.argument_name).split("/")[-1]
        if isinstance(error.__context__, argparse.ArgumentTypeError):
            said = say("flag_not_yaml", flag=flag)
        else:
            said = say("a_value" if "explicit" in error.message else "no_value", flag=flag)
        raise ConfigError(said) from None
    if unknown:
        raise ConfigError(say("unknown_flag", flag=unknown[0].split("=")[0]))
    return vars(given)


def _parser(name: str, command: Command) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=name,
        description=f"{command.about}. Command line > environment (TFSPARK_SOURCE__PATH=...) > "
        "configuration file > default.",
        allow_abbrev=False,
        exit_on_error=False,
    )
    parser.add_argument("--config", metavar="FILE", help="configuration file, e.g. conf/x.yaml")
    parser.add_argument(
        "--dry-run", action="store_true", help="print the effective settings, secrets masked"
    )
    parser.add_argument(
        "--conf", action="append", default=[], metavar="spark.X=Y", help="a setting of Spark"
    )
    names = {setting: [short] for short, setting in command.short.items()}
    _add_flags(parser, parser, Settings, "", names)
    return parser


def _add_flags(
    parser: argparse.ArgumentParser,
    group: argparse._ActionsContainer,
    model: type[BaseModel],
    prefix: str,
    short: dict[str, list[str]],
) -> None:
    for name, info in model.model_fields.items():
        path = prefix + name
        inner = info.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            titled = parser.add_argument_group(path, (inner.__doc__ or "").split("\n")[0])
            _add_flags(parser, titled, inner, f"{path}.", short)
        elif path != "spark":
            flags = [*short.get(path, []), f"--{path}"]
            kind = _value if _is_container(info) else str
            group.add_argument(*flags, dest=path, metavar="VALUE", type=kind, help=_help(info))


def _is_container(info: FieldInfo) -> bool:
    return any(kind in str(info.annotation) for kind in ("list[", "dict["))


def _value(text: str) -> Any:
    """A list or mapping on the command line is YAML; `a,b` stays text for the setting to split."""
    try:
        value, _ = load_yaml(text.encode("utf-8", "replace"), "")
    except ConfigError:
        if not text.strip():
            return text
        raise argparse.ArgumentTypeError(text) from None
    return value if isinstance(value, list | dict) else text


def _help(info: FieldInfo) -> str:
    kind = getattr(info.annotation, "__name__", str(info.annotation))
    kind = (
        str(info.annotation) if kind in ("Optional", "Union", "Literal", "list", "dict") else kind
    )
    kind = kind.replace("typing.", "").replace("datetime.", "")
    text = f"{info.description or ''} [{kind}; default {info.default!r}]".strip()
    return text.replace("%", "%%")
