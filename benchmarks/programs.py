"""What the measurements share: the real programs as children, ended whatever happens, and how much memory they took."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

CVMPROXY = (sys.executable, "-m", "cvmproxy.tools.main")


class Program:
    """A child whose log (JSON, or one line for the tools) is read as it comes."""

    def __init__(self, arguments: Sequence[str], folder: Path) -> None:
        self.events: dict[str, int] = {}
        self._address = ""
        self._ready = threading.Event()
        self.process = subprocess.Popen(
            [*CVMPROXY, *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if " listening on " in line:
                self._address = line.split()[-1]
                self._ready.set()
            elif line.startswith("{"):
                # Parsing every line of a load run would take the processor from the programs.
                name = line.split('"event":"', 1)[1].split('"', 1)[0]
                self.events[name] = self.events.get(name, 0) + 1
                if name == "listening":
                    self._address = json.loads(line)["address"]
                    self._ready.set()

    @property
    def address(self) -> str:
        """Where it listens, as soon as it does."""
        if not self._ready.wait(30):
            raise SystemExit("a program did not start")
        return self._address

    def resident_mib(self, field: str = "VmHWM") -> float:
        """The largest resident size that it has had, in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith(field)]
        return int(line.split()[1]) / 1024

    def processor_seconds(self) -> float:
        """Processor time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> int:
        """End it in good order; what it logged is complete afterwards."""
        self.process.terminate()
        status = self.process.wait(60)
        self._reader.join(60)
        return status


@contextmanager
def programs() -> Iterator["Bench"]:
    """A folder for a run, and the programs that are started in it."""
    bench = Bench(Path(tempfile.mkdtemp(prefix="cvmproxy-bench-")))
    try:
        yield bench
    finally:
        for program in bench.started:
            program.process.kill()
            program.process.wait()
        shutil.rmtree(bench.folder)


class Bench:
    """Starts programs that share one simulated platform."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[Program] = []

    def start(self, command: str, *options: str) -> Program:
        """Start ``cvmproxy COMMAND`` on a free port."""
        given = [command, "--listen-addr=127.0.0.1:0", *options]
        if command != "target":
            given.append(f"--simulated-platform={self.folder / 'platform'}")
        if command in ("server", "client"):
            given.append("--log-json")
        program = Program(given, self.folder)
        self.started.append(program)
        return program


MUTUAL = ("--server-attestation-type=simulated", "--client-attestation-type=simulated")


def report(**values: object) -> None:
    """Print what was measured, as one line of JSON."""
    print(json.dumps({name: round(v, 3) if isinstance(v, float) else v for name, v in values.items()}))


def verdict(*failures: str) -> int:
    """Print what was not reached, and return the exit status."""
    for failure in failures:
        print(f"NOT REACHED: {failure}", file=sys.stderr)
    return 1 if failures else 0
