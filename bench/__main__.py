"""`python -m bench [NAME] [OPTIONS]`: every benchmark, or one."""

from __future__ import annotations

import importlib
import sys

NAMES = (
    *("auc", "convert", "gate", "mainpath", "opening", "readers", "recipes", "scaling", "scoring"),
    *("soak", "stores", "tfrecord", "wall", "watch", "wide"),
)


def main() -> int:
    chosen = sys.argv[1:2] if sys.argv[1:] and sys.argv[1] in NAMES else list(NAMES)
    options = sys.argv[2:] if len(chosen) == 1 else sys.argv[1:]
    codes = []
    for name in chosen:
        print(f"\n== {name}", flush=True)
        codes.append(importlib.import_module(f"bench.{name}").main(options) or 0)
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
