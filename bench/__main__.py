"""`python -m bench [NAME] [OPTIONS]`: every benchmark, or one."""

from __future__ import annotations

import runpy
import sys

NAMES = ("auc", "scoring")


def main() -> int:
    chosen = sys.argv[1:2] if sys.argv[1:] and sys.argv[1] in NAMES else list(NAMES)
    options = sys.argv[2:] if len(chosen) == 1 else sys.argv[1:]
    for name in chosen:
        print(f"\n== {name}", flush=True)
        sys.argv = [f"bench.{name}", *options]
        runpy.run_module(f"bench.{name}", run_name="__main__", alter_sys=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
