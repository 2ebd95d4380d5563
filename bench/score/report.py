"""Tables as Markdown has them, and which bars are met."""

from __future__ import annotations

from typing import Any

Found = dict[str, Any]
PEERS = ("no Spark", "predict_batch_udf", "mlflow")
# (kind, way, kind of the peer, peer, at least)
BARS = (
    ("table", "scan", "table", "no Spark", 0.8),
    ("table", "scan", "table", "predict_batch_udf", 5.0),
    ("table", "scan", "table", "mlflow", 5.0),
    ("table", "jvm", "table", "no Spark", 0.8),
    ("join", "arrow", "join", "predict_batch_udf", 1.5),
    ("images", "scan", "images", "no Spark", 0.9),
    ("words", "scan", "words", "no Spark", 0.8),
    ("images", "scan", "images", "predict_batch_udf", 2.5),
    ("jpegs", "scan", "jpegs", "no Spark", 0.85),
    ("images", "scan", "images as floats", "predict_batch_udf", 2.5),
)
MEMORY_BAR = 1.15
NAMES = {"mlflow": "MLflow's spark_udf", "horovod": "Horovod's way, row by row", "ray": "Ray Data"}


def show(name: str, found: Found) -> None:
    """The table of one kind."""
    ways = found["ways"]
    print(f"\n### {name}: {found['about']}\n")
    peers = [peer for peer in PEERS if peer in ways]
    heads = [f"× {NAMES.get(peer, peer)}" for peer in peers]
    print("| " + " | ".join(["way", "rows", "runs", "rows/s", *heads, "CPU µs a row"]) + " |")
    print("|---|" + "--:|" * (4 + len(peers)))
    for way, one in ways.items():
        ratios = [f"{one['rows_per_second'] / ways[peer]['rows_per_second']:.2f}" for peer in peers]
        cpu = one["cpu_microseconds_per_row"]
        cells = [NAMES.get(way, way), f"{one['rows']:,}", one["runs"]]
        cells += [f"{one['rows_per_second']:,}", *ratios, f"{cpu:,.2f}" if way != "ray" else ""]
        print("| " + " | ".join(str(cell) for cell in cells) + " |")
    if found["largest_difference"] is not None:
        print(f"\nlargest difference of two scores of a row: {found['largest_difference']:.1e}")


def show_memory(found: Found) -> None:
    print("\n### Most memory of a scoring process\n")
    print("| model | way | rows a call | process, MB | bare TF, MB | ratio |")
    print("|---|---|--:|--:|--:|--:|")
    for name, ways in found.items():
        for way, one in ways.items():
            cells = [name, way, f"{one['batch']:,}", f"{one['process_mb']:,.0f}"]
            cells += [f"{one['bare_mb']:,.0f}", f"{one['ratio']:.2f}"]
            print("| " + " | ".join(cells) + " |")


def verdict(kinds: Found, memory: Found) -> int:
    """A line a bar; 1 if one is missed."""
    missed = 0

    def line(what: str, got: float, bar: float, met: bool) -> None:
        nonlocal missed
        missed += not met
        print(f"bar | {what} | {got:.2f} | {bar} | {'met' if met else 'MISSED'}", flush=True)

    print("\nbar | what | got | bar | verdict")
    for kind, way, other, peer, bar in BARS:
        try:
            one = kinds[kind]["ways"][way]["rows_per_second"]
            two = kinds[other]["ways"][peer]["rows_per_second"]
        except KeyError:
            continue
        its = "" if other == kind else f" ({other})"
        line(f"{kind}: {way} / {peer}{its}", one / two, bar, one / two >= bar)
    for name, ways in memory.items():
        for way, one in ways.items():
            met = one["ratio"] <= MEMORY_BAR
            line(f"memory, {name}: {way} / bare TF", one["ratio"], MEMORY_BAR, met)
    return 1 if missed else 0
