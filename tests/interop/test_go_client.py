"""The Go program as client of ``twistd cvmproxy-server``: every mode, every refusal, on TLS 1.2 and 1.3."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from attrs import frozen
from doubles.go_peer import EvidenceSource, run_go_client
from doubles.programs import TWISTD, CountingTarget, Daemon, counting_target

pytestmark = pytest.mark.parametrize("version", ["1.2", "1.3"])

ATTEST = ("--server-attestation-type", "simulated")
DEMAND = ("--client-attestation-type", "simulated")
MODES = {
    "regular": ("--server-attestation-type", "none"),
    "attest": ATTEST,
    "demand": ("--server-attestation-type", "none", *DEMAND),
    "mutual": (*ATTEST, *DEMAND),
}
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
class Proxy:
    """A running server of ours, the target behind it, and the Go client in front of it."""

    daemon: Daemon
    target: CountingTarget
    evidence: EvidenceSource

    def visit(self, *arguments: str) -> list[dict[str, Any]]:
        """Connect with the Go client; return what it saw of each connection."""
        return run_go_client(self.evidence, self.daemon.address()[1], *arguments)

    def refuse(self, code: str, *arguments: str) -> dict[str, Any]:
        """Connect once; demand an alert at the other end, the code in our log, and nothing dialled behind us."""
        before, dialled = len(self.daemon.events("refused")), self.target.accepted
        (seen,) = self.visit(*arguments)
        assert not seen["ok"], seen
        assert seen["alert"], seen
        refused = self.daemon.wait_for_event("refused", count=before + 1)
        assert refused["code"] == code, refused
        assert self.target.accepted == dialled
        return seen


@pytest.fixture(scope="module")
def proxies(evidence: EvidenceSource, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Proxy]]:
    with ExitStack() as stack:
        target = stack.enter_context(counting_target())
        running = {}
        for mode, options in MODES.items():
            command = [*TWISTD, "cvmproxy-server", "--listen-addr", "127.0.0.1:0", *options]
            command += ["--target-addr", f"http://127.0.0.1:{target.port}"]
            command += ["--simulated-platform", str(evidence.platform)]
            daemon = stack.enter_context(Daemon(command, cwd=tmp_path_factory.mktemp(mode)))
            running[mode] = Proxy(daemon, target, evidence)
        yield running


def forwarded_measurements(seen: dict[str, Any]) -> dict[str, str] | None:
    """Return the measurements in the request that the target saw; it answers with the request's head."""
    lines = seen["responses"][-1]["body"].split("\r\n")[1:]
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if "x-flashbots-measurement" not in fields:
        assert "x-flashbots-attestation-type" not in fields
        return None
    assert fields["x-flashbots-attestation-type"] == "simulated"
    measurements = json.loads(fields["x-flashbots-measurement"])
    assert fields["x-flashbots-measurement"] == json.dumps(measurements, sort_keys=True, separators=(",", ":"))
    return dict(measurements)


def test_regular_tls_needs_no_nonce(proxies: dict[str, Proxy], version: str) -> None:
    for sni in ("-no-sni",), ("-sni", "plain.host.example"), ():
        (seen,) = proxies["regular"].visit("-tls", version, *sni)
        assert seen["ok"], seen
        assert forwarded_measurements(seen) is None


def test_evidence_for_the_nonce_of_the_client(proxies: dict[str, Proxy], version: str) -> None:
    (seen,) = proxies["attest"].visit("-tls", version, "-verify")
    assert seen["ok"], seen
    assert seen["version"] == f"TLS {version}"
    assert not seen["certificate_requested"]
    assert seen["measurements"].keys() == set("01234")
    assert forwarded_measurements(seen) is None


def test_the_evidence_of_the_client_reaches_the_target(proxies: dict[str, Proxy], version: str) -> None:
    (seen,) = proxies["demand"].visit("-tls", version, "-attest")
    assert seen["ok"], seen
    assert seen["certificate_requested"]
    assert (forwarded_measurements(seen) or {}).keys() == set("01234")


