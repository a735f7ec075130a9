"""The runner of the sabotages: what it takes for a promise that is watched, and what not."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from doubles.requirements import PROJECT_ROOT

VICTIM = "def is_open(door):\n    return door == 'open'\n"
TESTS = """
import pytest

def test_watches():
    from victim.door import is_open
    assert not is_open("shut")

def test_sees_nothing():
    assert True is not None

def test_in_another_program():
    import subprocess, sys
    program = "from victim.door import is_open; raise SystemExit(is_open('shut'))"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0

def test_skips_when_broken():
    from victim.door import is_open
    if is_open("shut"):
        pytest.skip("no door here")

@pytest.fixture
def door():
    from victim.door import is_open
    assert not is_open("shut")

def test_with_a_fixture(door):
    pass
"""
HANG = "find = 'return door'\nreplace = 'all(not i for i in iter(int, 1)); return door'\n"
BREAK = "find = \"door == 'open'\"\nreplace = 'True'\n"


@pytest.fixture(scope="module")
def runner() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sabotage_runner", PROJECT_ROOT / "tests" / "sabotage" / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    for folder in ("victim", "tests/sabotage"):
        (root / folder).mkdir(parents=True)
    (root / "pyproject.toml").write_text("[tool.pytest.ini_options]\naddopts = ['-p', 'no:cacheprovider']\n")
    (root / "victim" / "__init__.py").touch()
    (root / "victim" / "door.py").write_text(VICTIM)
    (root / "tests" / "test_victim.py").write_text(TESTS)
    monkeypatch.setenv("PYTHONPATH", str(root))
    monkeypatch.delenv("CVMPROXY_TEST_REQUIRE_ALL", raising=False)
    return root


def add(project: Path, name: str, test: str, change: str = BREAK, extra: str = "") -> None:
    text = f"promise = 'a shut door is not open'\nfile = 'victim/door.py'\n{change}"
    text += f"test = 'tests/test_victim.py::{test}'\n{extra}"
    (project / "tests" / "sabotage" / f"{name}.toml").write_text(text)


def test_a_test_that_fails_is_red_also_in_a_program_that_it_starts(
    runner: ModuleType, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(project, "here", "test_watches")
    add(project, "there", "test_in_another_program")
    status = runner.main([], project, project)
    output = capsys.readouterr().out
    assert (status, output.count("NOT RED")) == (0, 0), output
    assert "2 of 2 promises are watched" in output
    assert (project / "victim" / "door.py").read_text() == VICTIM


def test_every_other_end_is_reported(
    runner: ModuleType, project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CVMPROXY_TEST_REQUIRE_ALL", "1")
    add(project, "unseen", "test_sees_nothing")
    add(project, "absent", "test_watches", "find = 'window'\nreplace = 'True'\n")
    add(project, "twice", "test_watches", "find = 'open'\nreplace = 'shut'\n")
    add(project, "unchanged", "test_watches", "find = 'return'\nreplace = 'return'\n")
    add(project, "no-python", "test_watches", "find = 'return door'\nreplace = 'return return'\n")
    add(project, "unimportable", "test_watches", "find = 'return door'\nreplace = 'import nowhere; return door'\n")
    add(project, "skipping", "test_skips_when_broken")
    add(project, "fixture", "test_with_a_fixture")
    status = runner.main([], project, project)
    output = capsys.readouterr().out
    assert (status, output.count("NOT RED")) == (1, 8), output
    for verdict in (
        "the test passes all the same",
        "find occurs 0 times",
        "find occurs 2 times",
        "the replacement changes nothing",
        "the replacement makes no valid Python",
        "skipped:",
    ):
        assert output.count(f"                  {verdict}") == 1, verdict
    assert output.count("the test could not be run") == 2


def test_a_named_test_that_fails_already_proves_nothing(
    runner: ModuleType, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "victim" / "door.py").write_text("def is_open(door):\n    return door == 'open' or True\n")
    add(project, "always", "test_watches")
    assert runner.main([], project, project) == 1
    assert "do not pass on the package as it is" in capsys.readouterr().out


@pytest.mark.parametrize("extra", ["unknown = 1\n", "promise = ''\n", "???"])
def test_a_file_that_is_not_as_described_ends_the_run(
    runner: ModuleType, project: Path, capsys: pytest.CaptureFixture[str], extra: str
) -> None:
    add(project, "odd", "test_watches", extra=extra)
    assert runner.main([], project, project) == 2
    assert "odd.toml" in capsys.readouterr().out


def test_a_hang_is_red_only_where_it_was_expected(
    runner: ModuleType, project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "LIMIT_SECONDS", 3.0)
    monkeypatch.setattr(runner, "HANG_SECONDS", 3.0)
    add(project, "expected", "test_watches", HANG, "may_hang = true\n")
    add(project, "hanging", "test_watches", HANG)
    assert runner.main([], project, project) == 1
    output = capsys.readouterr().out
    assert "1 of 2 promises are watched" in output
    assert "the test did not end: tests/test_victim.py::test_watches" in output
