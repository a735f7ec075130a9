"""The plain target program: what it echoes, and bodies of any size."""

import json
from http.client import HTTPConnection

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from cvmproxy.tools.target import TargetFactory


def ask(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@pytest_twisted.inlineCallbacks
def test_the_target_echoes_method_path_headers_and_size_of_the_body():
    port = reactor.listenTCP(0, TargetFactory(), interface="127.0.0.1")
    try:
        number = port.getHost().port
        status, body = yield deferToThread(ask, number, "POST", "/a?b=c", b"x" * 300_000, Answer="42")
        answer = json.loads(body)
        assert (status, answer["method"], answer["path"], answer["body_bytes"]) == (200, "POST", "/a?b=c", 300_000)
        assert ["Answer", "42"] in answer["headers"]
    finally:
        yield port.stopListening()


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 3_000_000])
@pytest_twisted.ensureDeferred
async def test_the_target_sends_as_many_bytes_as_asked_for(size):
    port = reactor.listenTCP(0, TargetFactory(), interface="127.0.0.1")
    try:
        status, body = await deferToThread(ask, port.getHost().port, "GET", f"/bytes/{size}")
        assert (status, body) == (200, bytes(size))
    finally:
        await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_a_head_request_is_answered_without_a_body():
    port = reactor.listenTCP(0, TargetFactory(), interface="127.0.0.1")
    try:
        status, body = await deferToThread(ask, port.getHost().port, "HEAD", "/")
        assert (status, body) == (200, b"")
    finally:
        await port.stopListening()
