"""The files of a model that MLflow knows, on this machine."""

from __future__ import annotations

import atexit
import contextlib
import re
import shutil
import tempfile
from collections.abc import Mapping
from typing import Any, NamedTuple

from tfspark.errors import ModelNotFound, StorageError
from tfspark.registry.connect import connect, default_uri, import_mlflow, reported, sqlite_file
from tfspark.registry.index import refresh
from tfspark.registry.tracking import COMPLETE, SHA256, TRAIN_KEY

_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
_URI = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+|latest))")
_ID = re.compile(r"(?:models:/)?(?P<id>m-[^/@]+)")
_RUN = re.compile(r"runs:/(?P<run>[^/]+)/(?P<path>.+)")


class Downloaded(NamedTuple):
    """The files of a registered version on this machine.

    Attributes:
        ours: whether tfspark made it, so that it has a manifest.
        sha256: of that manifest, where the registry knows it.
    """

    folder: str
    name: str
    version: str
    ours: bool
    sha256: str | None


def download(uri: str, tracking_uri: str | None = None) -> Downloaded:
    """The files of a registered version on this machine.

    Args:
        uri: `models:/name@alias`, `models:/name/3`, `models:/name/latest`, `models:/m-ID`, `m-ID`
            or `runs:/RUN/PATH`.
        tracking_uri: default: see `default_uri`.

    Raises:
        ModelNotFound: no such version, or one that was not finished.
        StorageError: the store or its files cannot be reached.
    """
    match = _URI.fullmatch(uri)
    logged = _ID.fullmatch(uri) or _RUN.fullmatch(uri)
    if not (match or logged):
        raise ModelNotFound(
            f"{uri}: write models:/name@alias, models:/name/3, models:/name/latest, models:/m-ID "
            "or runs:/RUN/PATH"
        )
    import_mlflow()
    where = tracking_uri or default_uri()
    file = sqlite_file(where)
    if file and not file.exists():
        raise ModelNotFound(
            f"{uri}: there is no registry at {where}; train a model, or name its "
            "MLflow server: tracking_uri=..., of a job registry.tracking_uri. A program finds the "
            "jobs' own registry, warehouse/mlflow.db, if it runs in their folder"
        )
    client = connect(where)
    if logged:
        return _logged(client, uri, logged.groupdict(), where)
    said = match.groupdict() if match else {}
    name = said["name"]
    with reported(where):
        found = _find(client, name, said["alias"], said["version"])
        if found is None:
            raise ModelNotFound(f"{uri}: {_known(client, name)} in {where}")
        if TRAIN_KEY in found.tags and COMPLETE not in found.tags:
            raise ModelNotFound(
                f"{uri}: version {found.version} was not finished; run the same training again"
            )
        with contextlib.suppress(StorageError):  # a store that may only be read
            refresh(client, where)
        source = client.get_model_version_download_uri(name, found.version)
        folder, tags = _fetch(source, where), found.tags
        return Downloaded(folder, name, str(found.version), TRAIN_KEY in tags, tags.get(SHA256))


def _fetch(source: str, tracking_uri: str) -> str:
    """A version's files on this machine; copies of a server's live as long as the process."""
    from mlflow.artifacts import download_artifacts

    if source.startswith(("/", "file:")):
        return str(download_artifacts(artifact_uri=source))
    folder = tempfile.mkdtemp(prefix="tfspark-model-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    fetched = download_artifacts(artifact_uri=source, dst_path=folder, tracking_uri=tracking_uri)
    return str(fetched)


def _find(client: Any, name: str, alias: str | None, version: str | None) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        if alias is not None:
            return client.get_model_version_by_alias(name, alias)
        if version == "latest":
            made = [
                found
                for found in client.search_model_versions(f"name = '{name}'")
                if TRAIN_KEY not in found.tags or COMPLETE in found.tags
            ]
            return max(made, key=lambda found: int(found.version), default=None)
        return client.get_model_version(name, version)
    except MlflowException as error:
        if error.error_code in _ABSENT:
            return None
        raise


def _logged(client: Any, uri: str, said: Mapping[str, str], where: str) -> Downloaded:
    """A model that MLflow has logged, by its id or by its run and path."""
    from mlflow.exceptions import MlflowException

    with reported(where):
        try:
            if "id" in said:
                found = client.get_logged_model(said["id"])
                name, source = str(found.name), str(found.artifact_location)
            else:
                run = client.get_run(said["run"])
                name = said["path"].rstrip("/").split("/")[-1]
                source = _artifact(client, run, said["path"].rstrip("/"))
        except MlflowException as error:
            if error.error_code in _ABSENT:
                raise ModelNotFound(f"{uri}: MLflow at {where} has no such model") from None
            raise
        return Downloaded(_fetch(source, where), name, "", False, None)


def _artifact(client: Any, run: Any, path: str) -> str:
    """Where a path of a run is: MLflow 3 keeps the models of a run in places of their own."""
    outputs = getattr(run, "outputs", None)
    for output in outputs.model_outputs if outputs else []:
        model = client.get_logged_model(output.model_id)
        if path == model.name:
            return str(model.artifact_location)
    return f"{run.info.artifact_uri}/{path}"


def _known(client: Any, name: str) -> str:
    """What there is instead, for messages."""
    from mlflow.exceptions import MlflowException

    try:
        aliases = client.get_registered_model(name).aliases
    except MlflowException:
        models = sorted(model.name for model in client.search_registered_models(max_results=20))
        return f"no model {name} (there are: {', '.join(models) or 'none'})"
    numbers = sorted(int(v.version) for v in client.search_model_versions(f"name = '{name}'"))
    said = [f"@{alias} ({number})" for alias, number in sorted(aliases.items())]
    return f"no such version; there are {', '.join([*map(str, numbers), *said]) or 'none'}"
