"""The Go program against itself: its faults are faults to it too, so that a refusal by cvmproxy means something."""

from pathlib import Path

import pytest
from doubles.go_peer import EvidenceSource, GoServer, run_go_client

VERSIONS = ("1.2", "1.3")


@pytest.mark.parametrize("version", VERSIONS)
def test_it_attests_and_verifies_both_ways(evidence: EvidenceSource, tmp_path: Path, version: str) -> None:
    with GoServer(evidence, "-attest", "-verify", "-tls", version, cwd=tmp_path) as server:
        (seen,) = run_go_client(evidence, server.port, "-attest", "-verify", "-tls", version)
        assert seen["ok"], seen
        assert seen["version"] == f"TLS {version}"
        assert server.handshake()["measurements"] == seen["measurements"]
        assert seen["measurements"].keys() == set("01234")


@pytest.mark.parametrize(
    "fault", ["wrong-nonce", "other-key", "no-evidence", "two-extensions", "not-self-signed", "expired", "malformed"]
)
def test_it_refuses_what_it_breaks(evidence: EvidenceSource, tmp_path: Path, fault: str) -> None:
    with GoServer(evidence, "-attest", "-fault", fault, cwd=tmp_path) as server:
        (seen,) = run_go_client(evidence, server.port, "-verify")
        assert not seen["ok"]
        assert server.handshake()["alert"]


def test_it_resumes_where_the_server_lets_it(evidence: EvidenceSource, tmp_path: Path) -> None:
    """The replay that cvmproxy has to withstand works: a Go server has the hole, and its evidence is not seen again."""
    with GoServer(evidence, "-attest", cwd=tmp_path) as server:
        first, second = run_go_client(evidence, server.port, "-verify", "-resume", "-same-nonce", "-connections", "2")
    assert not first["resumed"]
    assert second["offered_session"]
    assert second["resumed"]
    assert "measurements" not in second
