"""One proxy between real sockets."""

import pytest
import pytest_twisted
from doubles.http_chain import Wire, answers, one_proxy
from doubles.nginx import echoed_by_nginx, running_nginx
from twisted.internet import reactor

GET = b"GET /a?b=c HTTP/1.1\r\nHost: here\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
UPGRADE = b"GET /ws HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
MIB = 1 << 20
LARGE = 64 * MIB


@pytest_twisted.ensureDeferred
async def test_nginx_answers_through_the_proxy(tmp_path):
    with running_nginx(tmp_path / "nginx") as port:
        async with one_proxy(port=port) as chain:
            requester = await chain.requester()
            requester.transport.write(GET)
            answer = await requester.until(lambda data: data.count(b"\n") > 10)
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            echoed = echoed_by_nginx(body)
            assert (echoed["host"], echoed["forwarded"], echoed["uri"]) == ("target.test", "127.0.0.1", "/a?b=c")


@pytest_twisted.ensureDeferred
async def test_unix_sockets_serve_on_both_sides(tmp_path):
    heads = []

    def script(wire: Wire) -> None:
        heads.append(bytes(wire.received))
        wire.transport.write(OK)

    async with one_proxy(script, folder=tmp_path) as chain:
        requester = await chain.requester()
        requester.transport.write(GET)
        await requester.until(lambda data: data == OK)
        assert b"X-Forwarded-For" not in heads[0]
        assert chain.events[0].peer == "unix"


@pytest_twisted.ensureDeferred
async def test_many_requests_at_many_connections_open_no_more_upstream_connections():
    async with one_proxy(answers(OK)) as chain:
        requesters = [await chain.requester() for _ in range(16)]
        for number in range(1, 21):
            for requester in requesters:
                requester.transport.write(GET)
            for requester in requesters:
                await requester.until(lambda data, number=number: data.count(OK) == number)
        assert len(chain.target.wires) <= 16
        assert len(chain.events) == 320


@pytest_twisted.ensureDeferred
async def test_an_answer_to_bytes_that_are_no_http_is_seen_although_more_is_being_sent():
    async with one_proxy(answers(OK)) as chain:
        requester = await chain.requester()
        requester.transport.write(b"nonsense\r\n\r\n" + bytes(MIB))
        await requester.ended.wait()
        assert requester.received.startswith(b"HTTP/1.1 400 ")
        assert requester.received.endswith(b"reason: request-malformed\n")


@pytest_twisted.ensureDeferred
async def test_an_early_response_is_seen_although_the_body_is_still_being_sent():
    def refuse_large(wire: Wire) -> None:
        if b"\r\n\r\n" in wire.received and not wire.ended.fired:
            wire.ended.fire()
            wire.transport.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno\n")

    async with one_proxy(refuse_large) as chain:
        requester = await chain.requester()
        requester.transport.write(b"PUT / HTTP/1.1\r\nHost: here\r\nContent-Length: 104857600\r\n\r\n" + bytes(MIB))
        await requester.ended.wait()
        assert requester.received == b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno\n"


@pytest_twisted.ensureDeferred
async def test_a_truncated_response_resets_the_requester():
    def half(wire: Wire) -> None:
        wire.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        wire.transport.loseConnection()

    async with one_proxy(half) as chain:
        requester = await chain.requester()
        requester.transport.write(GET)
        assert await requester.lost.wait() == "reset"


@pytest_twisted.ensureDeferred
async def test_a_target_that_does_not_listen_is_502():
    async with one_proxy() as chain:
        await chain.ports[0].stopListening()
        requester = await chain.requester()
        requester.transport.write(GET)
        answer = await requester.until(lambda data: data.endswith(b"\n"))
        assert answer.endswith(b"\r\n\r\n502 Bad Gateway\nreason: upstream-unreachable\n")


