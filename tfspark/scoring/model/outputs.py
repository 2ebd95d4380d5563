"""What the columns of a model's outputs are called, and whether text is left as bytes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from tfspark.errors import SignatureError
from tfspark.registry.resolve import ModelFolder
from tfspark.scoring.model.binding import listed

Outputs = Mapping[str, str | Mapping[str, str]]
"""Output → the name of its column, or a mapping of `name` and `type` (`binary`)."""


def with_outputs(model: ModelFolder, outputs: Outputs | None) -> ModelFolder:
    """A model whose outputs are called as they are asked for.

    Raises:
        SignatureError: two outputs would have one name, or a type cannot be had.
    """
    made, renamed = {}, {}
    for own, spec in model.signature.outputs.items():
        asked = (outputs or {}).get(own, own)
        about = {"name": asked} if isinstance(asked, str) else dict(asked)
        name, kind = about.pop("name", own), about.pop("type", None)
        if about or not name or kind not in (None, "binary"):
            raise SignatureError(
                f"model {model.path}: output {own}: give the name of its column, or a mapping of "
                "name and type: binary"
            )
        if kind and spec.dtype != "string":
            raise SignatureError(
                f"model {model.path}: output {own} is {spec.dtype}; only text can be left as bytes "
                "(type: binary)"
            )
        if name in made:
            raise SignatureError(f"model {model.path}: two outputs would have the name {name}")
        made[name] = replace(spec, binary=True) if kind else spec
        if name != own:
            renamed[name] = own
    return replace(model, signature=replace(model.signature, outputs=made, renamed=renamed))


def check_asked(outputs: Outputs | None, model: str, known: Collection[str]) -> None:
    """Refuse a name that is no output.

    Raises:
        SignatureError: says which.
    """
    for name in outputs or {}:
        if name not in known:
            raise SignatureError(
                f"model {model}: has no output {name}; its outputs: {listed(sorted(known))}"
            )
