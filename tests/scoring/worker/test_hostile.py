"""Every hostile model of the check's tests, opened unchecked: the wall keeps it from all files."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from google.protobuf.message import DecodeError, Message
from tensorflow.core.protobuf import saved_model_pb2

from tests.registry.hostile import Honest, product
from tests.registry.hostile_cases import CASES
from tests.scoring.scorers import scorer
from tests.scoring.watched import Watched
from tests.sizes import size
from tfspark.errors import TfsparkError
from tfspark.registry.manifest import digest_of, file_sums
from tfspark.registry.resolve import ModelFolder, resolve_model
from tfspark.scoring.worker import guard, landlock, parent

pytestmark = [
    pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock"),
    pytest.mark.usefixtures("unchecked"),
]
CANARY = "canary: none of the models' business"
REACH = [
    *("write_file in_main 1", "write_file in_init_op 1", "read_file in_init_op 1"),
    *("save in_main 1", "save in_init_op 1"),
]
"""What runs even as it is: most others are made for the check, and not to run."""
COLUMNS: dict[str, list[Any]] = {
    "mlp": [pa.array([[1.0, 2.0, 3.0, 4.0]] * 3, pa.list_(pa.float32(), 4))],
    "lookup": [pa.array(["red", "blue", "none"])],
}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, ModelFolder]]:
    """By name: the honest model that it was made of, and the model."""
    folder = tmp_path_factory.mktemp("hostile")
    honest = Honest(folder)
    (folder / "secret").mkdir()
    (folder / "secret" / "canary").write_text(CANARY)
    bases = {name: resolve_model(str(folder / name)) for name in COLUMNS}
    made = {}
    # All of the product in the soak: the check's own tests have it whole.
    places = size(("in_main 1", "in_init_op 1"), soak=("1", "2"))
    everywhere = {name: content for name, content in product(honest) if name.endswith(places)}
    everywhere |= {name: make(honest) for name, make in CASES.items()}
    for number, (name, content) in enumerate(everywhere.items()):
        aimed = at(folder / "secret", content)
        if aimed is None:
            continue  # TensorFlow's own parser refuses it
        base = "lookup" if aimed.meta_graphs and aimed.meta_graphs[0].asset_file_def else "mlp"
        path = str(shutil.copytree(folder / base, folder / "made" / str(number)))
        Path(path, "saved_model.pb").write_bytes(aimed.SerializeToString())
        files = file_sums(path)
        made[name] = (base, replace(bases[base], path=path, files=files, digest=digest_of(files)))
    return made


def at(secret: Path, content: bytes) -> Any:
    """A model that aims at files of this folder; None if it cannot be parsed."""
    try:
        model = saved_model_pb2.SavedModel.FromString(content)
    except DecodeError:
        return None
    paths = {b"/etc/passwd": "canary", b"/tmp/owned": "new", b"/tmp/x": "saved"}
    aims = {path: str(secret / name).encode() for path, name in paths.items()}
    for tensor in tensors(model):
        tensor.string_val[:] = [aims.get(text, text) for text in tensor.string_val]
    return model


def tensors(message: Message) -> Iterator[Any]:
    if message.DESCRIPTOR.name == "TensorProto":
        yield message
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        entries = field.message_type.GetOptions().map_entry
        for inner in value.values() if entries else value if field.is_repeated else [value]:
            if isinstance(inner, Message):
                yield from tensors(inner)


def answer(base: str, model: ModelFolder, **how: Any) -> str:
    """All that comes back."""
    try:
        outputs, reasons = scorer(model, deadline=3.0, **how)(COLUMNS[base])
        return str([*(array.to_pylist() for array in outputs), reasons.to_pylist()])
    except TfsparkError as error:
        return f"{type(error).__name__}: {error}"


def happened(
    hostile: dict[str, tuple[str, ModelFolder]],
    names: Iterable[str],
    monkeypatch: pytest.MonkeyPatch,
    wall: str,
) -> dict[str, set[str]]:
    """What the models of these names did to the secret files; nothing of it comes back."""
    folder = Path(next(iter(hostile.values()))[1].path).parents[1]
    watched, found = Watched(folder / "secret"), {}
    how = {"isolate": "always", "wall": wall}
    for name in names:
        if guard._child._process is None:  # a fresh child imports TensorFlow
            monkeypatch.setattr(parent, "OPENING", 120.0)
            answer("mlp", resolve_model(str(folder / "mlp")), **how)
            monkeypatch.setattr(parent, "OPENING", 10.0)
        assert CANARY not in answer(*hostile[name], **how)
        found[name] = watched.happened()
    watched.close()
    return found


def test_without_a_wall_some_reach_the_files(
    hostile: dict[str, tuple[str, ModelFolder]], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = happened(hostile, REACH, monkeypatch, "never")
    assert all("saved.index" in str(found.pop(name)) for name in REACH if "save" in name)
    assert [sorted(what) for what in found.values()] == [
        ["new made", "new opened", "new written"],
        ["new opened", "new written"],
        ["canary opened", "canary read"],
    ]


def test_behind_the_wall_none_touches_them(
    hostile: dict[str, tuple[str, ModelFolder]], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = happened(hostile, hostile, monkeypatch, "always")
    assert set(REACH) < set(found)
    assert len(found) == len(hostile) > size(65, soak=150)
    assert {name: what for name, what in found.items() if what} == {}
    child = guard._child._process
    assert child is not None
    files = [str(file.readlink()) for file in Path(f"/proc/{child.pid}/fd").iterdir()]
    assert sum(file.startswith("socket:") for file in files) == 1  # its parent's
