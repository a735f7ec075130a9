"""TLS 1.1 is refused with an alert, in both roles."""

import json
from http.client import HTTPConnection
from pathlib import Path

from doubles.go_peer import EvidenceSource, GoServer, run_go_client
from doubles.programs import DEADLINE_SECONDS, TWISTD, Daemon, counting_target


def test_a_client_that_speaks_only_tls_1_1(evidence: EvidenceSource, tmp_path: Path) -> None:
    with counting_target() as target:
        command = [*TWISTD, "cvmproxy-server", "--listen-addr", "127.0.0.1:0"]
        command += ["--target-addr", f"http://127.0.0.1:{target.port}", "--server-attestation-type", "simulated"]
        with Daemon([*command, "--simulated-platform", str(evidence.platform)], cwd=tmp_path) as daemon:
            (seen,) = run_go_client(evidence, daemon.address()[1], "-tls", "1.1", "-verify")
            assert seen["alert"] == "tls: protocol version not supported"
            assert daemon.wait_for_event("refused")["code"] == "tls-error"


def test_a_server_that_speaks_only_tls_1_1(evidence: EvidenceSource, tmp_path: Path) -> None:
    with GoServer(evidence, "-tls", "1.1", "-attest", cwd=tmp_path) as server:
        command = [*TWISTD, "cvmproxy-client", "--listen-addr", "127.0.0.1:0"]
        command += ["--target-addr", f"https://127.0.0.1:{server.port}", "--server-attestation-type", "simulated"]
        with Daemon([*command, "--simulated-platform", str(evidence.platform)], cwd=tmp_path) as daemon:
            connection = HTTPConnection(*daemon.address(), timeout=DEADLINE_SECONDS)
            connection.request("GET", "/")
            response = connection.getresponse()
            answer = response.read()
            connection.close()
            assert response.status == 502
            refused = daemon.wait_for_event("refused")
            assert refused["code"].encode() in answer
            # Go sees that 1.1 is not on offer and says so first.
            assert refused["code"] == "refused-by-peer"
            assert not json.loads(server.out.wait_for(lambda line: '"handshake"' in line))["ok"]
