"""`tfspark COMMAND` and the jobs of `spark-submit`: settings → session → one call → summary.

Every setting is a flag: `--training.epochs 5`. The exit codes are those of `tfspark.errors`.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import yaml

from tfspark import clusters
from tfspark.commands import (
    COMMANDS,
    MEANT,
    OTHERS,
    TRAINS,
    help_of,
    is_container,
    settings,
    spellings,
)
from tfspark.config import load_settings, masked
from tfspark.console import FORMS, Steps, print_summary, printable
from tfspark.errors import ConfigError, StorageError, TfsparkError
from tfspark.flags import Parser, spark_setting
from tfspark.mask import mask_text
from tfspark.wording import meant, near, say
from tfspark.yamlfile import load_yaml


def main(command: str | None = None, argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code.

    Args:
        command: the job; None takes it from the first argument, as `tfspark COMMAND` does.
        argv: the arguments; None takes the process's.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    if command is None:
        if given and given[0] in ("--version", "-V", "version"):
            print(f"tfspark {importlib.import_module('tfspark').__version__}")
            return 0
        if not given or given[0] not in {*COMMANDS, *OTHERS}:
            return _usage(given)
        command = given.pop(0)
    if command in OTHERS:
        module, _, function = OTHERS[command][0].partition(":")
        run = getattr(importlib.import_module(module), function or "main")
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
        where = f"{error.filename}: " if error.filename else ""
        return _failed(name, StorageError(f"{where}{error.strerror or error}"))
    except Exception as error:
        if type(error).__module__.startswith(("py4j", "pyspark")):
            from tfspark.sparkerrors import failed, first_line

            return _failed(name, failed(f"Spark: {first_line(error)}", error))
        print(mask_text(traceback.format_exc()), end="", file=sys.stderr)
        print(f"{name}: this is a fault of tfspark, please report it", file=sys.stderr)
        return 1


def _job(name: str, argv: list[str]) -> int:
    for at, text in enumerate(argv):
        if text in ("-h", "--help"):
            print(help_of(name, everything=argv[at + 1 : at + 2] == ["all"]), end="")
            return 0
    command = COMMANDS[name]
    given = vars(_parser(name).parse(argv))
    config, dry_run, spark, log = (given.pop(key) for key in ("config", "dry_run", "conf", "log"))
    if master := given.pop("master"):
        spark.insert(0, f"spark.master={master}")
    recipe = given.pop("recipe", None)
    asked = {flag: given.pop(flag) for flag in map(_dest, command.asks)}
    overrides = {key: value for key, value in given.items() if value is not None}
    for setting in spark:
        key, value = spark_setting(setting)
        overrides[f"spark.{key}"] = value
    effective = load_settings(config, overrides, recipe)
    if dry_run:
        print(yaml.safe_dump(masked(effective), sort_keys=False, allow_unicode=True), end="")
        for line in clusters.unseen(effective, clusters.told(effective), config, recipe):
            print(f"# not reachable there: {mask_text(line)}")
        return 0
    clusters.refuse(effective, clusters.told(effective))
    steps = Steps(name, form=log)
    module, function = command.function.split(":")
    run = getattr(importlib.import_module(module), function)
    if command.asks:
        return int(run(effective, steps, asked))
    summary = run(effective, steps)
    print_summary(f"{name}: done", {**summary, "seconds": steps.seconds(), "run_id": steps.run_id})
    return 0


def _failed(name: str, error: TfsparkError) -> int:
    said = "\n".join(printable(line) for line in str(error).split("\n"))
    print(f"\n{name}: {type(error).__name__}: {said}", file=sys.stderr, flush=True)
    return error.exit_code


def _usage(given: list[str]) -> int:
    asked = not given or given[0] in ("-h", "--help", "help")
    out = sys.stdout if asked else sys.stderr
    about = {name: c.about for name, c in COMMANDS.items()}
    about |= {name: entry[1] for name, entry in OTHERS.items()}
    if not asked:
        name = given[0]
        like = meant([MEANT[name]]) if name in MEANT else near(name, about)
        print(f"tfspark: no command {printable(name)!r}{like}", file=out)
    print("usage: tfspark COMMAND [--help] [OPTIONS]; tfspark --version\n", file=out)
    for name, said in about.items():
        print(f"  {name:<10}{said}", file=out)
    return 0 if asked else 2


def _parser(name: str) -> Parser:
    parser = Parser(prog=name, add_help=False)
    parser.add_argument("--config")
    if name in TRAINS:
        parser.add_argument("--recipe")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--log", type=_form)
    parser.add_argument("--master")
    parser.add_argument("--conf", action="append", default=[])
    for flag in COMMANDS[name].asks:
        valued = " " in flag
        how: dict[str, Any] = {} if valued else {"action": "store_true"}
        parser.add_argument(flag.split()[0], dest=_dest(flag), **how)
    for path, info in settings():
        kind = _value if is_container(info) else str
        # `--evolve` alone is `--evolve true`.
        alone: dict[str, Any] = {"nargs": "?", "const": "true"} if info.annotation is bool else {}
        parser.add_argument(*spellings(COMMANDS[name], path), dest=path, type=kind, **alone)
    return parser


def _dest(flag: str) -> str:
    """Under which a flag that is no setting is given: apart from every setting's name."""
    return "ask_" + flag.split()[0].removeprefix("--")


def _form(text: str) -> str:
    if text not in FORMS:
        known = " or ".join([", ".join(FORMS[:-1]), FORMS[-1]])
        raise argparse.ArgumentTypeError(say("literal_error", expected=known))
    return text


def _value(text: str) -> Any:
    """A list or mapping on the command line is YAML; `a,b` stays text for the setting to split."""
    try:
        value, _ = load_yaml(text.encode("utf-8", "replace"), "")
    except ConfigError:
        if not text.strip():
            return text
        raise argparse.ArgumentTypeError(say("not_yaml_value")) from None
    return value if isinstance(value, list | dict) else text
