"""What a store said, as an error that tells what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from tfspark.errors import StorageError, StoreBusy, TfsparkError
from tfspark.storage.place import parse
from tfspark.wording import STORES

_KINDS: list[tuple[str, type[StorageError], str]] = [
    (
        STORES["expired"],
        StoreBusy,
        "the keys seem to have expired: try again with new ones (AWS_SESSION_TOKEN and its keys)",
    ),
    (
        r"NO_SUCH_BUCKET|NoSuchBucket|bucket does not exist|bucket.{0,80}not found",
        StorageError,
        "there is no such bucket: make it, or name another",
    ),
    (
        r"ACCESS_DENIED|AccessDenied|Forbidden|InvalidAccessKeyId|INVALID_ACCESS_KEY|40[13]\b"
        r"|SignatureDoesNotMatch|SIGNATURE_DOES_NOT_MATCH|UNRECOGNIZED_CLIENT|Unauthorized"
        r"|InvalidToken|INVALID_CLIENT_TOKEN_ID|CredentialsNotLoaded|EC2 IMDS"
        r"|AccessControlException|Permission denied",
        StorageError,
        "no access: check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN) or the "
        "platform's identity, and that it may read, write, list and delete there",
    ),
    (
        r"AuthorizationHeaderMalformed|AUTHORIZATION_HEADER|PermanentRedirect|HTTP status 301"
        r"|IllegalLocationConstraint",
        StorageError,
        "the bucket is in another region: set storage.s3.region",
    ),
    (
        STORES["busy"],
        StoreBusy,
        "the store is too busy or cannot be reached; it was tried several times: try again later, "
        "or check storage.s3.endpoint",
    ),
]
_URLS = re.compile(r"\(Request ID:[^)]*\)|\s+Detail: .*", re.S)


@contextmanager
def told(doing: str, path: str) -> Iterator[None]:
    """Name the place in whatever its store raises.

    Raises:
        StorageError: `doing` failed; a `StoreBusy` where a later try may do it.
    """
    try:
        yield
    except TfsparkError:
        raise
    except Exception as error:
        raise failure(doing, path, error) from error


def failure(doing: str, path: str, error: BaseException, place: str | None = None) -> StorageError:
    """An error of a store as one of ours; `place`: whose store it is, if `path` says more."""
    if parse(place or path).is_local:
        return StorageError(f"cannot {doing} {path}: {error}")
    kind, todo = _known(str(error))
    said = f"{todo} ({_short(error)})" if todo else _short(error)
    return kind(f"cannot {doing} {path}: {said}")


def kind_of(path: str, error: BaseException | str) -> type[StorageError]:
    """What a store's error is, for a message of one's own: a `StoreBusy` where a later try may
    do it."""
    return StorageError if parse(path).is_local else _known(str(error))[0]


def _known(said: str) -> tuple[type[StorageError], str]:
    found = ((kind, todo) for pattern, kind, todo in _KINDS if re.search(pattern, said, re.S))
    return next(found, (StorageError, ""))


def _short(error: BaseException) -> str:
    """The store's own words, without the pages that some bring."""
    return " ".join(_URLS.sub("", str(error)).split())[:400]
