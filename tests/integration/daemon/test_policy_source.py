"""Measurements while the program runs: what a reload changes, what it never changes, and how the start gets them."""

import json
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor

from cvmproxy.attestation.model import Nonce
from cvmproxy.attestation.policy import AttestationResult
from cvmproxy.carriage.certificate import make_leaf_key
from cvmproxy.carriage.issuer import EvidenceIssuer
from cvmproxy.daemon.config import ExpectsEvidence
from cvmproxy.daemon.configuration import expected_measurements
from cvmproxy.daemon.measurements_source import measurements_location
from cvmproxy.daemon.policy_source import ReloadableAppraiser, measurements_at_start
from cvmproxy.errors import AppraisalError, ConfigurationError
from cvmproxy.events import Event, Notice, Warned
from cvmproxy.schemes import SCHEMES
from cvmproxy.schemes.scheme import SchemeSettings
from cvmproxy.schemes.simulated import SIMULATED

NONCE = Nonce(bytes(32))
ANY = json.dumps([{"measurement_id": "any", "attestation_type": "simulated", "measurements": {}}])
OTHER = json.dumps(
    [{"measurement_id": "other", "attestation_type": "simulated", "measurements": {"0": {"expected": "00" * 48}}}]
)


def now() -> datetime:
    return datetime.now(UTC)


class Stage:
    """An appraiser whose file can be changed, and an issuer of evidence for it."""

    def __init__(self, folder: Path, content: str) -> None:
        self.file = folder / "measurements.json"
        self.file.write_text(content)
        self.events: list[Event] = []
        settings = SchemeSettings(reactor=reactor, now=now, simulated_platform=folder / "platform")
        assert SIMULATED.present is not None
        self.issuer = EvidenceIssuer(
            attester=SIMULATED.present(settings),
            evidence_oid=SIMULATED.oid,
            leaf_key=make_leaf_key(),
            now=now,
            random=os.urandom,
        )
        location = measurements_location(str(self.file))
        expects = ExpectsEvidence(named=SIMULATED, measurements=location, asked_by="--x")
        measurements = expected_measurements(expects, measurements_at_start(location), SCHEMES)
        self.appraiser = ReloadableAppraiser(expects, SCHEMES, settings, measurements)

    async def leaf(self) -> bytes:
        return (await self.issuer.issue(NONCE)).certificate_der

    async def appraise(self) -> AttestationResult:
        presented = self.appraiser.read(await self.leaf(), NONCE)
        return self.appraiser.appraise(presented, await self.appraiser.endorse(presented))

    async def reload(self, content: str) -> Event:
        self.file.write_text(content)
        await self.appraiser.reload(reactor, self.events.append)
        return self.events[-1]


@pytest_twisted.ensureDeferred
async def test_a_new_file_replaces_the_old_one(tmp_path: Path) -> None:
    stage = Stage(tmp_path, ANY)
    assert (await stage.appraise()).measurement_id == "any"
    event = await stage.reload(OTHER)
    assert isinstance(event, Notice)
    assert str(stage.file) in event.message
    with pytest.raises(AppraisalError) as refused:
        await stage.appraise()
    assert refused.value.code == "measurements-mismatch"


@pytest.mark.parametrize("broken", ["", "{", "[]", "{}", '[{"attestation_type": "unknown"}]', '{"id": {"0": "zz"}}'])
@pytest_twisted.ensureDeferred
async def test_a_broken_file_keeps_the_old_one(tmp_path: Path, broken: str) -> None:
    stage = Stage(tmp_path, OTHER)
    event = await stage.reload(broken)
    assert isinstance(event, Warned)
    assert event.code == "bad-measurements-file"
    assert stage.appraiser.failed_reloads == 1
    with pytest.raises(AppraisalError):
        await stage.appraise()


@pytest_twisted.ensureDeferred
async def test_a_connection_keeps_the_snapshot_that_it_began_with(tmp_path: Path) -> None:
    stage = Stage(tmp_path, ANY)
    presented = stage.appraiser.read(await stage.leaf(), NONCE)
    await stage.reload(OTHER)
    result = stage.appraiser.appraise(presented, await stage.appraiser.endorse(presented))
    assert result.measurement_id == "any"


@pytest_twisted.ensureDeferred
async def test_what_a_new_file_leaves_open_is_said_again(tmp_path: Path) -> None:
    stage = Stage(tmp_path, OTHER)
    await stage.reload(ANY)
    assert any(isinstance(event, Warned) and "ANY MEASUREMENTS" in event.message for event in stage.events)


@pytest.fixture
def web() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/measurements.json"
            body = ANY.encode() if found else b""
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_the_start_fetches_a_url_before_the_reactor_runs(web: str) -> None:
    assert measurements_at_start(measurements_location(f"{web}/measurements.json")) == ANY.encode()
    with pytest.raises(ConfigurationError) as refused:
        measurements_at_start(measurements_location(f"{web}/absent"))
    assert refused.value.code == "bad-measurements-file"
