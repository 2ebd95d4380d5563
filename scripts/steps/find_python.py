"""Find a Python 3.11 and go on with it; find others for the tests."""

import glob
import os
import shutil
import subprocess
import sys

from steps import hints

# Runs on any Python 3.
WANTED = (3, 11)
PLACES = (
    "~/.pyenv/versions/{0}*/bin/python{0}",
    "~/.local/share/uv/python/cpython-{0}*/bin/python{0}",
    "/usr/local/bin/python{0}",
    "/usr/bin/python{0}",
    "/opt/homebrew/bin/python{0}",
)


def go_on_with(script):
    """Return when this is Python 3.11; else start the script again with one, or say what to do."""
    if sys.version_info[:2] == WANTED:
        return
    found = find()
    if found:
        os.execv(found, [found, script] + sys.argv[1:])  # noqa: S606, RUF005
    sys.exit(
        "\nPython 3.11 is missing: this one is {}.{} ({}), and no python3.11 is in PATH.\n"
        "Horovod and Petastorm run on no other (docs/setup.md).\n  {}\n".format(
            sys.version_info[0], sys.version_info[1], sys.executable, hints.install("python")
        )
    )


def find(wanted=WANTED):
    """The path of an interpreter of that version, or None."""
    name = "{}.{}".format(*wanted)
    candidates = [shutil.which(program) for program in ("python" + name, "python3", "python")]
    for place in PLACES:
        candidates += sorted(glob.glob(os.path.expanduser(place.format(name))), reverse=True)
    for candidate in candidates:
        # A version manager's shim may be there and yet refuse: run it.
        if candidate and version(candidate) == wanted:
            return candidate
    return None


def version(python):
    """(major, minor) of an interpreter, or None when it does not run."""
    code = "import sys; print(*sys.version_info[:2])"
    try:
        out = subprocess.check_output([python, "-c", code], stderr=subprocess.DEVNULL)
        major, minor = out.decode().split()
        return int(major), int(minor)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None
