import pytest
from doubles.engine_pairs import Pair, client_engine, server_engine
from doubles.nonce_carriage import UNATTESTED, PlainIssuer
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL

from cvmproxy.errors import TransportError
from cvmproxy.tls.settings import ClientSettings, ServerSettings
from cvmproxy.tls.stream import MAX_UNSOLICITED_BYTES, Broken, PeerFinished, PlaintextReceived, TLSStream

VERSIONS = pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION], ids=["TLS 1.2", "TLS 1.3"])


def streams(version: int) -> tuple[TLSStream, TLSStream]:
    client = client_engine(ClientSettings(peer=UNATTESTED, credential=PlainIssuer()), version=version)
    server = server_engine(ServerSettings(credential=PlainIssuer(), peer=UNATTESTED))
    Pair(client, server).run()
    return TLSStream(client.connection), TLSStream(server.connection)


@VERSIONS
@pytest.mark.parametrize("size", [0, 1, 16_384, 16_385, 262_144, 262_145, 1_000_000])
def test_no_byte_is_lost_to_a_partial_write(version: int, size: int) -> None:
    one, other = streams(version)
    data = bytes(range(256)) * (size // 256 + 1)
    for piece in one.write(data[:size]):
        other.feed(piece)
    assert other.read() == ((PlaintextReceived(data[:size]),) if size else ())


@VERSIONS
def test_each_direction_ends_by_itself(version: int) -> None:
    one, other = streams(version)
    pieces = one.write(b"last words")
    other.feed(b"".join(pieces) + one.finish())
    assert other.read() == (PlaintextReceived(b"last words"), PeerFinished())
    for piece in other.write(b"still here"):
        one.feed(piece)
    assert one.read() == (PlaintextReceived(b"still here"),)
    one.feed(other.finish())
    assert one.read() == (PeerFinished(),)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 5000), max_size=30))
def test_chunking_never_changes_what_is_read(sizes: list[int]) -> None:
    one, other = streams(SSL.TLS1_3_VERSION)
    wire = b"".join(one.write(bytes(50_000))) + one.finish()
    received, ends = b"", []
    position = 0
    for size in [*sizes, len(wire)]:
        other.feed(wire[position : position + size])
        position += size
        for event in other.read():
            if isinstance(event, PlaintextReceived):
                received += event.data
            else:
                ends.append(event)
    assert received == bytes(50_000)
    assert set(ends) == {PeerFinished()}


@VERSIONS
def test_a_record_that_was_changed_breaks_the_connection(version: int) -> None:
    one, other = streams(version)
    wire = bytearray(b"".join(one.write(b"plaintext")))
    wire[-1] ^= 1
    other.feed(bytes(wire))
    (event,) = other.read()
    assert isinstance(event, Broken)
    assert event.error.code == "tls-error"
    one.feed(other.answer())
    (event,) = one.read()
    assert isinstance(event, Broken)
    assert event.error.code == "refused-by-peer"


def test_an_alert_after_data_is_no_refusal() -> None:
    one, other = streams(SSL.TLS1_3_VERSION)
    for piece in other.write(b"data"):
        one.feed(piece)
    assert one.read() == (PlaintextReceived(b"data"),)
    wire = bytearray(b"".join(one.write(b"plaintext")))
    wire[-1] ^= 1
    other.feed(bytes(wire))
    other.read()
    one.feed(other.answer())
    (event,) = one.read()
    assert isinstance(event, Broken)
    assert event.error.code == "tls-error"


def test_answers_to_a_flood_are_bounded() -> None:
    client = client_engine(ClientSettings(peer=UNATTESTED, credential=PlainIssuer()), version=SSL.TLS1_2_VERSION)
    server = server_engine(ServerSettings(credential=PlainIssuer(), peer=UNATTESTED))
    Pair(client, server).run()
    stream = TLSStream(server.connection)
    stream._unsolicited = MAX_UNSOLICITED_BYTES - 1
    server.connection.send(b"as if the peer had asked for it")
    with pytest.raises(TransportError):
        stream.answer()


@VERSIONS
def test_nothing_is_kept_that_comes_after_the_end(version: int) -> None:
    one, other = streams(version)
    other.feed(one.finish())
    assert other.read() == (PeerFinished(),)
    other.feed(bytes(1 << 20))
    assert other.read() == ()
