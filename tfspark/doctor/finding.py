"""What was found of one thing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from tfspark.mask import mask_text

State = Literal["ok", "look", "bad"]
Probe = Callable[[], "Iterable[Finding]"]


@dataclass(frozen=True)
class Finding:
    """One line.

    Attributes:
        state: `bad`: jobs fail; `look`: they may fail, or be slow.
        said: what there is.
        todo: what mends it.
    """

    name: str
    state: State
    said: str
    todo: str = ""

    def to_json(self) -> dict[str, str]:
        """Without what looks like a secret."""
        shown = {"name": self.name, "state": self.state, "said": mask_text(self.said)}
        return shown | ({"todo": mask_text(self.todo)} if self.todo else {})


def guarded(name: str, probe: Probe) -> Iterator[Finding]:
    """What a probe finds; one that fails says so itself."""
    try:
        yield from probe()
    except Exception as error:
        said = str(error).strip().partition("\n")[0]
        yield Finding(name, "look", f"cannot be told: {type(error).__name__}: {said}")
