"""`schemas/*.yaml` → `Contract`; every mistake is refused with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from tfspark import storage
from tfspark.contracts.contract import Contract
from tfspark.errors import ConfigError, ContractFileError


def load_contract(path: str | Path) -> Contract:
    """Read one contract file.

    Raises:
        ContractFileError: the file is not there, is not YAML, or says something that a contract
            cannot say. The message starts with `file:line`.
    """
    path = str(path)
    if not storage.exists(path):
        raise ContractFileError(f"{path}: there is no such contract file; see schemas/")
    return parse_contract(storage.read_bytes(path), path)


def parse_contract(content: bytes, where: str) -> Contract:
    """A contract from the bytes of its YAML; `where` names it in messages."""
    try:
        value, lines = load_yaml(content, where)
        return Contract.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        raise ContractFileError(
            f"{where}:{_line(lines, first['loc'])}: {place or 'contract'}: {said}"
        ) from None
    except ConfigError as error:
        raise ContractFileError(str(error)) from None


def load_yaml(content: bytes, where: str) -> tuple[Any, dict[tuple[Any, ...], int]]:
    """YAML (safe tags only) and the line of every path in it; a key named twice is refused.

    Raises:
        ConfigError: not UTF-8, not YAML, or a mapping with two keys of one name.
    """
    try:
        text = content.decode()
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        lines: dict[tuple[Any, ...], int] = {}
        if node is None:
            raise ConfigError(f"{where}:1: the file is empty")
        _walk(node, (), lines, where)
        return loader.construct_document(node), lines
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(f"{where}:{line}: not UTF-8: save the file as UTF-8") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ConfigError(f"{where}:{line}: not YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that is none
        raise ConfigError(f"{where}:1: not YAML: {error}") from None


def _walk(node: yaml.Node, path: tuple[Any, ...], lines: dict[Any, int], where: str) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                line = key.start_mark.line + 1
                raise ConfigError(f"{where}:{line}: two keys of one name: {key.value}")
            seen.add(key.value)
            lines[(*path, key.value)] = key.start_mark.line + 1
            _walk(value, (*path, key.value), lines, where)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _walk(value, (*path, index), lines, where)


def _line(lines: dict[tuple[Any, ...], int], path: tuple[Any, ...]) -> int:
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)
