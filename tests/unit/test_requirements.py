"""A test is skipped in one way only, and not at all where everything is required."""

import ast
from pathlib import Path

import pytest
from doubles.requirements import PROJECT_ROOT, missing

TESTS = PROJECT_ROOT / "tests"
OWN_WAYS = {"skip", "skipif", "importorskip", "xfail", "skipTest", "SkipTest"}


def own_ways(source: str) -> list[str]:
    names = [node.attr if isinstance(node, ast.Attribute) else "" for node in ast.walk(ast.parse(source))]
    return [name for name in names if name in OWN_WAYS]


def test_what_is_missing_is_a_skip_or_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CVMPROXY_TEST_REQUIRE_ALL", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no such tool"):
        missing("no such tool")
    monkeypatch.setenv("CVMPROXY_TEST_REQUIRE_ALL", "1")
    with pytest.raises(pytest.fail.Exception, match="no such tool"):
        missing("no such tool")


def test_no_test_skips_in_a_way_of_its_own() -> None:
    sources = {path: path.read_text() for path in TESTS.rglob("*.py") if path != Path(__file__)}
    ways = {str(path.relative_to(TESTS)): own_ways(source) for path, source in sources.items()}
    assert {name: found for name, found in ways.items() if found} == {"doubles/requirements.py": ["skip"]}
