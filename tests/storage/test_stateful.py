"""Histories of staging: who runs keeps its folder, the dead leave none, what is published stays.

The real `prepare` and the real `Maker.write`, without what they ask Spark and TensorFlow for.
"""

from __future__ import annotations

import datetime as dt
from contextlib import contextmanager
from types import SimpleNamespace as Fake
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.sizes import size
from tests.stateful import Process, World, here, histories, walk
from tfspark import storage
from tfspark.config.settings import Source
from tfspark.dataset import SPLITS, open_dataset, versions
from tfspark.errors import StorageError
from tfspark.prepare import job
from tfspark.registry.manifest import read_manifest, verify
from tfspark.training import make

CONTENTS = st.sampled_from(["a", "b", "c"])
LABELS = ("job", "job-2", "other")


class Job(Process):
    """Publishes `content`, under `number` if that is given."""

    content = ""
    number: int | None = None
    done = False
    before: dict[Any, str]


class Stagings(World):
    def __init__(self) -> None:
        super().__init__()
        self.datasets, self.models = str(self.root / "datasets"), str(self.root / "models")
        self.datasets_seen: dict[Any, str] = {}
        self.models_seen: dict[Any, str] = {}
        storage.write_bytes(str(self.root / "contract.yaml"), b"the contract")
        for name, fake in _PREPARE.items():
            self.patch.setattr(job, name, fake)
        for name, fake in _MAKE.items():
            self.patch.setattr(make, name, fake)

    @rule(content=CONTENTS, operations=st.integers(0, 50))
    @precondition(lambda self: self.room)
    def prepare(self, content: str, operations: int) -> None:
        self.step(self.preparing(content), operations)

    @rule(content=CONTENTS, number=st.integers(1, 4), operations=st.integers(0, 30))
    @precondition(lambda self: self.room)
    def train(self, content: str, number: int, operations: int) -> None:
        self.step(self.training(content, number), operations)

    @rule(label=st.sampled_from(LABELS), operations=st.integers(0, 15))
    @precondition(lambda self: self.room)
    def hold(self, label: str, operations: int) -> None:
        """A job that never loses a file of its folder as long as it runs."""

        def work() -> None:
            folder = storage.new_staging(self.datasets, label)
            for n in range(3):
                storage.write_bytes(storage.join(folder, f"{n}"), b"x")
            left = [name for name, _ in storage.files(folder)]
            assert left == ["0", "1", "2", "_owner.json"], left
            storage.delete(folder)

        self.step(self.start(work), operations)

    def preparing(self, content: str) -> Job:
        work = lambda: job.prepare(Rows(), settings(self.root), steps)  # noqa: E731
        process: Job = self.start(work, Job)
        process.content, process.before = content, dict(self.datasets_seen)
        return process

    def training(self, content: str, number: int) -> Job:
        def work() -> None:
            maker = Maker(settings(self.root), steps, Rows(), Rows(), "key")
            if not maker.has_files(number):
                maker.write(Fake(number=number), "run", Rows())

        process: Job = self.start(work, Job)
        process.content, process.number = content, number
        process.before = dict(self.models_seen)
        return process

    def looked(self, process: Process) -> None:
        if not isinstance(process, Job):
            if process.error:
                raise process.error
            return
        before = self.seen(process)
        now = published(self.datasets) if process.number is None else trained(self.models)
        new = [key for key in now if key not in before]
        assert {key: now[key] for key in before} == before, "what was published has changed"
        if new:
            assert not process.done
            assert [now[key] for key in new] == [process.content]
            assert process.number in (None, *new)
            process.done = True
            before |= now
        if process.ended and not process.killed:
            self.ended(process)

    def seen(self, process: Job) -> dict[Any, str]:
        return self.datasets_seen if process.number is None else self.models_seen

    def ended(self, process: Job) -> None:
        seen = self.seen(process)
        if process.error is None:
            number = process.number or int(process.result["path"].rpartition("/")[2])
            assert number in seen
            assert process.number or seen[number] == process.content
        elif not isinstance(process.error, StorageError) or seen == process.before:
            raise process.error
        else:  # another was first to take the number
            assert "cannot rename" in str(process.error)
            assert not process.done

    def clean_run(self) -> None:
        for process in (
            self.preparing("a"),
            self.training("a", 5 + max(self.models_seen, default=0)),
        ):
            self.finish(process)
            assert process.error is None
        assert published(self.datasets) == self.datasets_seen
        assert trained(self.models) == self.models_seen
        for label in LABELS:
            storage.delete(storage.new_staging(self.datasets, label))
        numbers = {str(number) for number in self.datasets_seen}
        assert {name.split("/")[0] for name in walk(self.root / "datasets")} == {
            "_staging", *numbers
        }  # fmt: skip
        for folder in (self.datasets, self.models):
            assert storage.names(f"{folder}/_staging") == []


