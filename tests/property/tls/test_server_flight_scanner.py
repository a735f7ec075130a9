"""The scanner lets every byte through, in order, and finds the same in any chunking and any records."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from cvmproxy.tls.flight import MAX_HELD_BYTES, ServerFlightScanner

HELLO_TLS12 = bytes([2, 0, 0, 38, 3, 3]) + bytes(32) + bytes([0, 0xC0, 0x2B, 0])
HELLO_TLS13 = bytes([2, 0, 0, 46, 3, 3]) + bytes(32) + bytes([0, 0x13, 0x01, 0, 0, 6, 0, 43, 0, 2, 3, 4])
DONE = bytes([14, 0, 0, 0])
limits = settings(max_examples=100, deadline=None)


def vector(size: int, data: bytes) -> bytes:
    return len(data).to_bytes(size, "big") + data


def message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + vector(3, body)


def request(names: list[bytes]) -> bytes:
    return message(13, vector(1, b"\x40") + vector(2, b"\x04\x03") + vector(2, b"".join(vector(2, n) for n in names)))


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[a:b] for a, b in pairwise(edges) if a < b]


def records(handshake: bytes, places: list[int]) -> bytes:
    return b"".join(
        b"\x16\x03\x03" + vector(2, part) for part in cut(handshake, [*places, *range(0, len(handshake), 1 << 14)])
    )


def run(data: bytes, places: list[int]) -> tuple[bytes, ServerFlightScanner]:
    scanner = ServerFlightScanner()
    return b"".join(scanner.feed(part) for part in cut(data, places)), scanner


places = st.lists(st.integers(0, 1 << 17), max_size=12)
names = st.lists(st.binary(max_size=80), max_size=3)


@limits
@given(names, st.integers(0, 98304), places, places)
def test_the_request_is_found_however_it_arrives(
    wanted: list[bytes], certificate_bytes: int, in_records: list[int], in_segments: list[int]
) -> None:
    flight = HELLO_TLS12 + message(11, bytes(certificate_bytes)) + message(12, b"key exchange") + request(wanted)
    data = records(flight + DONE, in_records)
    passed, scanner = run(data, in_segments)
    assert passed == data
    assert scanner.authorities == tuple(wanted)


@limits
@given(names, places, places)
def test_nothing_passes_before_the_request_is_complete(
    wanted: list[bytes], in_records: list[int], in_segments: list[int]
) -> None:
    data = records(HELLO_TLS12 + message(11, b"certificate") + request(wanted), in_records)
    passed, scanner = run(data[:-1], in_segments)
    assert passed == b""
    assert scanner.authorities is None
    assert scanner.feed(data[-1:]) == data


@limits
@given(places, places)
def test_a_flight_without_a_request_passes(in_records: list[int], in_segments: list[int]) -> None:
    data = records(HELLO_TLS12 + message(11, b"certificate") + DONE, in_records)
    passed, scanner = run(data, in_segments)
    assert passed == data
    assert scanner.authorities is None


@limits
@given(st.binary(max_size=64), places)
def test_tls_1_3_is_not_held_back(encrypted: bytes, in_segments: list[int]) -> None:
    hello = records(HELLO_TLS13, [])
    passed, scanner = run(hello + encrypted, in_segments)
    assert passed == hello + encrypted
    assert scanner.authorities is None


@limits
@given(st.binary(max_size=400), places)
def test_any_bytes_are_passed_on_or_held_and_never_changed(data: bytes, in_segments: list[int]) -> None:
    passed, _ = run(data, in_segments)
    assert passed == data[: len(passed)]


@limits
@given(st.binary(min_size=1, max_size=200), places, places)
def test_any_handshake_bytes_are_passed_on_or_held_and_never_changed(
    data: bytes, in_records: list[int], in_segments: list[int]
) -> None:
    framed = records(data, in_records)
    passed, _ = run(framed, in_segments)
    assert passed in (b"", framed) or framed.startswith(passed)


def test_what_is_held_is_bounded() -> None:
    scanner = ServerFlightScanner()
    endless = records(HELLO_TLS12 + message(11, bytes(1 << 20)), [])
    position = 0
    while not scanner.feed(endless[position : position + 4096]):
        position += 4096
    assert position <= MAX_HELD_BYTES
