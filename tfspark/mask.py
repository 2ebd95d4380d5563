"""Secrets out of what people and logs see: of settings by their names, of texts by their form.

The one place that knows what a secret looks like. `SENSITIVE` is Spark's own rule too
(`spark.redaction.regex`), and the Scala module gets all of it as a resource.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"
SENSITIVE = (
    "passw|passphrase|passcode|pwd|secret|token|credential|cookie|jaas|connection[._-]?string"
    "|auth(?!or|ent)|authorization|(?:^|[._-])(?:sas|pin)(?:$|[._-])"
    "|(?:api|access|account|private|shared|storage|encrypt(?:ion)?|sign(?:ing)?|master|service"
    "|client|ssh|pem)[._-]?key"
)
"""In the name of a setting or an option. Without a backslash: it stands in a file of properties."""
# Repetitions have bounds: no text takes long.
_NAME = rf"(?:{SENSITIVE})[\w.-]{{0,64}}"
_VALUE = r"""(?:\*{3}|\\*"[^"]*"?|\\*'[^']*'?|\{[^}]*\}?|[^\s;&]+)"""
TEXTS = (
    # scheme://user:PASSWORD@host; a password may hold / and @
    r"(://[^\s/:]{0,256}:)\S{0,512}(?=@)",
    # jdbc:oracle:thin:user/PASSWORD@host
    r"""(jdbc:oracle:\w{1,9}:[^\s/@]{0,64}/)(?:"[^"]{0,256}"|[^\s"]{0,256})(?=@)""",
    # password=..., "password": "..."
    rf"({_NAME}[\"']?\s*(?:=|%3D)\s*){_VALUE}",
    rf"({_NAME}\\*[\"']?\s*:\s*)(?:\\*\"[^\"]*\"?|'[^']*'?)",
    # <SessionToken>...
    rf"(<[\w:.-]{{0,64}}{_NAME}>)[^<]+",
    # Authorization: Basic ...
    r"(authorization\W{1,4}(?:(?:basic|bearer|digest|negotiate|token|aws[\w-]{0,32})\s+)?)\S+",
    r"(bearer\s+)\S+",
    # ?sig=..., &signature=...
    rf"([?&]sig(?:nature)?=){_VALUE}",
    # X-Amz-Signature=..., x-amz-security-token: ...
    r"(x-\w{1,9}-(?:signature|credential|security-token)[\"']?\s*(?:=|:|%3D)\s*[\"']?)"
    r"(?:\*{3}|[^\s\"'&<;,]+)",
    # ... SignedHeaders=host, Signature=<64 hexadecimal digits>
    r"(\bsignature=)[\w+/%-]{27,}=*",
)
"""Of each, the first group stays and the rest is hidden."""
SHOWN = (
    "header|columns|sep|delimiter|encoding|charset|quote|escape|comment|nullValues?|emptyValue|nanValue|mode"
    "|multiLine|lineSep|inferSchema|enforceSchema|dateFormat|timestampFormat|timeZone|locale"
    "|decimal|thousands|units|trueValues|falseValues|compression|mergeSchema|recursiveFileLookup|pathGlobFilter|modifiedBefore|modifiedAfter"
    "|versionAsOf|timestampAsOf|startingVersion|startingTimestamp|ignoreDeletes|ignoreChanges"
    "|maxFilesPerTrigger|maxBytesPerTrigger|driver|dbtable|user|fetchsize|numPartitions"
    "|partitionColumn|lowerBound|upperBound"
    r"|spark\.(?:master|app\.name|log\.level|local\.dir|submit\.deployMode)"
    r"|spark\.(?:sql\.(?!catalog\.)|tfspark\.|task\.|locality\.|speculation|dynamicAllocation\.|ui\.)"
    r"[\w.]*|spark\.(?:driver|executor)\.(?:memory|memoryOverhead|cores|instances)"
)
"""Names of options that are shown; those of others are free, so that they may be a secret's."""

_secret = re.compile(SENSITIVE, re.I)
_texts = [re.compile(pattern, re.I) for pattern in TEXTS]
_shown = re.compile(SHOWN, re.I)


def mask_text(text: str) -> str:
    """A text with `***` for what looks like a secret in it."""
    for pattern in _texts:
        text = pattern.sub(rf"\g<1>{HIDDEN}", text)
    return text


def without_secrets(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables of an environment whose names are no secret's."""
    return {name: value for name, value in variables.items() if not _secret.search(name)}


def mask_value(value: Any, key: str = "", free: bool = False) -> Any:
    """A plain value without the secrets in it.

    Args:
        key: its name.
        free: whether anybody chose the names in it, as of options: only those of `SHOWN` are shown.
    """
    if isinstance(value, Mapping):
        return {name: mask_value(inner, str(name), free) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [mask_value(inner, key, free) for inner in value]
    if value and (_secret.search(key) or (free and not _shown.fullmatch(key))):
        return HIDDEN
    return mask_text(value) if isinstance(value, str) else value
