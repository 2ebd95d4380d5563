"""YAML files with the line of every value, for messages."""

from __future__ import annotations

from typing import Any

import yaml

from tfspark.errors import ConfigError


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


def line_of(lines: dict[tuple[Any, ...], int], path: tuple[Any, ...]) -> int:
    """The line of a path in the file, or of the nearest one around it that the file has."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)
