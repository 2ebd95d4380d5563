"""`schemas/*.yaml` → `Contract`; every mistake is refused with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tfspark import storage
from tfspark.contracts import mistakes
from tfspark.contracts.contract import Contract
from tfspark.contracts.standard import Standard
from tfspark.errors import ConfigError, ContractFileError
from tfspark.wording import fault, say
from tfspark.yamlfile import line_of, load_yaml


def load_contract(path: str | Path) -> Contract:
    """Read one contract file.

    Args:
        path: of the YAML file; `FILE#TABLE` for one of several tables.

    Raises:
        ContractFileError: the file is not there, is not YAML, or says something that a contract
            cannot say: all of it, a line each, which starts with `file:line`.
    """
    file, table = named(path)
    return read(content(path), file, table)[0]


def parse_contract(content: bytes, where: str, table: str | None = None) -> Contract:
    """A contract from the bytes of its YAML; `where` names it in messages.

    Args:
        content: the bytes of a YAML file.
        where: names it in messages.
        table: which of its tables; None: the only one.

    Raises:
        ContractFileError: as `load_contract`.
    """
    return read(content, where, table)[0]


def named(path: str | Path) -> tuple[str, str | None]:
    """The file of a contract, and its table if one is named behind it."""
    file, mark, table = str(path).rpartition("#")
    return (file, table) if mark and not storage.exists(str(path)) else (str(path), None)


def content(path: str | Path) -> bytes:
    """The bytes of a contract file.

    Raises:
        ContractFileError: it is not there.
    """
    file, _ = named(path)
    if not storage.exists(file):
        raise ContractFileError(say("no_contract", path=file))
    return storage.read_bytes(file)


def read(content: bytes, where: str, table: str | None) -> tuple[Contract, list[str]]:
    """The contract, and the names of what the file says and nothing here uses.

    Raises:
        ContractFileError: as `load_contract`.
    """
    texts: dict[tuple[Any, ...], str] = {}
    try:
        value, lines = load_yaml(content, where, texts)
    except ConfigError as error:
        raise ContractFileError(str(error)) from None
    standard = Standard(texts)
    value = standard.contract(value, table)
    contract, faults = _checked(value) if standard.found else (None, [])
    found = _once([*standard.faults, *((standard.origin(path), said) for path, said in faults)])
    if found or contract is None:
        told = []
        for path, said in found:
            line, place = line_of(lines, path), ".".join(map(str, path)) or "contract"
            told.append((line, say("at", where=f"{where}:{line}", path=place, said=said)))
        told.sort(key=lambda one: one[0])
        raise ContractFileError("\n".join(text for _, text in told))
    return contract, list(standard.kept)


def _once(faults: list[mistakes.Mistake]) -> list[mistakes.Mistake]:
    """Without what follows from another fault: the first of a place, and the innermost.

    A whole column or table may have more to say, each time something else.
    """
    found: dict[tuple[Any, ...], list[str]] = {}
    for path, said in faults:
        told = found.setdefault(path, [])
        if not told or (len(path) in (2, 4) and path[:1] == ("schema",) and said not in told):
            told.append(said)
    inner = {path[:end] for path in found for end in range(len(path))}
    return [
        (path, said)
        for path, told in found.items()
        for said in told
        if path not in inner or len(path) % 2 == 0
    ]


def _checked(value: Any) -> tuple[Contract | None, list[mistakes.Mistake]]:
    """The contract, or all that is wrong with it."""
    faults: list[mistakes.Mistake] = []
    again: list[mistakes.Mistake] = []  # what the checks below say too, with its own place
    contract = None
    try:
        contract = Contract.model_validate(value)
    except ValidationError as error:
        for one in error.errors(include_url=False):
            place, said = fault(one, [value])
            is_own = one["type"] == "value_error" and one["loc"][-1:] != ("physicalType",)
            (again if is_own else faults).append((place, said))
    tables = value.get("schema") if isinstance(value, dict) else None
    table = tables[0] if isinstance(tables, list) and tables else None
    if isinstance(table, dict):
        at: tuple[Any, ...] = ("schema", 0)
        faults += [((*at, *path), said) for path, said in mistakes.of_table(table)]
        columns = table.get("properties")
        for i, column in enumerate(columns if isinstance(columns, list) else ()):
            if isinstance(column, dict):
                wrong = mistakes.of_column(column)
                faults += [((*at, "properties", i, *path), said) for path, said in wrong]
    covered = {path[:end] for path, _ in faults for end in range(len(path) + 1)}
    return contract, faults + [one for one in again if one[0] not in covered]
