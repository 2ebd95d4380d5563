"""How our ways and the limit change with rows, columns, batch, model and cores; with plots."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench.score import kinds
from bench.score.kinds import Kind
from bench.score.turns import Bench, Found, session

WAYS = ("scan", "arrow", "no Spark")
MILLION = 1_000_000
FILE_ROWS = 500_000
ROWS = (1, 2, 5, 10, 20, 50)  # millions
COLUMNS = (4, 16, 64, 256)
BATCHES = (128, 512, 2048, 8192, 32_768)
WIDTHS = (64, 256, 1024, 4096)
CORES = (1, 2)
Points = dict[str, dict[int, Found]]


def run(folder: Path, wanted: list[str], scale: float, plots: Path) -> dict[str, Points]:
    """The sweeps: name → way → x → what that run took. Prints a table and draws a plot of each."""
    found = {}
    for name in wanted:
        points: Points = {way: {} for way in WAYS}
        for way, x, turn in SWEEPS[name](folder / "sweep", scale):
            points[way][x] = turn
        shutil.rmtree(folder / "sweep", ignore_errors=True)
        found[name] = points
        show(name, points)
        draw(name, points, plots / f"scoring-{name}.png")
    return found


Point = tuple[str, int, Found]


def by_rows(folder: Path, scale: float) -> Iterator[Point]:
    """One session, the tables growing: what a process does not give back would be seen."""
    step = max(1000, int(FILE_ROWS * scale))
    whole = replace(kinds.table(), rows=step * 2 * ROWS[-1])
    kind = replace(whole, rows=step * 2)
    with _bench(folder, kind) as bench:
        kinds.write_rows(whole, folder / "all", whole.rows, 2 * ROWS[-1])
        files = sorted((folder / "all").iterdir())
        for millions in ROWS:
            here = folder / f"rows-{millions}"
            here.mkdir()
            for file in files[: 2 * millions]:
                (here / file.name).hardlink_to(file)
            for name in bench.ways:
                turn = bench.turn(name, here, step * 2 * millions)
                shutil.rmtree(bench.target(name))
                yield name, step * 2 * millions, turn


def by_columns(folder: Path, scale: float) -> Iterator[Point]:
    for columns in COLUMNS:
        rows = _rows(min(8 * MILLION, 64 * MILLION // columns), scale)
        yield from _turns(folder, kinds.table(columns, rows=rows), columns)


def by_width(folder: Path, scale: float) -> Iterator[Point]:
    for width in WIDTHS:
        rows = _rows(max(20_000, int(8 * MILLION * (64 / width) ** 2)), scale)
        yield from _turns(folder, kinds.table(width=width, rows=rows), width)


def by_batch(folder: Path, scale: float) -> Iterator[Point]:
    for batch in BATCHES:
        kind = replace(kinds.table(rows=_rows(4 * MILLION, scale)), batch=batch)
        yield from _turns(folder, kind, batch, {"spark.tfspark.batchRows": str(batch)})


def by_cores(folder: Path, scale: float) -> Iterator[Point]:
    for cores in CORES:
        kind = kinds.table(rows=_rows(8 * MILLION, scale))
        yield from _turns(folder, kind, cores, cores=cores)


SWEEPS: dict[str, Callable[[Path, float], Iterator[Point]]] = {
    "rows": by_rows,
    "columns": by_columns,
    "batch": by_batch,
    "width": by_width,
    "cores": by_cores,
}
LABELS = {
    "rows": "rows",
    "columns": "float columns (MLP of two layers of 64)",
    "batch": "rows of a call of the model",
    "width": "width of both layers of the MLP",
    "cores": "cores",
}


def _rows(rows: int, scale: float) -> int:
    return max(4000, int(rows * scale))


def _turns(
    folder: Path, kind: Kind, x: int, conf: dict[str, str] | None = None, cores: int = 2
) -> Iterator[Point]:
    shutil.rmtree(folder, ignore_errors=True)
    with _bench(folder, kind, conf, cores) as bench:
        for name in bench.ways:
            yield name, x, bench.turn(name)


@contextmanager
def _bench(
    folder: Path, kind: Kind, conf: dict[str, str] | None = None, cores: int = 2
) -> Iterator[Bench]:
    with session(folder, cores, conf) as spark:
        bench = Bench(spark, kind, folder, WAYS, cores)
        try:
            bench.warm_up()
            yield bench
        finally:
            bench.close()


def show(name: str, points: Points) -> None:
    """Rows a second, and for the sweep of rows the seconds and the memory too."""
    cells = ["", *WAYS]
    if name == "rows":
        cells += [f"{way}, s" for way in WAYS]
        cells += [f"{way}: {kind}, MB" for way in WAYS for kind in _processes(way)]
    print(f"\n### By {LABELS[name]}\n\n| {' | '.join(cells)} |\n|{'--:|' * len(cells)}")
    for x in points[WAYS[0]]:
        turns = {way: points[way][x] for way in WAYS}
        cells = [f"{x:,}", *(f"{_speed(turn):,.0f}" for turn in turns.values())]
        if name == "rows":
            cells += [f"{turn['seconds']:.1f}" for turn in turns.values()]
            cells += [
                f"{turns[way]['peak_mb'].get(kind, 0):,.0f}"
                for way in WAYS
                for kind in _processes(way)
            ]
        print("| " + " | ".join(cells) + " |", flush=True)


def draw(name: str, points: Points, path: Path) -> None:
    """Throughput; for the sweep of rows the seconds and the memory."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2 if name == "rows" else 1, figsize=(11, 4), squeeze=False)
    left, right = axes[0][0], axes[0][-1]
    for way, by_x in points.items():
        xs = list(by_x)
        if name != "rows":
            left.plot(xs, [_speed(turn) for turn in by_x.values()], marker="o", label=way)
            continue
        left.plot(xs, [turn["seconds"] for turn in by_x.values()], marker="o", label=way)
        for kind in _processes(way):
            held = [turn["peak_mb"].get(kind, 0) for turn in by_x.values()]
            right.plot(xs, held, marker="o", label=f"{way}: {kind}")
    if name == "rows":
        left.set(ylabel="seconds")
        right.set(xlabel="rows", ylabel="most memory of a process, MB")
        right.set_ylim(0)
        right.legend()
    else:
        left.set(ylabel="rows a second", yscale="log" if name == "width" else "linear")
        if name != "cores":
            left.set_xscale("log", base=2)
        left.set_xticks(list(points[WAYS[0]]), [f"{x:,}" for x in points[WAYS[0]]])
    left.set(xlabel=LABELS[name])
    if name != "width":
        left.set_ylim(0)
    left.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)
    print(f"plotted: {path}", file=sys.stderr)


def _speed(turn: Found) -> float:
    return float(turn["rows"] / turn["seconds"])


def _processes(way: str) -> tuple[str, ...]:
    return ("python",) if way == "no Spark" else ("java", "spark python")
