"""YAML files with the line of every value, for messages."""

from __future__ import annotations

from typing import Any

import yaml

from tfspark.errors import ConfigError
from tfspark.wording import say

_DEEPEST = 40


def load_yaml(
    content: bytes, where: str, texts: dict[tuple[Any, ...], str] | None = None
) -> tuple[Any, dict[tuple[Any, ...], int]]:
    """YAML (safe tags only) and the line of every path in it; a key named twice is refused.

    Args:
        texts: is given what the file says for every value that YAML does not read as text.

    Raises:
        ConfigError: not UTF-8, not YAML, a mapping with two keys of one name, or what would take
            endless work: aliases, and more than 40 lists and mappings inside each other.
    """
    try:
        text = content.decode()
        _refuse_bombs(text, where)
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        lines: dict[tuple[Any, ...], int] = {}
        if node is None:
            raise ConfigError(say("empty", where=where))
        _walk(node, (), lines, where, loader, {} if texts is None else texts)
        return loader.construct_document(node), lines
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(say("not_utf8", where=where, line=line)) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise _not_yaml(where, line, error.problem) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _not_yaml(where, line, say("no_character")) from None


def _refuse_bombs(text: str, where: str) -> None:
    """Refuse what a few bytes make endless or huge: aliases, thousands of brackets."""
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent):
            raise _not_yaml(where, line, say("no_alias", name=event.anchor))
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST:
            raise _not_yaml(where, line, say("too_deep", most=_DEEPEST))


def _walk(
    node: yaml.Node,
    path: tuple[Any, ...],
    lines: dict[Any, int],
    where: str,
    loader: Any,
    texts: dict[Any, str],
) -> None:
    line = node.start_mark.line + 1
    lines.setdefault(path, line)
    if node.tag not in loader.yaml_constructors:
        raise _not_yaml(where, line, say("no_tag", tag=node.tag))
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _not_yaml(where, key.start_mark.line + 1, say("no_text_key"))
            if key.value in seen:
                line = key.start_mark.line + 1
                raise ConfigError(say("same_key", where=where, line=line, key=key.value))
            seen.add(key.value)
            lines[(*path, key.value)] = key.start_mark.line + 1
            _walk(value, (*path, key.value), lines, where, loader, texts)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _walk(value, (*path, index), lines, where, loader, texts)
    else:
        try:
            if not isinstance(loader.construct_object(node), str | None):
                texts[path] = node.value
        except (ValueError, LookupError, AttributeError):  # the 13th month, `!!bool x`
            kind = node.tag.rsplit(":")[-1].replace("timestamp", "date")
            said = say("no_such_value", text=node.value, kind=kind)
            raise _not_yaml(where, line, said) from None


def _not_yaml(where: str, line: int, problem: str | None) -> ConfigError:
    return ConfigError(say("not_yaml", where=where, line=line, problem=problem))


def line_of(lines: dict[tuple[Any, ...], int], path: tuple[Any, ...]) -> int:
    """The line of a path in the file, or of the nearest one around it that the file has."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)
