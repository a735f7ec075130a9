"""The one way out for log lines: queued by whoever logs, written in batches by a thread of its own.

A reader that stalls (a paused terminal, a full pipe, a slow disk) blocks that thread and nothing else. What waits is
bounded in size; what does not fit is dropped, counted, and said in the log once there is room again. The thread is
started explicitly, because a daemon forks after its first lines are logged and a thread does not survive that.
"""

import os
import select
from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import Final, TypeAlias

Deliver: TypeAlias = Callable[[bytes], None]
"""Writes all of the bytes, blocking as long as it takes; raises OSError where they cannot be written at all."""

BATCH_SECONDS: Final = 0.05
CAPACITY_CHARACTERS: Final = 8 * 1024 * 1024
CLOSE_SECONDS: Final = 2.0


def deliver_to_descriptor(descriptor: int) -> Deliver:
    """Return a way to write to an open file descriptor, whether or not somebody made it non-blocking."""

    def deliver(data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(descriptor, rest) :]
            except BlockingIOError:
                poller = select.poll()
                poller.register(descriptor, select.POLLOUT)
                poller.poll()

    return deliver


class LineWriter:
    """Queues lines from any thread and hands them to ``deliver`` in batches.

    :ivar deliver: where the bytes go.
    :ivar describe_loss: makes the line that says how many lines were dropped.
    """

    def __init__(
        self,
        deliver: Deliver,
        describe_loss: Callable[[int], str],
        *,
        batch_seconds: float = BATCH_SECONDS,
        capacity_characters: int = CAPACITY_CHARACTERS,
    ) -> None:
        self._deliver = deliver
        self._describe_loss = describe_loss
        self._batch_seconds = batch_seconds
        self._capacity = capacity_characters
        self._lock = Lock()
        self._lines: list[str] = []
        self._waiting = 0
        self._dropped = 0
        self._has_lines = Event()
        self._closing = Event()
        self._thread: Thread | None = None

    def write(self, line: str) -> None:
        """Queue one line, given without its newline. Never blocks on the reader of the log."""
        with self._lock:
            if self._waiting + len(line) > self._capacity:
                self._dropped += 1
                return
            self._waiting += len(line) + 1
            self._lines.append(line)
        if not self._has_lines.is_set():
            self._has_lines.set()

    def start(self) -> None:
        """Start writing. After any fork; calling it again changes nothing."""
        if self._thread is None:
            self._thread = Thread(target=self._run, name="cvmproxy-log", daemon=True)
            self._thread.start()

    def close(self, timeout_seconds: float = CLOSE_SECONDS) -> bool:
        """Write what is queued and stop.

        :returns: whether all of it was written within the time; a stalled reader does not hold up the exit.
        """
        self.start()
        self._closing.set()
        self._has_lines.set()
        assert self._thread is not None
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            self._has_lines.wait()
            closing = self._closing.wait(self._batch_seconds)
            self._has_lines.clear()
            batch = self._take()
            written = self._write_batch(batch) if batch else False
            if closing:
                if not written:
                    return
                self._has_lines.set()

    def _take(self) -> list[str]:
        with self._lock:
            batch, self._lines = self._lines, []
            self._waiting = 0
            dropped, self._dropped = self._dropped, 0
        if dropped:
            batch.append(self._describe_loss(dropped))
        return batch

    def _write_batch(self, batch: list[str]) -> bool:
        lines = len(batch)
        try:
            self._deliver("\n".join([*batch, ""]).encode("utf-8", "backslashreplace"))
        except OSError:
            # The reader is gone. There is nowhere left to say so, and a proxy does not stop for its log.
            with self._lock:
                self._dropped += lines
            return False
        return True