@pytest_twisted.ensureDeferred
async def test_a_target_that_closed_an_idle_connection_costs_no_request():
    async with one_proxy(answers(OK)) as chain:
        requester = await chain.requester()
        requester.transport.write(GET)
        await requester.until(lambda data: data == OK)
        chain.target.wires[0].transport.loseConnection()
        requester.transport.write(GET)
        await requester.until(lambda data: data == OK + OK)


class Pour:
    """Writes zeros for as long as the transport takes them, and then does what is left to do."""

    def __init__(self, wire: Wire, size: int, then=lambda: None) -> None:
        self.left = size
        self.then = then
        self.paused = False
        self._wire = wire
        wire.transport.registerProducer(self, True)
        self.resumeProducing()

    def pauseProducing(self):
        self.paused = True

    def resumeProducing(self):
        self.paused = False
        while self.left and not self.paused:
            piece = bytes(min(self.left, 65536))
            self.left -= len(piece)
            self._wire.transport.write(piece)
        if not (self.left or self.paused):
            self._wire.transport.unregisterProducer()
            self.then()

    def stopProducing(self):
        self.left = 0


class HighWater:
    """Measures the most that Twisted's transports of a kind of protocol hold unsent."""

    def __init__(self, monkeypatch, kind):
        self.bytes = 0
        write = kind.Connection.write

        def measured(transport, data):
            write(transport, data)
            held = len(transport.dataBuffer) - transport.offset + transport._tempDataLen
            if type(transport.protocol).__module__.startswith("cvmproxy.http"):
                self.bytes = max(self.bytes, held)

        monkeypatch.setattr(kind.Connection, "write", measured)


@pytest.fixture
def high_water(monkeypatch):
    from twisted.internet import tcp

    return HighWater(monkeypatch, tcp)


@pytest_twisted.ensureDeferred
async def test_a_large_request_passes_in_bounded_memory(high_water):
    def swallow(wire: Wire) -> None:
        wire.keep = False
        wire.received.clear()
        if wire.count >= LARGE:
            wire.transport.write(OK)

    async with one_proxy(swallow) as chain:
        requester = await chain.requester()
        requester.transport.write(b"PUT / HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n" % LARGE)
        Pour(requester, LARGE)
        await requester.until(lambda data: data == OK)
        assert high_water.bytes <= MIB


@pytest_twisted.ensureDeferred
async def test_a_large_response_passes_in_bounded_memory(high_water):
    def pour(wire: Wire) -> None:
        wire.transport.write(b"HTTP/1.1 200 OK\r\n\r\n")
        Pour(wire, LARGE, then=wire.transport.loseConnection)

    async with one_proxy(pour) as chain:
        requester = await chain.requester()
        requester.keep = False
        requester.transport.write(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        # A reader that is slower than the target.
        requester.transport.pauseProducing()
        reactor.callLater(0.05, requester.transport.resumeProducing)
        await requester.ended.wait()
        assert requester.count > LARGE
        assert chain.events[0].code == ""
        assert high_water.bytes <= MIB


@pytest.mark.parametrize("first", ["requester", "target"])
@pytest_twisted.ensureDeferred
async def test_a_tunnel_carries_each_direction_to_its_own_end(first):
    def switch(wire: Wire) -> None:
        if wire.received == bytes(wire.received) and b"\r\n\r\n" in wire.received:
            wire.received.clear()
            wire.transport.write(SWITCHING)

    async with one_proxy(switch) as chain:
        requester = await chain.requester()
        requester.transport.write(UPGRADE)
        await requester.until(lambda data: data == SWITCHING)
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


@pytest_twisted.ensureDeferred
async def test_draining_ends_when_the_last_response_is_out():
    waiting = []

    async with one_proxy(waiting.append) as chain:
        requester = await chain.requester()
        requester.transport.write(GET)
        while not waiting:
            await requester_turn()
        drained = chain.proxies[0].drain()
        assert not drained.called
        waiting[0].transport.write(OK)
        await requester.ended.wait()
        assert b"Connection: close\r\n" in requester.received
        requester.transport.loseConnection()
        await drained


def requester_turn():
    from twisted.internet.task import deferLater

    return deferLater(reactor, 0)
