"""What a test needs from the machine: skipped with its reason where missing, failed where everything is required."""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

PROJECT_ROOT = Path(__file__).resolve().parents[2]


def missing(reason: str) -> NoReturn:
    """Skip the calling test, or fail it under CVMPROXY_TEST_REQUIRE_ALL=1."""
    if os.environ.get("CVMPROXY_TEST_REQUIRE_ALL") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def require_program(name: str) -> str:
    """Return the path of a program, or skip."""
    # Debian keeps daemons in sbin, which is not on an ordinary user's path.
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin:/usr/local/go/bin")
    return path or missing(f"{name} is not installed")


def require_vectors() -> Path:
    """Return the folder of real quotes and collateral, or skip."""
    folder = Path(os.environ.get("CVMPROXY_TEST_VECTORS") or PROJECT_ROOT.parent / "shared" / "vectors")
    if not (folder / "MANIFEST.json").is_file():
        missing(f"no test vectors in {folder.name}: set CVMPROXY_TEST_VECTORS")
    return folder
