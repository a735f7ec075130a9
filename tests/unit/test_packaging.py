"""What is installed is all of what is in the tree, the twistd plugins among it."""

import os
from pathlib import Path

from doubles.requirements import PROJECT_ROOT

import cvmproxy
import twisted.plugins

INSTALLED = Path(cvmproxy.__file__).parent


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_the_installed_package_is_complete_and_current() -> None:
    assert contents(INSTALLED) == contents(PROJECT_ROOT / "cvmproxy")


def test_the_plugins_are_installed() -> None:
    ours = PROJECT_ROOT / "twisted" / "plugins" / "cvmproxy_plugins.py"
    found = [Path(folder) / ours.name for folder in twisted.plugins.__path__ if (Path(folder) / ours.name).is_file()]
    assert found
    assert found[0].read_bytes() == ours.read_bytes()


def test_the_source_tree_is_not_what_make_test_tests() -> None:
    """Tests of the wheel say nothing if the tree is first on the path; an edit-and-test run may well have it there."""
    assert os.environ.get("CVMPROXY_TEST_INSTALLED") != "1" or not INSTALLED.is_relative_to(PROJECT_ROOT / "cvmproxy")
