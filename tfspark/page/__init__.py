"""Pages for people: what a night did, all nights, what a model is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfspark import lazy

if TYPE_CHECKING:
    from tfspark.page.card import write_card
    from tfspark.page.index import write_index
    from tfspark.page.night import write_night

__all__ = ["write_card", "write_index", "write_night"]

__getattr__ = lazy.names(
    __name__,
    {"card": ("write_card",), "index": ("write_index",), "night": ("write_night",)},
)
