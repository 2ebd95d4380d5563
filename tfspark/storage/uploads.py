"""What else a killed writer leaves on S3: half uploads, which are billed, and markers of folders.

Neither Arrow nor obstore asks for them, so these requests are signed here (Signature Version 4),
with keys of the environment. Without such keys, or where a server says no, nothing is done: a
bucket's lifecycle rule may.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import os
import urllib.request
from typing import Any
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree

from tfspark.storage import s3
from tfspark.storage.place import Place

_SECONDS = 30


def abort_below(place: Place, containing: str = "") -> int:
    """End all uploads of keys below a folder that have a text in them; how many there were.

    Raises:
        OSError: the server refuses.
    """
    if place.scheme != "s3" or not os.environ.get("AWS_ACCESS_KEY_ID"):
        return 0
    found = [
        (key, upload)
        for key, upload in _listed(place)
        if key.startswith(f"{place.key}/") and containing in key
    ]
    for key, upload in found:
        _ask("DELETE", place.authority, key, {"uploadId": upload})
    return len(found)


def remove_marker(place: Place, below: str = "") -> None:
    """Take away the object `KEY/` that stands for an empty folder: Spark's, or the server's own.

    Args:
        below: the rest of the folder's key.

    Raises:
        OSError: the server refuses.
    """
    if place.scheme == "s3" and os.environ.get("AWS_ACCESS_KEY_ID"):
        _ask("DELETE", place.authority, f"{place.key}{below}/", {})


def _listed(place: Place) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    more: dict[str, str] = {}
    while True:
        answer = _ask("GET", place.authority, "", {"uploads": "", "prefix": place.key, **more})
        root = ElementTree.fromstring(answer)  # noqa: S314 - of the store that holds our tables
        for one in root.iterfind("{*}Upload"):
            found.append((one.findtext("{*}Key", ""), one.findtext("{*}UploadId", "")))
        if root.findtext("{*}IsTruncated", "").lower() != "true":
            return found
        more = {
            "key-marker": root.findtext("{*}NextKeyMarker", ""),
            "upload-id-marker": root.findtext("{*}NextUploadIdMarker", ""),
        }


def _ask(method: str, bucket: str, key: str, query: dict[str, str]) -> bytes:
    here = s3.from_environment()
    endpoint = here.endpoint or f"https://s3.{here.region}.amazonaws.com"
    parts = urlsplit(endpoint)
    host, path = parts.netloc, f"/{quote(key)}"
    if here.path_style:
        path = f"/{bucket}{path if key else ''}"
    else:
        host = f"{bucket}.{host}"
    asked = urlencode(sorted(query.items()), quote_via=quote, safe="")
    headers = _signed(method, host, path, asked, here.region)
    url = f"{parts.scheme}://{host}{path}" + (f"?{asked}" if asked else "")
    request = urllib.request.Request(url, method=method, headers=headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
        content: bytes = answer.read()
    return content


def _signed(method: str, host: str, path: str, query: str, region: str) -> dict[str, str]:
    now = dt.datetime.now(dt.UTC)
    day, moment = now.strftime("%Y%m%d"), now.strftime("%Y%m%dT%H%M%SZ")
    nothing = hashlib.sha256(b"").hexdigest()
    headers: dict[str, Any] = {"host": host, "x-amz-content-sha256": nothing, "x-amz-date": moment}
    if token := os.environ.get("AWS_SESSION_TOKEN"):
        headers["x-amz-security-token"] = token
    names = ";".join(sorted(headers))
    told = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    canonical = "\n".join([method, path, query, told, names, nothing])
    scope = f"{day}/{region}/s3/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", moment, scope, digest])
    key = f"AWS4{os.environ['AWS_SECRET_ACCESS_KEY']}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    headers["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={os.environ['AWS_ACCESS_KEY_ID']}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    del headers["host"]
    return headers
