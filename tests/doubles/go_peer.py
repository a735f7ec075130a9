"""The other implementation of the wire contract: the Go program of tests/interop, as server and as client."""

import json
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from attrs import frozen

from doubles.programs import DEADLINE_SECONDS, Program
from doubles.requirements import PROJECT_ROOT, require_program

SOURCE = PROJECT_ROOT / "tests" / "interop" / "go"
BUILD = PROJECT_ROOT / ".go-build"


@frozen(kw_only=True)
class EvidenceSource:
    """Where simulated evidence comes from: the URL of the quote provider, its platform's folder and its root."""

    url: str
    platform: Path
    root: Path

    @property
    def arguments(self) -> list[str]:
        """What the Go program has to be told."""
        return ["-quotes", self.url, "-root", str(self.root)]


@cache
def go_program() -> Path:
    """Build the program, with what Go has on this machine and nothing from the network; return its path."""
    go = require_program("go")
    BUILD.mkdir(exist_ok=True)
    # Built under a name of its own and then renamed: two test runs may do this at once.
    made, program = BUILD / f"interop-{os.getpid()}", BUILD / "interop"
    offline = {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod", "GOPROXY": "off", "CGO_ENABLED": "0"}
    caches = {"GOCACHE": str(BUILD / "cache"), "GOPATH": str(BUILD / "path")}
    subprocess.run([go, "build", "-o", str(made), "."], cwd=SOURCE, env={**os.environ, **offline, **caches}, check=True)
    made.rename(program)
    return program


class GoServer(Program):
    """The Go program as server. It says what became of each handshake."""

    def __init__(self, evidence: EvidenceSource, *arguments: str, cwd: Path) -> None:
        super().__init__([str(go_program()), "server", *evidence.arguments, *arguments], cwd=cwd)
        self.port = int(json.loads(self.out.wait_for(lambda line: "listening" in line))["addr"].rpartition(":")[2])

    def handshake(self, count: int = 1) -> dict[str, Any]:
        """Return what became of the ``count``-th handshake, as soon as it is over."""
        return dict(json.loads(self.out.wait_for(lambda line: '"event":"handshake"' in line, count=count)))


def run_go_client(evidence: EvidenceSource, port: int, *arguments: str) -> list[dict[str, Any]]:
    """Run the Go program as client to its end; return what became of each connection."""
    command = [str(go_program()), "client", *evidence.arguments, "-addr", f"127.0.0.1:{port}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * DEADLINE_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
