"""Real programs as children: started, read line by line, asked to stop, and never left behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

DEADLINE_SECONDS = 30.0

CONSOLE = (sys.executable, "-m", "cvmproxy.tools.main")
TWISTD = (sys.executable, str(Path(sys.executable).with_name("twistd")), "-n")
TWIST = (sys.executable, "-m", "twisted")


class Lines:
    """What a stream of a program said so far; another thread adds to it."""

    def __init__(self, stream: Any) -> None:
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: Any) -> None:
        for line in stream:
            with self._changed:
                self._lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        stream.close()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def all(self) -> list[str]:
        """Return every line, once the stream has ended."""
        self._thread.join(DEADLINE_SECONDS)
        assert not self._thread.is_alive(), "the program did not close its output"
        return list(self._lines)

    def so_far(self) -> list[str]:
        """Return the lines that have come."""
        with self._changed:
            return list(self._lines)

    def wait_for(self, wanted: Callable[[str], object], *, count: int = 1, seconds: float = DEADLINE_SECONDS) -> str:
        """Return the ``count``-th line for which ``wanted`` is true, as soon as it has come."""
        end = time.monotonic() + seconds
        with self._changed:
            while True:
                found = [line for line in self._lines if wanted(line)]
                if len(found) >= count:
                    return found[count - 1]
                if self._ended or not self._changed.wait(max(0.0, end - time.monotonic())):
                    if not self._ended and time.monotonic() < end:
                        continue
                    said = "\n".join(self._lines)
                    raise AssertionError(f"the line did not come (ended: {self._ended}); what came:\n{said}")


class Program:
    """One child process. A context manager: at its end the child is gone."""

    def __init__(
        self, command: Sequence[str], *, cwd: Path, environment: dict[str, str] | None = None, fds: Sequence[int] = ()
    ) -> None:
        clean = {name: value for name, value in os.environ.items() if name.isupper() and name in _KEPT}
        self.process = subprocess.Popen(
            list(command),
            cwd=cwd,
            env={**clean, "PYTHONUNBUFFERED": "1", "XDG_STATE_HOME": str(cwd / "state"), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="backslashreplace",
            pass_fds=tuple(fds),
        )
        self.out = Lines(self.process.stdout)
        self.err = Lines(self.process.stderr)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE_SECONDS)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def wait(self, seconds: float = DEADLINE_SECONDS) -> int:
        """Return the exit status; a signal's number, negative, where one ended it."""
        return self.process.wait(seconds)

    def stop(self) -> int:
        """Ask it to end as an operator does, and return the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait()


class Daemon(Program):
    """A server or client of ours, which logs JSON."""

    def __init__(
        self, command: Sequence[str], *, cwd: Path, environment: dict[str, str] | None = None, fds: Sequence[int] = ()
    ) -> None:
        super().__init__(
            [*command, "--log-json"] if "--log-json" not in command else command,
            cwd=cwd,
            environment=environment,
            fds=fds,
        )

    def wait_for_event(
        self, name: str, where: Callable[[dict[str, Any]], object] = lambda entry: True, *, count: int = 1
    ) -> dict[str, Any]:
        """Return the ``count``-th entry of the log of that name for which ``where`` is true."""

        def wanted(line: str) -> bool:
            entry = json.loads(line)
            return entry["event"] == name and bool(where(entry))

        try:
            return dict(json.loads(self.out.wait_for(wanted, count=count)))
        except AssertionError as error:
            error.add_note("standard error: " + "\n".join(self.err.so_far()))
            raise

    def reload(self) -> None:
        """Have it read its measurements again, and wait until it has."""
        self.signal(signal.SIGHUP)
        self.wait_for_event("notice", lambda entry: "measurements reloaded" in entry["message"])

    def address(self, purpose: str = "proxy") -> tuple[str, int]:
        """Return where it listens."""
        host, _, port = self.wait_for_event("listening", lambda e: e["purpose"] == purpose)["address"].rpartition(":")
        return host, int(port)

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the entries of that name so far."""
        return [entry for entry in map(json.loads, self.out.so_far()) if entry["event"] == name]


class CountingTarget:
    """A listening socket that counts connections and answers each request head with ``200`` and the head itself."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.accepted = 0
        self.release = threading.Event()
        self.release.set()
        self.requested = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop accepting."""
        self.release.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        # The other end may break off at any time; what becomes of a request is asked at the other end of the chain.
        with connection, suppress(OSError):
            received = b""
            while piece := connection.recv(65536):
                received += piece
                while b"\r\n\r\n" in received:
                    head, _, received = received.partition(b"\r\n\r\n")
                    self.requested.set()
                    self.release.wait(DEADLINE_SECONDS)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(head) + head)


@contextmanager
def counting_target() -> Iterator[CountingTarget]:
    """A :class:`CountingTarget` for the time of a test."""
    target = CountingTarget()
    try:
        yield target
    finally:
        target.close()


_KEPT = frozenset({"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH", "SYSTEMROOT"})
