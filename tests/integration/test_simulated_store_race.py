"""Processes that make the simulated platform at the same moment: one wins, all use it."""

import subprocess
import sys

MAKER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from cryptography.hazmat.primitives.hashes import SHA256
from cvmproxy.platform.simulated_store import SimulatedStore

store = SimulatedStore(directory=Path(sys.argv[1]), now=lambda: datetime.now(UTC))
print("ready", flush=True)
sys.stdin.readline()
use = store.root if sys.argv[2] == "verify" else lambda: store.platform().pki.root.certificate
print(use().fingerprint(SHA256()).hex())
print(store.collateral().tcb_info_signature.hex())
"""


def test_one_of_many_processes_wins_and_all_use_its_platform(tmp_path):
    directory = tmp_path / "state" / "simulated"
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", MAKER, str(directory), role],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for role in ("attest", "verify") * 3
    ]
    try:
        for maker in makers:
            assert maker.stdout.readline() == "ready\n"
        for maker in makers:
            maker.stdin.write("go\n")
            maker.stdin.flush()
        outcomes = [maker.communicate(timeout=60) for maker in makers]
    finally:
        for maker in makers:
            maker.kill()
            maker.wait()
    assert [error for _, error in outcomes] == [""] * len(makers)
    assert len({output for output, _ in outcomes}) == 1
    assert not [path.name for path in directory.rglob(".*")]
