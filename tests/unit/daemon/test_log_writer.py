"""The writer of log lines: order, batches, and what happens when nobody reads."""

import os
from collections.abc import Callable
from threading import Event

from cvmproxy.daemon.log_writer import LineWriter, deliver_to_descriptor

SECONDS = 10.0


def loss(lines: int) -> str:
    return f"lost {lines}"


def writer_to(deliver: Callable[[bytes], None], **keywords: float) -> LineWriter:
    return LineWriter(deliver, loss, batch_seconds=0.001, **keywords)  # type: ignore[arg-type]


class Stalled:
    """A reader that takes nothing until it is told to."""

    def __init__(self) -> None:
        self.entered = Event()
        self.resume = Event()
        self.received = b""

    def __call__(self, data: bytes) -> None:
        self.entered.set()
        assert self.resume.wait(SECONDS)
        self.received += data


def test_lines_come_out_in_order_and_whole() -> None:
    received: list[bytes] = []
    writer = writer_to(received.append)
    writer.write("before the start")
    writer.start()
    for number in range(1000):
        writer.write(f"line {number}")
    assert writer.close(SECONDS)
    assert b"".join(received).decode().splitlines() == ["before the start", *(f"line {n}" for n in range(1000))]
    assert len(received) < 500, "lines are written in batches"


def test_closing_writes_what_was_never_started() -> None:
    received: list[bytes] = []
    writer = writer_to(received.append)
    writer.write("one")
    assert writer.close(SECONDS)
    assert received == [b"one\n"]


def test_a_stalled_reader_blocks_neither_the_writer_nor_the_exit() -> None:
    stalled = Stalled()
    writer = writer_to(stalled)
    writer.start()
    writer.write("first")
    assert stalled.entered.wait(SECONDS)
    for _ in range(1000):
        writer.write("more")
    assert writer.close(0.01) is False
    stalled.resume.set()
    assert writer.close(SECONDS)
    assert stalled.received.count(b"more\n") == 1000


def test_what_does_not_fit_is_dropped_counted_and_said() -> None:
    stalled = Stalled()
    writer = writer_to(stalled, capacity_characters=100)
    writer.start()
    writer.write("first")
    assert stalled.entered.wait(SECONDS)
    for _ in range(30):
        writer.write("123456789")
    stalled.resume.set()
    assert writer.close(SECONDS)
    assert stalled.received == b"first\n" + b"123456789\n" * 10 + b"lost 20\n"


def test_a_reader_that_is_gone_stops_nothing() -> None:
    receive, send = os.pipe()
    os.close(receive)
    writer = writer_to(deliver_to_descriptor(send))
    writer.start()
    writer.write("nobody reads this")
    assert writer.close(SECONDS)
    os.close(send)


def test_a_non_blocking_descriptor_gets_every_byte() -> None:
    receive, send = os.pipe()
    os.set_blocking(send, False)
    writer = writer_to(deliver_to_descriptor(send))
    writer.start()
    for _ in range(3000):
        writer.write("x" * 99)
    received = b""
    while len(received) < 300_000:
        received += os.read(receive, 65536)
    assert writer.close(SECONDS)
    os.close(send)
    assert os.read(receive, 1) == b""
    os.close(receive)
    assert received == (b"x" * 99 + b"\n") * 3000
