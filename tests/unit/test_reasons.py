"""The table of reason codes: the package uses its codes and no other, and the docs page shows the same."""

import ast
import csv
import re
from pathlib import Path

import pytest
from doubles.requirements import PROJECT_ROOT

from cvmproxy import errors
from cvmproxy.reasons import REASONS, Reason

PACKAGE = PROJECT_ROOT / "cvmproxy"
PAGE = PROJECT_ROOT / "docs" / "reason-codes.rst"
TREES = {path: ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py")) if path.name != "reasons.py"}
ERROR_NAMES = {
    name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, errors.CvmproxyError)
}


def called_name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)


def code_arguments(tree: ast.AST) -> list[tuple[int, str]]:
    """Every literal that stands where a code does: an error's first argument, and each argument named ``code``."""
    found = []
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        arguments = [keyword.value for keyword in call.keywords if keyword.arg == "code"]
        if called_name(call) in ERROR_NAMES:
            arguments += call.args[:1]
        for argument in arguments:
            literals = (node for node in ast.walk(argument) if isinstance(node, ast.Constant))
            found += [(call.lineno, node.value) for node in literals if isinstance(node.value, str) and node.value]
    return found


def texts(tree: ast.AST) -> set[str]:
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


@pytest.mark.parametrize("path", TREES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_code_that_is_used_is_in_the_table(path: Path) -> None:
    unknown = [(line, code) for line, code in code_arguments(TREES[path]) if code not in REASONS]
    assert unknown == []


def test_the_search_sees_a_code_that_is_not_in_the_table() -> None:
    tree = ast.parse("raise EvidenceError('no-such-code', 'text')\nNotice(code='nor-this')")
    assert [code for _, code in code_arguments(tree)] == ["no-such-code", "nor-this"]


def test_every_row_is_used() -> None:
    used = set().union(*map(texts, TREES.values()))
    assert sorted(set(REASONS) - used) == []


@pytest.mark.parametrize("row", REASONS.values(), ids=lambda row: row.code)
def test_a_row_is_well_formed(row: Reason) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", row.code)
    assert row.http_status is None or 400 <= row.http_status <= 599


def test_the_page_shows_the_table() -> None:
    rest = PAGE.read_text().partition(".. csv-table::")[2]
    assert rest, "the page has a csv-table"
    lines = [line.strip() for line in rest.splitlines()[1:] if line.startswith("   ")]
    rows = list(csv.reader(line for line in lines if not line.startswith(":")))
    shown = {tuple(row) for row in rows}
    table = {(f"``{row.code}``", row.meaning, row.actor.value, str(row.http_status or "–")) for row in REASONS.values()}
    assert shown == table
    assert len(rows) == len(table)
