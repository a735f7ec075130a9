"""What refused evidence looks like from outside: a 502 with the code, a log that says why, and nothing dialled."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from doubles.chain import DEMAND, MUTUAL, PRESENT, running_chain
from doubles.operator_certificates import operator_files
from doubles.programs import CountingTarget, counting_target

WRONG = [
    {
        "measurement_id": "another-image",
        "attestation_type": "simulated",
        "measurements": {"mrtd": {"expected": "00" * 48}},
    }
]


@pytest.fixture
def target() -> Iterator[CountingTarget]:
    with counting_target() as counting:
        yield counting


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(WRONG))
    return path


def test_a_server_with_wrong_measurements_is_refused(tmp_path: Path, target: CountingTarget, wrong: Path) -> None:
    with running_chain(
        tmp_path,
        f"http://127.0.0.1:{target.port}",
        server=PRESENT,
        client=[*PRESENT, f"--server-measurements={wrong}"],
    ) as chain:
        answer = chain.get()
        assert answer.refusal == (502, "measurements-mismatch")
        refusal = chain.client.wait_for_event("refused")
        assert refusal["code"] == "measurements-mismatch"
        assert "another-image" in refusal["message"]
        assert chain.server.wait_for_event("refused")["code"] == "refused-by-peer"
        # What the log offers is a file that accepts this very server.
        wrong.write_text(json.dumps([json.loads(refusal["paste"])]))
        chain.client.reload()
        assert chain.get().status == 200
        assert target.accepted == 1


def test_a_client_with_wrong_measurements_is_refused(tmp_path: Path, target: CountingTarget, wrong: Path) -> None:
    with running_chain(
        tmp_path,
        f"http://127.0.0.1:{target.port}",
        server=[*MUTUAL, f"--client-measurements={wrong}"],
        client=MUTUAL,
    ) as chain:
        answer = chain.get()
        assert answer.refusal == (502, "refused-by-peer")
        assert chain.server.wait_for_event("refused")["code"] == "measurements-mismatch"
        # On TLS 1.3 the client learns of it only after its own side's appraisal: the request has the code.
        assert chain.client.wait_for_event("request")["code"] == "refused-by-peer"
        assert target.accepted == 0


def test_a_client_without_evidence_is_refused(tmp_path: Path, target: CountingTarget) -> None:
    with running_chain(
        tmp_path, f"http://127.0.0.1:{target.port}", server=[*PRESENT, *DEMAND], client=PRESENT
    ) as chain:
        assert chain.get().refusal == (502, "refused-by-peer")
        assert chain.server.wait_for_event("refused")["code"] == "no-evidence"
        assert target.accepted == 0


def test_a_server_without_evidence_is_refused(tmp_path: Path, target: CountingTarget) -> None:
    with running_chain(
        tmp_path, f"http://127.0.0.1:{target.port}", server=["--server-attestation-type=none"], client=PRESENT
    ) as chain:
        assert chain.get().refusal == (502, "no-evidence")
        assert chain.client.wait_for_event("refused")["code"] == "no-evidence"
        assert target.accepted == 0


def test_verify_tls_refuses_a_certificate_of_another_authority(tmp_path: Path, target: CountingTarget) -> None:
    (tmp_path / "other").mkdir()
    files, other = operator_files(tmp_path, "localhost"), operator_files(tmp_path / "other", "localhost")
    with running_chain(
        tmp_path,
        f"http://127.0.0.1:{target.port}",
        server=[
            "--server-attestation-type=none",
            f"--tls-certificate-path={files.certificate}",
            f"--tls-private-key-path={files.key}",
        ],
        client=["--verify-tls", f"--tls-ca-certificate={other.authority}"],
        host="localhost",
    ) as chain:
        assert chain.get().refusal == (502, "pki-refused")
        assert target.accepted == 0


def test_a_forged_header_is_refused_at_the_first_proxy(tmp_path: Path, target: CountingTarget) -> None:
    with running_chain(tmp_path, f"http://127.0.0.1:{target.port}", server=PRESENT, client=PRESENT) as chain:
        answer = chain.get("/", X_Flashbots_Measurement="{}")
        assert answer.refusal == (403, "request-forged-header")
        entry = chain.client.wait_for_event("request")
        assert (entry["status"], entry["code"]) == (403, "request-forged-header")
        assert target.accepted == 0
