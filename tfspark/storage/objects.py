"""Object stores, as far as Arrow does not know them: writes with a condition, whole deletes.

There are no folders: a name with `/` in it is a name. So nothing here makes or leaves any.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tfspark.errors import StorageError
from tfspark.storage import s3
from tfspark.storage.place import Place

_AT_ONCE = 1000  # keys that one request deletes


def store(place: Place) -> Any:
    """obstore's store of the bucket.

    Raises:
        StorageError: obstore is not installed.
    """
    if place.scheme == "s3":
        return s3.objects(place.authority)
    stores = s3.obstore_store()
    if place.scheme == "gs":
        return stores.GCSStore(place.authority)
    container, _, host = place.authority.partition("@")
    return stores.AzureStore(container, account_name=host.partition(".")[0])


def put(place: Place, content: bytes) -> None:
    """Whole or not at all."""
    import obstore

    obstore.put(store(place), place.key, content)


def put_new(place: Place, content: bytes) -> None:
    """Only where there is no object.

    Raises:
        FileExistsError: there is one.
    """
    import obstore
    from obstore.exceptions import AlreadyExistsError, PreconditionError

    try:
        obstore.put(store(place), place.key, content, mode="create", use_multipart=False)
    except (AlreadyExistsError, PreconditionError):
        raise FileExistsError(place.text) from None


def read(place: Place) -> tuple[bytes, str | None]:
    """An object's bytes and its version.

    Raises:
        FileNotFoundError: there is none.
    """
    import obstore

    found = obstore.get(store(place), place.key)
    return bytes(found.bytes()), found.meta["e_tag"]


def put_over(place: Place, content: bytes, version: str) -> None:
    """Only where the object is still of the version that was read.

    Raises:
        FileExistsError: it is another.
    """
    import obstore
    from obstore.exceptions import AlreadyExistsError, PreconditionError

    try:
        obstore.put(store(place), place.key, content, mode={"e_tag": version}, use_multipart=False)
    except Exception as error:
        if _holds(place, content):  # it was done, and its answer lost
            return
        if isinstance(error, (AlreadyExistsError, PreconditionError, FileNotFoundError)):
            raise FileExistsError(place.text) from None
        raise


def _holds(place: Place, content: bytes) -> bool:
    try:
        return read(place)[0] == content
    except FileNotFoundError:
        return False


def copy(source: Place, target: Place) -> None:
    """In the store itself."""
    import obstore

    if (source.scheme, source.authority) != (target.scheme, target.authority):
        raise StorageError(f"{source.text} and {target.text} are not in one store")
    obstore.copy(store(source), source.key, target.key)


def delete(place: Place) -> None:
    """An object; that there is none is no error."""
    import obstore

    try:
        obstore.delete(store(place), place.key)
    except FileNotFoundError:
        return


def delete_below(place: Place) -> None:
    """All objects whose keys begin with this one and `/`."""
    import obstore

    where = store(place)
    waiting: list[str] = []
    for key in list(keys(place)):
        waiting.append(key)
        if len(waiting) == _AT_ONCE:
            obstore.delete(where, waiting)
            waiting = []
    if waiting:
        obstore.delete(where, waiting)


def keys(place: Place) -> Iterator[str]:
    """Of all objects below, sorted as the store sorts them."""
    import obstore

    for some in obstore.list(store(place), prefix=place.key):
        for one in some:
            if one["path"].startswith(f"{place.key}/"):
                yield one["path"]
