"""The examples in docs/ run as they stand."""

import subprocess
import sys
from pathlib import Path

from doubles.requirements import PROJECT_ROOT


def test_the_attested_echo_example_runs(tmp_path: Path) -> None:
    example = PROJECT_ROOT / "docs" / "examples" / "attested_echo.py"
    run = subprocess.run(
        [sys.executable, str(example), str(tmp_path / "platform")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "server appraised: simulated" in run.stdout
    assert "the server says: b'hello'" in run.stdout
