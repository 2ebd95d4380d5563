"""What a store said, as an error that tells what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from tfspark.errors import StorageError, StoreBusy, TfsparkError
from tfspark.storage.place import parse

_KINDS: list[tuple[str, type[StorageError], str]] = [
    (
        r"NO_SUCH_BUCKET|NoSuchBucket|bucket does not exist|bucket.{0,80}not found",
        StorageError,
        "there is no such bucket: make it, or name another",
    ),
    (
        r"ACCESS_DENIED|AccessDenied|Forbidden|InvalidAccessKeyId|INVALID_ACCESS_KEY|40[13]\b"
        r"|SignatureDoesNotMatch|SIGNATURE_DOES_NOT_MATCH|UNRECOGNIZED_CLIENT|Unauthorized"
        r"|ExpiredToken|InvalidToken|INVALID_CLIENT_TOKEN_ID|CredentialsNotLoaded|EC2 IMDS"
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
        r"SLOW_DOWN|SlowDown|SERVICE_UNAVAILABLE|ServiceUnavailable|INTERNAL_FAILURE|InternalError"
        r"|\b(?:429|50[0234])\b|THROTTL|Throttl|REQUEST_TIMEOUT|RequestTimeout|timed? ?out"
        r"|NETWORK_CONNECTION|curlCode|(?i:connection (?:refused|reset|closed|aborted))"
        r"|error sending request|after \d+ retries|SafeModeException|StandbyException",
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
    said = f"cannot {doing} {path}: {error}"
    if parse(place or path).is_local:
        return StorageError(said)
    for pattern, kind, todo in _KINDS:
        if re.search(pattern, str(error), re.S):
            return kind(f"cannot {doing} {path}: {todo} ({_short(error)})")
    return StorageError(f"cannot {doing} {path}: {_short(error)}")


def _short(error: BaseException) -> str:
    """The store's own words, without the pages that some bring."""
    return " ".join(_URLS.sub("", str(error)).split())[:400]
