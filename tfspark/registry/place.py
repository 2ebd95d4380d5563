"""Where in a folder the SavedModel lies: MLflow's own flavours put it into one of their own."""

from __future__ import annotations

from tfspark import storage
from tfspark.errors import ModelNotFound
from tfspark.registry.manifest import MANIFEST
from tfspark.registry.mlmodel import FILE as MLMODEL
from tfspark.registry.savedmodel import FILE

_KERAS = (".keras", ".h5", ".hdf5", "keras_module.txt")


def saved_model(path: str, model: str) -> str:
    """The folder with `saved_model.pb`: the one that is named, or the one that MLflow made in it.

    Args:
        model: what the user named, used in messages.

    Raises:
        ModelNotFound: there is none; the message says what is there, or what to do.
    """
    if storage.is_claimed(path) and not storage.exists(storage.join(path, MANIFEST)):
        raise ModelNotFound(f"{model}: is being written, or its writer died: it does not count yet")
    if storage.exists(storage.join(path, FILE)):
        return path
    if not storage.exists(path):
        raise ModelNotFound(
            f"{model}: there is no such folder; name a SavedModel's folder, or models:/name@alias"
        )
    if not storage.is_dir(path):
        raise ModelNotFound(f"{model}: is a file; name the folder of a SavedModel")
    there = storage.names(path)
    inside = [n for n in there if storage.exists(storage.join(path, n, FILE))]
    if MLMODEL in there:
        if len(inside) == 1:
            return storage.join(path, inside[0])
        raise ModelNotFound(f"{model}: {_of_mlflow(path, model)}")
    if inside == ["model"]:
        raise ModelNotFound(f"{model}: the SavedModel is in {storage.join(path, 'model')}")
    if inside:
        numbers = sorted(inside, key=lambda n: (len(n), n))
        raise ModelNotFound(
            f"{model}: holds the versions {', '.join(numbers)}, and is no version itself; name "
            f"one: {storage.join(path, numbers[-1])}"
        )
    said = f"there is: {', '.join(there[:8])}" if there else "it is empty"
    raise ModelNotFound(f"{model}: holds no {FILE}, so it is no SavedModel ({said})")


def _of_mlflow(path: str, model: str) -> str:
    """What to do with a model that MLflow logged and that is no SavedModel."""
    keras = [name for name, _ in storage.files(path) if name.endswith(_KERAS)]
    uri = model if ":/" in model else path
    if keras:
        return (
            f"MLflow has saved a Keras model here ({keras[0]}), no SavedModel; export it once: "
            f"mlflow.pyfunc.load_model({uri!r}).get_raw_model().export('FOLDER'), and name FOLDER"
        )
    return (
        f"MLflow has saved a model here that is no SavedModel of TensorFlow; there is no {FILE} in "
        "it. Export it as a SavedModel, and name that folder"
    )
