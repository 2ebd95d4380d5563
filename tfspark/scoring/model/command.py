"""`tfspark cache list|clean`: the models that are unpacked on this machine."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from tfspark.flags import Parser
from tfspark.scoring.model.cache import models, sweep
from tfspark.scoring.model.pack import cache_folder


def main(argv: Sequence[str]) -> int:
    """Show the models that are unpacked on this machine, or remove those that no process uses."""
    parser = Parser(prog="tfspark cache", description=main.__doc__)
    parser.add_argument("action", choices=["list", "clean"])
    given = parser.parse(argv)
    root = str(cache_folder())
    if given.action == "clean":
        before = sum(model.bytes for model in models(root))
        left, busy = sweep(root, 0)
        print(f"{root}: {before - left:,} bytes removed, {left:,} left, {len(busy)} models in use")
        return 0
    for model in models(root):
        opened = dt.datetime.fromtimestamp(model.opened, dt.UTC).isoformat(" ", "seconds")
        state = "" if model.whole else "  incomplete"
        print(f"{model.digest}  {model.bytes:>15,} bytes  opened {opened}{state}")
    return 0