def test_both_ways(proxies: dict[str, Proxy], version: str) -> None:
    (seen,) = proxies["mutual"].visit("-tls", version, "-attest", "-verify", "-requests", "3", "-body", "100")
    assert seen["ok"], seen
    assert [response["status"] for response in seen["responses"]] == [200, 200, 200]
    assert forwarded_measurements(seen) == seen["measurements"]


@pytest.mark.parametrize(("fault", "code"), FAULTS.items())
def test_bad_evidence_is_refused(proxies: dict[str, Proxy], version: str, fault: str, code: str) -> None:
    proxies["mutual"].refuse(code, "-tls", version, "-attest", "-verify", "-fault", fault)


def test_a_client_with_nothing_to_show_is_refused(proxies: dict[str, Proxy], version: str) -> None:
    proxies["demand"].refuse("no-evidence", "-tls", version)


def test_evidence_of_a_type_that_was_not_named_is_none(proxies: dict[str, Proxy], version: str) -> None:
    proxies["demand"].refuse("no-evidence", "-tls", version, "-attest", "-oid", "1.3.9900.5.99")


def test_a_leaf_of_90_kib_is_accepted(proxies: dict[str, Proxy], version: str) -> None:
    (seen,) = proxies["mutual"].visit("-tls", version, "-attest", "-verify", "-leaf-size", str(90 * 1024))
    assert seen["ok"], seen


def test_a_leaf_of_99_kib_is_refused(proxies: dict[str, Proxy], version: str) -> None:
    proxies["mutual"].refuse("leaf-too-large", "-tls", version, "-attest", "-verify", "-leaf-size", str(99 * 1024))


@pytest.mark.parametrize("sni", ["no*base64", "plain.host.example", "AAAA-AA_", "QUJD=", "QUI"])
def test_an_sni_that_is_no_base64_is_refused(proxies: dict[str, Proxy], version: str, sni: str) -> None:
    proxies["attest"].refuse("nonce-malformed", "-tls", version, "-verify", "-sni", sni)


def test_no_sni_is_the_empty_nonce(proxies: dict[str, Proxy], version: str) -> None:
    (seen,) = proxies["attest"].visit("-tls", version, "-verify", "-no-sni")
    assert seen["ok"], seen


def test_a_repeated_nonce_is_accepted(proxies: dict[str, Proxy], version: str) -> None:
    seen = proxies["attest"].visit("-tls", version, "-verify", "-same-nonce", "-connections", "2")
    assert [connection["ok"] for connection in seen] == [True, True], seen


@pytest.mark.parametrize("mode", ["attest", "mutual"])
def test_a_session_is_never_resumed(proxies: dict[str, Proxy], version: str, mode: str) -> None:
    arguments = ("-verify", "-attest", "-resume", "-same-nonce", "-connections", "3", "-requests", "2")
    seen = proxies[mode].visit("-tls", version, *arguments)
    # OpenSSL sends tickets on TLS 1.3 whatever it is told; on 1.2 there is nothing that could be offered.
    assert [connection["offered_session"] for connection in seen] == [False] + [version == "1.3"] * 2
    for connection in seen:
        assert connection["ok"], connection
        assert not connection["resumed"]
        assert connection["measurements"]
        assert connection["certificate_requested"] == (mode == "mutual")


def test_the_nonce_of_the_server_is_never_repeated(proxies: dict[str, Proxy], version: str) -> None:
    seen = proxies["mutual"].visit("-tls", version, "-attest", "-same-nonce", "-connections", "4")
    assert len({connection["server_nonce"] for connection in seen}) == 4


@pytest.mark.parametrize("name", ["X-Flashbots-Measurement", "x_flashbots_attestation_type"])
def test_a_forged_header_goes_no_further(proxies: dict[str, Proxy], version: str, name: str) -> None:
    dialled = proxies["mutual"].target.accepted
    (seen,) = proxies["mutual"].visit("-tls", version, "-attest", "-header", name)
    assert [response["status"] for response in seen["responses"]] == [403], seen
    assert proxies["mutual"].target.accepted == dialled
