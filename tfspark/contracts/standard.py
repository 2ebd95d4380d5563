"""A file of the Open Data Contract Standard in the words of `Contract`: what it means, and where.

Values are what their author wrote: YAML's `NO` is text on a text column, `1.10` has two digits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tfspark.contracts import odcs, quality
from tfspark.contracts.types import LOGICAL, TENSOR_DTYPE, canonical, element, family
from tfspark.contracts.values import BITS, written
from tfspark.wording import camel, hinted, say

Path = tuple[Any, ...]
_BOUNDS = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf")
_UTC = ("UTC", "Etc/UTC", "GMT", "Z")


class Standard:
    """One file, taken.

    Attributes:
        faults: what cannot be honoured: paths and what is said of them.
        kept: names of what the file says and nothing here uses, in their order.
        found: whether the table is: nothing else is worth saying where it is not.
    """

    def __init__(self, texts: Mapping[Path, str]) -> None:
        self.faults: list[tuple[Path, str]] = []
        self.kept: dict[str, None] = {}
        self.found = True
        self._texts = texts
        self._moved: dict[Path, Path] = {}

    def origin(self, path: Path) -> Path:
        """Where in the file a path of the result comes from."""
        for end in range(len(path), 0, -1):
            if (found := self._moved.get(path[:end])) is not None:
                return found + path[end:]
        return path

    def contract(self, value: Any, wanted: str | None) -> Any:
        """The whole file.

        Args:
            wanted: which of its tables; None: the only one.
        """
        if not isinstance(value, dict):
            return value
        made = self.known(value, (), "contract")
        if (text := self._texts.get(("version",))) is not None and made["version"] is not None:
            made["version"] = text
        about = made.get("description")
        if isinstance(about, dict):
            made["description"] = {k: v for k, v in about.items() if isinstance(v, str)}
            self.keep(f"description.{k}" for k in about if k not in made["description"])
        if isinstance(made.get("schema"), list):
            made["schema"] = self._tables(made["schema"], wanted)
        return made

    def _tables(self, tables: Sequence[Any], wanted: str | None) -> Sequence[Any]:
        names = [_name(t) for t in tables if isinstance(t, dict)]
        place = 0
        if wanted is not None:
            if wanted not in names:
                return self._lost(say("no_table", name=wanted, names=", ".join(map(str, names))))
            place = next(i for i, t in enumerate(tables) if _name(t) == wanted)
        elif len(names) > 1:
            return self._lost(say("many_tables", names=", ".join(map(str, names))))
        self._moved[("schema", 0)] = ("schema", place)
        return [self._table(t, ("schema", 0)) for t in tables[place : place + 1]]

    def _lost(self, said: str) -> list[Any]:
        self.found = False
        self.fault(("schema",), said)
        return []

    def _table(self, value: Any, here: Path) -> Any:
        if not isinstance(value, dict):
            return value
        made = self.known(value, here, "table")
        self._custom(made, here, ("quarantine",))
        self._part(made, here, "quarantine", "quarantine")
        quality.of_table(self, made, here)
        if isinstance(made.get("properties"), list):
            made["properties"] = [
                self._property(p, (*here, "properties", i))
                for i, p in enumerate(made["properties"])
            ]
        return made

    def _part(self, made: dict[str, Any], here: Path, name: str, level: str) -> None:
        if isinstance(made.get(name), dict):
            made[name] = self.known(made[name], (*here, name), level)

    def _property(self, value: Any, here: Path) -> Any:
        if not isinstance(value, dict):
            return value
        made = self.known(value, here, "property")
        self._custom(made, here, ("role", "tensor", "validValues"))
        self._part(made, here, "logicalTypeOptions", "options")
        self._part(made, here, "tensor", "tensor")
        if (listed := made.pop("enum", None)) is not None:
            self._enum(made, listed, here)
        options = made.get("logicalTypeOptions")
        if options is None:
            options = {}
        if not isinstance(options, dict):
            return made
        room = self._type(made, options, here)
        quality.of_column(self, made, options, here)
        self._options(made, options, room, here)
        if options and "logicalTypeOptions" not in made:
            made["logicalTypeOptions"] = options
        self._as_written(made, options, here)
        return made

    def _type(self, made: dict[str, Any], options: dict[str, Any], here: Path) -> int | None:
        """Give the column its `physicalType`; how many characters it has room for."""
        physical, logical = made.get("physicalType"), made.get("logicalType")
        if physical is None and isinstance(logical, str):
            self.move((*here, "physicalType"), self.origin((*here, "logicalType")))
        items = made.pop("items", None)
        try:
            found, room = self._named(physical, logical, options.get("format"), items)
        except ValueError as error:
            self.fault((*here, "physicalType"), str(error))
            made["physicalType"] = str(physical or logical)
            return None
        if found is None:
            return None
        made["physicalType"] = found
        if f"{LOGICAL[family(found)]} {logical}" in odcs.TOLERATED:
            del made["logicalType"]
        return room

    def _named(
        self, physical: Any, logical: Any, form: Any, items: Any
    ) -> tuple[str | None, int | None]:
        said = physical.strip().lower() if isinstance(physical, str) else physical
        if said in ("array", "list") or (physical is None and logical == "array"):
            if not isinstance(items, dict):
                raise ValueError(say("no_item_type"))
            more = [n for n in ("enum", "logicalTypeOptions", "quality") if items.get(n)]
            inner, room = self._named(
                items.get("physicalType"), items.get("logicalType"), None, items.get("items")
            )
            if more or room is not None or inner is None:
                raise ValueError(say("no_item_rules"))
            return f"array<{inner}>", None
        if isinstance(physical, str):
            return canonical(physical)
        if physical is not None or not isinstance(logical, str):
            return None, None
        if logical not in odcs.LOGICAL_TYPES:
            raise ValueError(
                hinted(say("not_taken", type=logical), logical, [*odcs.LOGICAL_TYPES, "array"])
            )
        base = odcs.LOGICAL_TYPES[logical]
        if logical in ("integer", "number") and form in odcs.NUMBERS:
            base = odcs.NUMBERS[form][0]
        return base, None

    def _options(
        self, made: dict[str, Any], options: dict[str, Any], room: int | None, here: Path
    ) -> None:
        at = (*here, "logicalTypeOptions")
        physical = made.get("physicalType")
        kind = family(physical) if isinstance(physical, str) else ""
        for name in ("Minimum", "Maximum"):
            exclusive, bound = options.get(f"exclusive{name}"), name.lower()
            if isinstance(exclusive, bool):  # of v3.0
                del options[f"exclusive{name}"]
                if exclusive and bound in options:
                    options[f"exclusive{name}"] = options.pop(bound)
                    self.move((*at, f"exclusive{name}"), self.origin((*at, bound)))
        if options.pop("uniqueItems", None):
            self.fault((*at, "uniqueItems"), say("not_checked", name="uniqueItems"))
        zone = options.pop("defaultTimezone", None)
        if zone not in (None, *_UTC):
            self.fault((*at, "defaultTimezone"), say("not_utc"))
        if room is not None and isinstance(options.get("maxLength", room), int):
            options["maxLength"] = min(room, options.get("maxLength", room))
        form = options.get("format")
        if form is None or kind in ("date", "timestamp"):
            return
        if LOGICAL.get(kind) in ("integer", "number"):
            self._number(options, kind, form, at)
        elif kind == "string":
            self._text(options, form, at)

    def _number(self, options: dict[str, Any], kind: str, form: Any, at: Path) -> None:
        del options["format"]
        if form not in odcs.NUMBERS:
            said = say("no_such_format", format=form)
            self.fault((*at, "format"), hinted(said, form, odcs.NUMBERS))
            return
        base, least, most = odcs.NUMBERS[form]
        if least is None or most is None or (kind == base and least < 0):
            return
        if most < 2 ** (BITS.get(kind, 64) - 1):
            options.setdefault("minimum", least)
            options.setdefault("maximum", most)
        elif least == 0:
            options.setdefault("minimum", 0)

    def _text(self, options: dict[str, Any], form: Any, at: Path) -> None:
        del options["format"]
        if form not in odcs.PATTERNS:
            said = say("no_such_format", format=form)
            self.fault((*at, "format"), hinted(said, form, odcs.PATTERNS))
        elif odcs.PATTERNS[form] and options.get("pattern") is not None:
            self.fault((*at, "format"), say("twice", one="format", other="pattern"))
        elif odcs.PATTERNS[form]:
            options["pattern"] = odcs.PATTERNS[form]

    def _enum(self, made: dict[str, Any], listed: Any, here: Path) -> None:
        if made.get("validValues") is not None:
            self.fault((*here, "enum"), say("twice", one="enum", other="validValues"))
        if not isinstance(listed, list):
            self.fault((*here, "enum"), say("list_type"))
            return
        made["validValues"] = []
        self.move((*here, "validValues"), self.origin((*here, "enum")))
        for i, entry in enumerate(listed):
            inner = isinstance(entry, dict)
            made["validValues"].append(entry.get("value") if inner else entry)
            place = (*here, "enum", i, "value") if inner else (*here, "enum", i)
            self.move((*here, "validValues", i), self.origin(place))

    def _custom(self, made: dict[str, Any], here: Path, names: Sequence[str]) -> None:
        """Additions of ours among the standard's `customProperties`."""
        listed = made.pop("customProperties", None)
        for i, entry in enumerate(listed if isinstance(listed, list) else ()):
            said = entry.get("property") if isinstance(entry, dict) else None
            name = said.removeprefix("tfspark.") if isinstance(said, str) else None
            if name == said or name is None:
                self.keep(["customProperties"])
            elif name not in names:
                text = say("extra_forbidden")
                self.fault((*here, "customProperties", i, "property"), hinted(text, name, names))
            elif made.get(name) is not None:
                self.fault((*here, "customProperties", i), say("twice", one=said, other=name))
            else:
                made[name] = entry.get("value")
                self.move((*here, name), self.origin((*here, "customProperties", i, "value")))

    def _as_written(self, made: dict[str, Any], options: dict[str, Any], here: Path) -> None:
        physical = made.get("physicalType")
        if not isinstance(physical, str):
            return
        kind = family(physical)
        if isinstance(values := made.get("validValues"), list):
            for i, value in enumerate(values):
                if value is None:
                    said = say("no_own_value", value="null", type=physical)
                    self.fault((*here, "validValues", i), said)
            made["validValues"] = [
                self._value(value, kind, (*here, "validValues", i))
                for i, value in enumerate(values)
            ]
        for name in _BOUNDS:
            if options.get(name) is not None:
                options[name] = self._value(
                    options[name], kind, (*here, "logicalTypeOptions", name)
                )
        tensor = made.get("tensor")
        if isinstance(tensor, dict):
            dtype = tensor.get("dtype") or TENSOR_DTYPE.get(family(element(physical)[0]), "float64")
            for name in ("nullValue", "padValue"):
                if tensor.get(name) is not None:
                    kind = "string" if dtype == "string" else "double"
                    tensor[name] = self._value(tensor[name], kind, (*here, "tensor", name))

    def _value(self, value: Any, kind: str, here: Path) -> Any:
        try:
            return written(value, kind, self._texts.get(self.origin(here)))
        except ValueError as error:
            self.fault(here, str(error))
            return value

    def known(self, value: Mapping[Any, Any], here: Path, level: str) -> dict[str, Any]:
        """What a part says that is used, by the standard's spelling of its names."""
        used, kept = odcs.USED[level], odcs.KEPT.get(level, [])
        made: dict[str, Any] = {}
        for key, inner in value.items():
            name = key if key in used or key in kept else camel(key)
            if name in used:
                made[name] = inner
                if name != key:
                    self.move((*here, name), (*self.origin(here), key))
            elif name in kept:
                self.keep([name])
            else:
                said = hinted(say("extra_forbidden"), key, [*used, *kept])
                self.fault((*here, key), said)
        return made

    def keep(self, names: Iterable[str]) -> None:
        self.kept |= dict.fromkeys(names)

    def fault(self, here: Path, said: str) -> None:
        self.faults.append((self.origin(here), said))

    def move(self, here: Path, origin: Path) -> None:
        """A part of the result that stands elsewhere in the file."""
        self._moved[here] = origin


def _name(table: Any) -> Any:
    return table.get("name") if isinstance(table, dict) else None
