"""A new attestation type is one file and one line: nothing outside ``schemes`` decides by a type's name or OID."""

import ast
from pathlib import Path

import pytest

import cvmproxy
from cvmproxy.schemes import SCHEMES

PACKAGE = Path(cvmproxy.__file__).parent
OUTSIDE = sorted(path for path in PACKAGE.rglob("*.py") if (PACKAGE / "schemes") not in path.parents)
WORDS = {
    word
    for scheme in SCHEMES
    for word in (scheme.name, *scheme.aliases, scheme.oid, scheme.header_label, scheme.remote_name)
    if word
}


def decisions(tree: ast.Module) -> list[tuple[int, str]]:
    """Lines where a word is compared, matched, looked up by, or asked for with a method of str."""
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Compare() | ast.MatchValue():
                deciding = [node]
            case ast.Dict():
                deciding = [key for key in node.keys if key is not None]
            case ast.Set():
                deciding = node.elts
            case ast.Call(func=ast.Attribute(attr="startswith" | "endswith" | "count" | "find" | "index")):
                deciding = node.args
            case _:
                continue
        constants = [part.value for top in deciding for part in ast.walk(top) if isinstance(part, ast.Constant)]
        found += [(node.lineno, word) for word in constants if word in WORDS]
    return found


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_decision_by_a_types_name(path):
    assert decisions(ast.parse(path.read_text())) == []


@pytest.mark.parametrize(
    "source",
    [
        "if kind == 'simulated': pass",
        "kind != 'azure-tdx'",
        "kind in ('dcap-tdx', 'x')",
        "kind in {'qemu-tdx'}",
        "{'dummy': 1}[kind]",
        "oid == '1.3.9900.1.1'",
        "kind.startswith('azure-tdx')",
        "match kind:\n    case 'simulated': pass",
    ],
)
def test_the_rule_finds_every_form(source):
    assert decisions(ast.parse(source))
