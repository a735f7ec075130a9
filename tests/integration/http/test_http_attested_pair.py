"""Requester → client proxy → attested TLS → server proxy → target."""

import pytest
import pytest_twisted
from doubles.http_chain import Wire, answers, attested_pair
from doubles.nonce_carriage import NonceIssuer

GET = b"GET /a HTTP/1.1\r\nHost: here\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
UPGRADE = b"GET /ws HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


@pytest_twisted.ensureDeferred
async def test_both_ends_see_the_measurements_of_the_other():
    seen = []

    def script(wire: Wire) -> None:
        seen.append(bytes(wire.received))
        wire.transport.write(OK)

    async with attested_pair(script) as chain:
        requester = await chain.requester()
        requester.transport.write(GET)
        answer = await requester.until(lambda data: data.endswith(b"\r\n\r\nok"))
        for message in (answer, seen[0]):
            assert message.count(b"X-Flashbots-Measurement: {") == 1
            assert message.count(b"X-Flashbots-Attestation-Type: made-up\r\n") == 1
        assert b"X-Forwarded-For: 127.0.0.1, 127.0.0.1\r\n" in seen[0]


@pytest_twisted.ensureDeferred
async def test_no_more_evidence_is_made_than_connections_were_ever_open_at_once():
    issuer = NonceIssuer()
    async with attested_pair(answers(OK), issuer=issuer) as chain:
        requesters = [await chain.requester() for _ in range(8)]
        for number in range(1, 26):
            for requester in requesters:
                requester.transport.write(GET)
            for requester in requesters:
                await requester.until(lambda data, number=number: data.count(b"\r\n\r\nok") == number)
        assert 1 <= issuer.issued <= 8
        assert chain.pools[0].open_count <= 8


@pytest_twisted.ensureDeferred
async def test_forged_evidence_is_502_with_its_code_and_the_target_is_not_dialled():
    async with attested_pair(answers(OK), issuer=NonceIssuer(forge=lambda nonce: b"something else")) as chain:
        requester = await chain.requester()
        requester.transport.write(GET)
        answer = await requester.until(lambda data: data.endswith(b"\n"))
        assert answer.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
        assert answer.endswith(b"reason: nonce-mismatch\n")
        assert chain.target.wires == []


@pytest_twisted.ensureDeferred
async def test_a_refusal_by_the_server_is_502_with_its_code_and_is_not_retried():
    client_issuer = NonceIssuer(forge=lambda nonce: b"something else")
    async with attested_pair(answers(OK), client_issuer=client_issuer) as chain:
        requester = await chain.requester()
        for number in (1, 2):
            requester.transport.write(GET)
            answer = await requester.until(lambda data, number=number: data.count(b"reason: ") == number)
            assert answer.endswith(b"reason: refused-by-peer\n")
            assert client_issuer.issued == number
        assert chain.target.wires == []


@pytest.mark.parametrize("first", ["requester", "target"])
@pytest_twisted.ensureDeferred
async def test_a_tunnel_carries_each_direction_to_its_own_end_through_tls(first):
    def switch(wire: Wire) -> None:
        if b"\r\n\r\n" in wire.received:
            wire.received.clear()
            wire.transport.write(SWITCHING)

    async with attested_pair(switch) as chain:
        requester = await chain.requester()
        requester.transport.write(UPGRADE)
        await requester.until(lambda data: data.startswith(b"HTTP/1.1 101 ") and data.endswith(b"\r\n\r\n"))
        requester.received.clear()
        target = chain.target.wires[0]
        one, other = (requester, target) if first == "requester" else (target, requester)
        one.transport.write(b"last words")
        one.transport.loseWriteConnection()
        await other.ended.wait()
        assert other.received == b"last words"
        other.transport.write(b"answer")
        await one.until(lambda data: data == b"answer")
        other.transport.loseConnection()
        await one.ended.wait()
        one.transport.loseConnection()
        assert await one.lost.wait() == "closed"
        for pool in chain.pools:
            await pool.close()
