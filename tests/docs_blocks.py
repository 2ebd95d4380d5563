"""The code blocks of README.md, CONTRIBUTING.md and docs/, and the shell that they run in.

A block that cannot run in a test has the reason above it, in a comment that no reader sees:

    <!-- not run: needs a YARN cluster -->
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT
from tfspark.cli import main

BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.M | re.S,
)
DRAWN = "mermaid"
# Where a job is called, a client asks the test's own process to run it: one Spark for all.
CLIENT = f"""#!{sys.executable} -SsE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as to:
    to.connect(os.environ["DOCS_SOCKET"])
    to.sendall(json.dumps([sys.argv, os.getcwd()]).encode() + b"\\n")
    said = json.loads(to.makefile().readline())
sys.stdout.write(said[1])
sys.stderr.write(said[2])
sys.exit(said[0])
"""


@dataclass(frozen=True)
class Block:
    """What stands between two fences, and why it is not run, if it is not."""

    page: str
    line: int
    language: str
    text: str
    reason: str | None

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[str]:
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [str(path.relative_to(ROOT)) for path in found]


def blocks(page: str) -> list[Block]:
    """All blocks of a page, but drawings."""
    text = (ROOT / page).read_text("utf-8")
    found = [
        Block(
            page,
            text.count("\n", 0, match.start("text")),
            match["language"],
            match["text"],
            match["reason"],
        )
        for match in BLOCK.finditer(text)
    ]
    assert len(found) * 2 == len(re.findall(r"^\s*```", text, re.M)), f"{page}: a fence is odd"
    return [block for block in found if block.language != DRAWN]


def to_run(page: str) -> list[Block]:
    return [block for block in blocks(page) if block.reason is None]


def statements(sql: str) -> list[str]:
    """One statement after the other: each begins at the start of a line."""
    bare = re.sub(r"\s*--.*$", "", sql, flags=re.M)
    return [part.strip().rstrip(";") for part in re.split(r"\n(?=\S)", bare) if part.strip()]


def matches(shown: str, said: str) -> bool:
    """Whether what was said holds the shown lines in their order: `...` stands for any lines,
    and a number with a point for any such number."""
    pattern = ""
    for line in shown.splitlines():
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            words = [re.sub(r"\d+\\\.\d+", r"[\\d.e-]+", re.escape(w)) for w in line.split()]
            pattern += r"[ \t]*" + r"[ \t]+".join(words) + r"[ \t]*\n"
    return re.search(pattern, said + "\n") is not None


class Shell:
    """bash in a folder, in which `tfspark` and `spark-submit jobs/X.py` are the library's `main`,
    in this process and its Spark session. All else is what the machine has.
    """

    def __init__(self, home: Path, env: Mapping[str, str]) -> None:
        self.home, self.env = home, env
        bin = home / ".venv" / "bin"
        bin.mkdir(parents=True)
        for name in ("tfspark", "spark-submit"):
            (bin / name).write_text(CLIENT)
            (bin / name).chmod(0o755)
        (bin / "python").symlink_to(sys.executable)
        self.path = f"{bin}{os.pathsep}{os.environ['PATH']}"
        self.ran: list[list[str]] = []

    def run(self, script: str) -> str:
        """What a script prints; it must end well, command by command."""
        with socket.socket(socket.AF_UNIX) as door, contextlib.chdir(self.home):
            where = f"{self.home}/.docs.sock"
            Path(where).unlink(missing_ok=True)
            door.bind(where)
            door.listen()
            door.settimeout(0.05)
            env = {**os.environ, **self.env, "PATH": self.path, "DOCS_SOCKET": where}
            with subprocess.Popen(
                ["bash", "-eu", "-o", "pipefail", "-c", script],
                cwd=self.home,
                env=env,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ) as bash:
                while bash.poll() is None:
                    with contextlib.suppress(TimeoutError):
                        self._serve(door.accept()[0])
                assert bash.stdout
                assert bash.stderr
                said, errors = bash.stdout.read(), bash.stderr.read()
        assert bash.returncode == 0, f"{script}\nended with {bash.returncode}\n{said}\n{errors}"
        return said

    def _serve(self, caller: socket.socket) -> None:
        with caller:
            caller.setblocking(True)
            argv, folder = json.loads(caller.makefile().readline())
            assert Path(folder) == self.home
            command = self.command(argv)
            self.ran.append(command)
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:
                    code: object = main(None, command)
                except SystemExit as end:  # argparse's
                    code = end.code
            said = json.dumps([code, out.getvalue(), err.getvalue()])
            caller.sendall(said.encode() + b"\n")

    def command(self, argv: list[str]) -> list[str]:
        """`score --config ...` of either program's arguments."""
        program, given = Path(argv[0]).name, argv[1:]
        if program == "tfspark":
            return given
        while given[0].startswith("--"):
            assert given[0] == "--properties-file", f"{argv}: run it, or say why not"
            assert (self.home / given[1]).is_file(), given[1]
            given = given[2:]
        job = self.home / given[0]
        assert f'main("{job.stem}")' in job.read_text("utf-8")
        return [job.stem, *given[1:]]
