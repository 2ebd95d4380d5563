"""`schemas/*.yaml` → `Contract`; every mistake is refused with its line."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from tfspark import storage
from tfspark.contracts.contract import Contract
from tfspark.errors import ConfigError, ContractFileError
from tfspark.wording import misfit, say
from tfspark.yamlfile import line_of, load_yaml


def load_contract(path: str | Path) -> Contract:
    """Read one contract file.

    Args:
        path: of the YAML file.

    Raises:
        ContractFileError: the file is not there, is not YAML, or says something that a contract
            cannot say. The message starts with `file:line`.
    """
    path = str(path)
    if not storage.exists(path):
        raise ContractFileError(say("no_contract", path=path))
    return parse_contract(storage.read_bytes(path), path)


def parse_contract(content: bytes, where: str) -> Contract:
    """A contract from the bytes of its YAML; `where` names it in messages.

    Args:
        content: the bytes of a YAML file.
        where: names it in messages.

    Raises:
        ContractFileError: as `load_contract`.
    """
    try:
        value, lines = load_yaml(content, where)
        return Contract.model_validate(value)
    except ValidationError as error:
        place, said = misfit(error, [value])
        path = ".".join(map(str, place)) or "contract"
        line = line_of(lines, place)
        raise ContractFileError(say("at", where=f"{where}:{line}", path=path, said=said)) from None
    except ConfigError as error:
        raise ContractFileError(str(error)) from None