def published(folder: str) -> dict[Any, str]:
    """The content of every dataset that a reader finds, each compared with its sums."""
    found = {}
    for number in versions(folder):
        dataset = open_dataset(f"{folder}/{number}")
        dataset.verify()
        [text] = {storage.read_bytes(file) for s in SPLITS for file in dataset.files(s)}
        found[number] = text.decode()
    return found


def trained(folder: str) -> dict[Any, str]:
    found = {}
    for name in storage.names(f"{folder}/m"):
        manifest = read_manifest(f"{folder}/m/{name}")
        assert manifest is not None, "half a model"
        verify(f"{folder}/m/{name}", manifest)
        found[int(name)] = manifest["content"]
    return found


def content() -> str:
    return str(getattr(here(), "content", ""))


class Rows:
    """Whatever Spark or Keras would give."""

    def __getattr__(self, name: str) -> Any:
        return self

    def __call__(self, *_: Any) -> Any:
        return self


class Maker(make.Maker):
    def _manifest(self, number: int, run_id: str, model: Any) -> dict[str, Any]:
        return {"content": content()}


def export(model: Any, folder: str, *_: Any) -> None:
    for name in ("saved_model.pb", "variables/variables.data"):
        storage.write_bytes(storage.join(folder, name), content().encode())


class Run:
    """The rows of a run of `prepare`, without Spark."""

    rows, bad = 3, 0
    words = ()

    def __init__(self, *given: Any) -> None:
        self._staging: str = given[-1]
        self.files: dict[str, Any] = {}

    def check(self) -> None:
        storage.write_bytes(storage.join(self._staging, "checked", "rows-0.arrow"), b"rows")

    def quarantine(self) -> None:
        pass

    def write(self) -> list[Any]:
        for split in SPLITS:
            path = storage.join(self._staging, "new", split, "part-0.parquet")
            storage.write_bytes(path, content().encode())
            entry = {"rows": 1, "bytes": 1, "sha256": storage.sha256(path)}
            self.files[f"{split}/part-0.parquet"] = entry
        return []


def described(made: Any, contract: Any) -> dict[str, Any]:
    return {"nulls": {}, "label_counts": None, "row_hashes": content()}


def nothing(*_: Any, **__: Any) -> None:
    pass


_PREPARE = {
    "load_contract": lambda path: Fake(name="t", digest=lambda: "digest"),
    "require_date": lambda settings: dt.date(2026, 11, 20),
    "by_split": nothing,
    "_Run": Run,
    "_rows": lambda made: dict.fromkeys(SPLITS, 1),
    "statistics": lambda *_: {},
    "described": described,
}
_MAKE = {
    "export": export,
    "check_export": lambda *_: 0.0,
    "_check_scored": lambda _: None,
    "_made_of": lambda *_: {},
    "write_mlmodel": lambda *_: None,
}


def settings(root: Any) -> Any:
    split = Fake(model_dump=lambda mode: {"seed": 0})
    return Fake(
        name="m",
        contract=str(root / "contract.yaml"),
        datasets=str(root / "datasets"),
        models=str(root / "models"),
        model=Fake(output_name="y"),
        prepare=Fake(format="parquet", split=split, compression=None, narrow={}, vocabulary=1),
        source=Source(path="source", format="parquet"),
        date=None,
        quarantine="quarantine",
    )


class _Steps:
    run_id = "run"

    @contextmanager
    def step(self, name: str, **about: Any) -> Any:
        yield about


steps: Any = _Steps()


@pytest.mark.timeout(7200)  # in the soak
def test_histories() -> None:
    histories(Stagings, size(100, soak=5_000))
