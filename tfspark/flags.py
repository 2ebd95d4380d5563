"""Command lines: their flags, and what is said of one that is wrong."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from tfspark.errors import ConfigError
from tfspark.wording import meant, near, say


class Parser(argparse.ArgumentParser):
    """Flags in full, and one line for a mistake, with the flag that may be meant."""

    def __init__(self, **about: Any) -> None:
        super().__init__(**{"allow_abbrev": False, "exit_on_error": False, **about})

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """
        Raises:
            ConfigError: an unknown flag, a value that is missing or does not fit.
        """
        try:
            given, unknown = self.parse_known_args(_joined(argv))
        except argparse.ArgumentError as error:
            raise ConfigError(_wrong(error)) from None
        if unknown:
            raise ConfigError(self._unknown(unknown[0].split("=")[0]))
        return given

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"command line: {message}; see {self.prog} --help")

    def _unknown(self, text: str) -> str:
        if not text.startswith("-"):
            return say("a_file" if text.endswith((".yaml", ".yml")) else "no_flag", text=text)
        known = [flag for action in self._actions for flag in action.option_strings]
        return say("unknown_flag", flag=text, near=near_flags(text, known))


def near_flags(flag: str, known: Iterable[str]) -> str:
    """Flags whose setting has this name (`--epochs`: `--training.epochs`), or a name like it."""
    known = [name for name in known if name.startswith("--")]
    ends = [name for name in known if _end(name) == _end(flag)]
    return meant(ends[:3]) if ends else near(flag, known)


def _end(flag: str) -> str:
    return flag.lstrip("-").split(".")[-1].replace("-", "_")


def _joined(argv: Sequence[str]) -> list[str]:
    """`--order-by -p` as `--order-by=-p`: no flag but -h has one dash, so it is a value."""
    told: list[str] = []
    for text in argv:
        single = text.startswith("-") and not text.startswith("--") and text != "-h"
        if single and told and told[-1].startswith("--") and "=" not in told[-1]:
            told[-1] += f"={text}"
        else:
            told.append(text)
    return told


def _wrong(error: argparse.ArgumentError) -> str:
    flag = str(error.argument_name).split("/")[-1]
    if error.message.startswith("expected "):
        return say("no_value", flag=flag)
    if error.message.startswith("ignored explicit "):
        return say("a_value", flag=flag)
    return say("flag_wrong", flag=flag, said=error.message)


def spark_setting(text: str) -> tuple[str, str]:
    """Name and value of a `--conf`.

    Raises:
        ConfigError: it is no `spark.NAME=VALUE`.
    """
    key, found, value = text.partition("=")
    if not found or not key.startswith("spark."):
        raise ConfigError(say("no_spark_setting", text=key))
    return key, value
