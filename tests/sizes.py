"""How much of a thing tests try: less in CI, all of it in the soak. The assertions are the same."""

from __future__ import annotations

import os
from typing import TypeVar

from tests.lanes import SOAK

T = TypeVar("T")


def size(ci: T, soak: T) -> T:
    """For `make test` and `make test-all`, and for `make soak`. Processes of a test inherit it."""
    return soak if os.environ.get(SOAK) else ci
