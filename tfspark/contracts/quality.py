"""The standard's library of quality rules, where they are rules of a row or of a number of rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from tfspark.contracts import odcs
from tfspark.contracts.values import spelled
from tfspark.wording import hinted, say

_OTHERS = ("text", "sql", "custom")


Path = tuple[Any, ...]


class File(Protocol):
    """What a rule needs of the file that it stands in: see `Standard`."""

    def known(self, value: Mapping[Any, Any], here: Path, level: str) -> dict[str, Any]: ...
    def keep(self, names: list[str]) -> None: ...
    def fault(self, here: Path, said: str) -> None: ...
    def move(self, here: Path, origin: Path) -> None: ...
    def origin(self, path: Path) -> Path: ...


def of_table(file: File, made: dict[str, Any], here: Path) -> None:
    """`rowCount`, which the limits of a day hold."""
    for at, rule in _rules(file, made, here):
        try:
            _metric(rule, on_table=True)
            least, most = _row_count(rule)
        except ValueError as error:
            file.fault(at, str(error))
            continue
        limits = made.setdefault("quarantine", {})
        for name, rows in (("leastRows", least), ("mostRows", most)):
            if rows is not None and isinstance(limits, dict):
                limits[name] = rows
                file.move((*here, "quarantine", name), file.origin(at))


def of_column(file: File, made: dict[str, Any], options: dict[str, Any], here: Path) -> None:
    """Rules that no row may break: `required`, `unique`, `validValues`, `pattern`."""
    for at, rule in _rules(file, made, here):
        try:
            name = _metric(rule, on_table=False)
        except ValueError as error:
            file.fault(at, str(error))
            continue
        about = rule.get("arguments")
        arguments: Mapping[str, Any] = about if isinstance(about, dict) else {}
        if not _none_may(rule):
            file.fault(at, say("not_each_row", metric=name))
        elif name == "duplicateValues":
            made["unique"] = True
        elif name == "invalidValues":
            _invalid(file, made, options, arguments, (at, here))
        else:
            made["required"] = True
            listed = arguments.get("missingValues") if name == "missingValues" else None
            for value in listed if isinstance(listed, list) else ():
                # An empty field is null, but for text of typed tables.
                if value is not None and (value != "" or made.get("physicalType") == "string"):
                    file.fault(at, say("not_missing", value=spelled(value)))


def _invalid(
    file: File,
    made: dict[str, Any],
    options: dict[str, Any],
    arguments: Mapping[str, Any],
    places: tuple[Path, Path],
) -> None:
    at, here = places
    for name, value in arguments.items():
        on_column = name == "validValues"
        target = made if on_column else options
        if name not in ("validValues", "pattern"):
            file.fault((*at, "arguments", name), say("not_checked", name=name))
        elif target.get(name) is not None:
            file.fault((*at, "arguments", name), say("twice", one="quality", other=name))
        else:
            target[name] = value
            place = (*here, name) if on_column else (*here, "logicalTypeOptions", name)
            file.move(place, file.origin((*at, "arguments", name)))


def _rules(
    file: File, made: dict[str, Any], here: Path
) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Of the library; those that other engines check, or people, are kept."""
    listed = made.pop("quality", None)
    for place, rule in enumerate(listed if isinstance(listed, list) else ()):
        if not isinstance(rule, dict):
            continue
        named = rule.get("metric") is not None or rule.get("rule") is not None
        if rule.get("type") in _OTHERS or not named:
            file.keep(["quality"])
        else:
            at = (*here, "quality", place)
            yield at, file.known(rule, at, "quality")


def _metric(rule: Mapping[str, Any], on_table: bool) -> str:
    """The name of the rule, as v3.1 has it.

    Raises:
        ValueError: it is none of the library, or stands in the wrong place.
    """
    said = rule.get("metric") if rule.get("metric") is not None else rule.get("rule")
    found = odcs.METRICS.get(said) if isinstance(said, str) else None
    if found is None:
        raise ValueError(hinted(say("no_metric", metric=said), said, odcs.METRICS))
    if (found == "rowCount") != on_table:
        raise ValueError(say("metric_place", metric=said))
    return found


def _none_may(rule: Mapping[str, Any]) -> bool:
    """Whether not one row may break it."""
    asked = {name: rule[name] for name in odcs.MUST if rule.get(name) is not None}
    percent = rule.get("unit") == "percent"
    zeros: list[dict[str, Any]] = [{"mustBe": 0}, {"mustBeLessOrEqualTo": 0}]
    return asked in zeros or (asked == {"mustBeLessThan": 1} and not percent) or not asked


def _row_count(rule: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """The least and the largest number of rows.

    Raises:
        ValueError: it asks for something else.
    """
    asked = {name: rule[name] for name in odcs.MUST if rule.get(name) is not None}
    numbers = [n for v in asked.values() for n in (v if isinstance(v, list) else [v])]
    if len(asked) == 1 and all(type(n) is int for n in numbers) and rule.get("unit") != "percent":
        ((must, value),) = asked.items()
        if must == "mustBeBetween" and len(numbers) == 2:
            return numbers[0], numbers[1]
        simple: dict[str, tuple[int | None, int | None]] = {
            "mustBe": (numbers[0], numbers[0]),
            "mustBeGreaterThan": (numbers[0] + 1, None),
            "mustBeGreaterOrEqualTo": (numbers[0], None),
            "mustBeLessThan": (None, numbers[0] - 1),
            "mustBeLessOrEqualTo": (None, numbers[0]),
        }
        if must in simple and not isinstance(value, list):
            return simple[must]
    raise ValueError(say("no_row_count"))
