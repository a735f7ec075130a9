"""``twistd cvmproxy-client`` in front of the Go program as server: every mode, every refusal, on TLS 1.2 and 1.3."""

import json
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from doubles.go_peer import EvidenceSource, GoServer
from doubles.programs import DEADLINE_SECONDS, TWISTD, Daemon

pytestmark = pytest.mark.parametrize("version", ["1.2", "1.3"])

VERIFY = ("--server-attestation-type", "simulated")
ATTEST = ("--client-attestation-type", "simulated")
FAULTS = {
    "wrong-nonce": "nonce-mismatch",
    "other-key": "key-mismatch",
    "no-evidence": "no-evidence",
    "two-extensions": "ambiguous-evidence",
    "not-self-signed": "leaf-malformed",
    "expired": "leaf-expired",
    "malformed": "evidence-malformed",
}


@frozen
class Answer:
    """What a program that uses the proxy gets."""

    status: int
    headers: dict[str, str]
    body: bytes

    def measurements(self) -> dict[str, str] | None:
        """Return the server's measurements, as the proxy says them."""
        if "x-flashbots-measurement" not in self.headers:
            assert "x-flashbots-attestation-type" not in self.headers
            return None
        assert self.headers["x-flashbots-attestation-type"] == "simulated"
        return dict(json.loads(self.headers["x-flashbots-measurement"]))


@frozen
class Chain:
    """A client of ours that is running, and the Go server that it connects to."""

    server: GoServer
    daemon: Daemon

    def ask(self, path: str = "/", body: bytes | None = None) -> Answer:
        """Make one request through the proxy, on a connection of its own."""
        connection = HTTPConnection(*self.daemon.address(), timeout=DEADLINE_SECONDS)
        try:
            connection.request("GET" if body is None else "POST", path, body)
            response = connection.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, headers, response.read())
        finally:
            connection.close()

    def refuse(self, code: str) -> dict[str, Any]:
        """Make a request; demand the code in the answer and in our access log. Returns what the Go server saw."""
        answer = self.ask()
        assert answer.status == 502, answer
        assert code.encode() in answer.body
        assert answer.measurements() is None
        assert self.daemon.wait_for_event("request")["code"] == code
        return self.server.handshake()

    def refuse_with_alert(self, code: str) -> None:
        """Make a request; demand the code, a log entry of the refusal, and that the server got a fatal alert."""
        seen = self.refuse(code)
        assert self.daemon.wait_for_event("refused")["code"] == code
        assert not seen["ok"], seen
        # On TLS 1.3 a client's refusal is an alert in the clear, which Go sees the bytes of and cannot read.
        assert seen.get("alert") or seen.get("plain_alert"), seen


@pytest.fixture
def chain(evidence: EvidenceSource, tmp_path: Path, version: str) -> Any:
    @contextmanager
    def start(server_arguments: tuple[str, ...], client_options: tuple[str, ...]) -> Iterator[Chain]:
        with GoServer(evidence, "-tls", version, *server_arguments, cwd=tmp_path) as server:
            command = [*TWISTD, "cvmproxy-client", "--listen-addr", "127.0.0.1:0", *client_options]
            command += ["--target-addr", f"https://127.0.0.1:{server.port}"]
            command += ["--simulated-platform", str(evidence.platform)]
            with Daemon(command, cwd=tmp_path) as daemon:
                yield Chain(server, daemon)

    return start


def test_the_measurements_of_the_server_come_back(chain: Any, version: str) -> None:
    with chain(("-attest",), VERIFY) as running:
        answer = running.ask("/path?query=1")
        assert answer.status == 200, answer
        assert (answer.measurements() or {}).keys() == set("01234")
        assert json.loads(answer.body)["target"] == "/path?query=1"
        seen = running.server.handshake()
        assert seen["version"] == f"TLS {version}"
        assert len(b64decode(seen["sni"], validate=True)) == 32


@pytest.mark.parametrize("spelling", [(), ("-utf8-name",)], ids=["printable", "utf8"])
def test_both_ways(chain: Any, spelling: tuple[str, ...]) -> None:
    with chain(("-attest", "-verify", *spelling), (*VERIFY, *ATTEST)) as running:
        body = bytes(1_000_000)
        answer = running.ask("/", body)
        assert answer.status == 200, answer
        assert json.loads(answer.body)["body_bytes"] == len(body)
        assert running.server.handshake()["measurements"] == answer.measurements()


def test_evidence_for_a_server_that_shows_none(chain: Any) -> None:
    with chain(("-verify",), ("--server-attestation-type", "none", *ATTEST)) as running:
        answer = running.ask()
        assert answer.status == 200, answer
        assert answer.measurements() is None
        assert running.server.handshake()["measurements"].keys() == set("01234")


def test_without_verification_a_nonce_is_sent_all_the_same(chain: Any) -> None:
    with chain(("-attest",), ("--server-attestation-type", "none")) as running:
        answer = running.ask()
        assert answer.status == 200, answer
        assert answer.measurements() is None
        assert len(b64decode(running.server.handshake()["sni"], validate=True)) == 32


def test_a_nonce_is_never_repeated_and_a_session_never_resumed(chain: Any) -> None:
    with chain(("-attest",), VERIFY) as running:
        assert [running.ask("/close").status for _ in range(4)] == [200] * 4
        seen = [running.server.handshake(count) for count in range(1, 5)]
    assert len({handshake["sni"] for handshake in seen}) == 4
    assert [handshake["resumed"] for handshake in seen] == [False] * 4


@pytest.mark.parametrize(("fault", "code"), FAULTS.items())
def test_bad_evidence_is_refused(chain: Any, fault: str, code: str) -> None:
    with chain(("-attest", "-fault", fault), VERIFY) as running:
        running.refuse_with_alert(code)


def test_a_leaf_of_90_kib_is_accepted(chain: Any) -> None:
    with chain(("-attest", "-leaf-size", str(90 * 1024)), VERIFY) as running:
        assert running.ask().status == 200


def test_a_leaf_of_99_kib_is_refused(chain: Any) -> None:
    with chain(("-attest", "-leaf-size", str(99 * 1024)), VERIFY) as running:
        running.refuse_with_alert("leaf-too-large")


@pytest.mark.parametrize("names", [("-ca-names", "0"), ("-ca-names", "2"), ("-ca-text", "no*base64")])
def test_a_certificate_request_without_one_nonce_is_refused(chain: Any, names: tuple[str, ...]) -> None:
    with chain(("-attest", "-verify", *names), (*VERIFY, *ATTEST)) as running:
        running.refuse_with_alert("nonce-malformed")


def test_a_server_that_refuses_our_measurements(chain: Any) -> None:
    with chain(("-attest", "-verify", "-mrtd", "00" * 48), (*VERIFY, *ATTEST)) as running:
        assert "measurements" in running.refuse("refused-by-peer")["error"]


def test_a_server_that_demands_evidence_of_a_client_without(chain: Any) -> None:
    with chain(("-attest", "-verify"), VERIFY) as running:
        assert "0 evidence extensions" in running.refuse("refused-by-peer")["error"]
