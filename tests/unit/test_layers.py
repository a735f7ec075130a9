"""What a module may import and hold: the layers, the pure core, no global reactor, no module-level state."""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from doubles.requirements import PROJECT_ROOT

PACKAGE = PROJECT_ROOT / "cvmproxy"
MODULES = sorted(PACKAGE.rglob("*.py"))

# A unit is the first name below cvmproxy. It imports only itself and units of a lower number.
LAYERS = {
    "errors": 0,
    "reasons": 0,
    "attestation": 1,
    "events": 2,
    "platform": 3,
    "collateral": 3,
    "schemes": 4,
    "carriage": 5,
    "tls": 6,
    "connection": 6,
    "http": 7,
    "tcp": 7,
    "daemon": 8,
    "tools": 9,
    "plugins": 10,
}
# Of a lower unit, only these modules are for the unit named first.
NARROWED = {("http", "tls"): {"cvmproxy.tls.interfaces"}, ("tcp", "tls"): {"cvmproxy.tls.interfaces"}}
# The core may not reach for the world: no files, sockets, clocks, threads, randomness or logs.
IMPURE = {
    "asyncio", "concurrent", "http", "io", "logging", "multiprocessing", "os", "pathlib", "random", "secrets", "select",
    "selectors", "shutil", "signal", "socket", "ssl", "subprocess", "tempfile", "threading", "time", "urllib",
}  # fmt: skip
PURE_THIRD_PARTIES = {"attrs", "attr", "cryptography"}
# The programs' entry points, where the one real reactor is taken and handed on.
REACTOR_ALLOWED = {"cvmproxy/daemon/client.py", "cvmproxy/daemon/server.py", "cvmproxy/tools/main.py"}
MUTABLE_MAKERS = {
    "list", "dict", "set", "bytearray", "defaultdict", "deque", "Counter", "OrderedDict", "ChainMap", "count",
    "WeakKeyDictionary", "WeakValueDictionary", "WeakSet", "Lock", "RLock", "Event", "Queue", "ContextVar", "local",
}  # fmt: skip
PRIVATE_BINDINGS = ("OpenSSL._util", "cryptography.hazmat.bindings")


def name_of(module: Path) -> str:
    parts = module.relative_to(PROJECT_ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def unit_of(name: str) -> str | None:
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else None


@cache
def tree_of(module: Path) -> ast.Module:
    return ast.parse(module.read_text(), str(module))


def imports_of(tree: ast.AST) -> Iterator[str]:
    """Every imported name in full, wherever in the module the import stands: ``from a import b`` gives ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_below(name: str, modules: set[str]) -> bool:
    return any(name == module or name.startswith(module + ".") for module in modules)


def layer_faults(importer: str, imported: str) -> str | None:
    """Say why a module may not import a name of the package, or None."""
    above, below = unit_of(importer), unit_of(imported)
    if not imported.startswith("cvmproxy") or below is None or above == below or imported == "cvmproxy.__version__":
        return None
    if above is None or above not in LAYERS or below not in LAYERS:
        return "the unit has no layer"
    if LAYERS[below] >= LAYERS[above] or (LAYERS[above], LAYERS[below]) == (0, 0):
        return f"{below} is not below {above}"
    allowed = NARROWED.get((above, below))
    return None if allowed is None or is_below(imported, allowed) else f"{above} may import {allowed} only"


def core_faults(tree: ast.AST) -> list[str]:
    """Say what in a module is not pure: what it imports, and whether it asks the clock."""
    found = []
    for name in imports_of(tree):
        top = name.split(".")[0]
        if top == "cvmproxy" or top in PURE_THIRD_PARTIES:
            continue
        if top not in sys.stdlib_module_names or top in IMPURE:
            found.append(name)
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    clocks = {"now", "utcnow", "today"}
    names = [node.attr for node in calls if isinstance(node, ast.Attribute)]
    return found + [f".{name}()" for name in names if name in clocks] + (["open()"] if calls_open(tree) else [])


def calls_open(tree: ast.AST) -> bool:
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return any(isinstance(call, ast.Name) and call.id == "open" for call in calls)


def module_state(tree: ast.Module) -> list[str]:
    """Name what a module binds that can change: mutable displays and makers, caches, globals."""
    found = [f"global {', '.join(node.names)}" for node in ast.walk(tree) if isinstance(node, ast.Global)]
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = " ".join(map(ast.unparse, targets))
            read_only = isinstance(node, ast.AnnAssign) and "Mapping" in ast.unparse(node.annotation)
            read_only = read_only and "MutableMapping" not in ast.unparse(node)
            if node.value is not None and is_mutable(node.value) and not read_only and names != "__all__":
                found.append(names)
    return found


def is_mutable(value: ast.expr) -> bool:
    if isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp):
        return True
    if isinstance(value, ast.Call):
        made = value.func.attr if isinstance(value.func, ast.Attribute) else ast.unparse(value.func)
        return made in MUTABLE_MAKERS
    return False


def private_uses(tree: ast.AST) -> list[str]:
    """Name what a module takes of the private parts of pyOpenSSL and cryptography."""
    found = [name for name in imports_of(tree) if name.startswith(PRIVATE_BINDINGS)]
    foreign = {"_lib", "_ffi", "_ssl", "_util", "_x509", "_pkey"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in foreign and ast.unparse(node.value) not in ("self", "cls"):
            found.append(ast.unparse(node))
    return found


def per_module(*below: str) -> pytest.MarkDecorator:
    chosen = [module for module in MODULES if not below or unit_of(name_of(module)) in below]
    return pytest.mark.parametrize("module", chosen, ids=name_of)


@per_module()
def test_a_module_imports_only_lower_layers(module: Path) -> None:
    name = name_of(module)
    faults = {imported: layer_faults(name, imported) for imported in imports_of(tree_of(module))}
    assert {imported: fault for imported, fault in faults.items() if fault} == {}


@per_module("attestation", "errors", "reasons")
def test_the_core_is_pure(module: Path) -> None:
    assert core_faults(tree_of(module)) == []


@per_module()
def test_the_reactor_is_an_argument(module: Path) -> None:
    imported = {name for name in imports_of(tree_of(module)) if is_below(name, {"twisted.internet.reactor"})}
    assert not imported or str(module.relative_to(PROJECT_ROOT)) in REACTOR_ALLOWED


@per_module()
def test_a_module_holds_no_state(module: Path) -> None:
    assert module_state(tree_of(module)) == []


@per_module()
def test_private_bindings_are_left_alone(module: Path) -> None:
    assert private_uses(tree_of(module)) == []


@per_module()
def test_a_module_is_small_and_says_what_it_holds(module: Path) -> None:
    tree = tree_of(module)
    assert ast.get_docstring(tree)
    lines = len(module.read_text().splitlines())
    assert lines <= 400
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    sizes = {node.name: (node.end_lineno or 0) - node.lineno for node in functions}
    assert {name: size for name, size in sizes.items() if size > 50} == {}


def test_only_schemes_know_attestation_types_by_name() -> None:
    """``if type == …`` anywhere else would make a new scheme more than one file and one line."""
    known = re.compile(r"^(azure-|dcap-|qemu-)(tdx|sev-snp)$|^simulated$")
    found = []
    for module in MODULES:
        if unit_of(name_of(module)) == "schemes":
            continue
        for node in ast.walk(tree_of(module)):
            if isinstance(node, ast.Compare | ast.MatchValue):
                constants = [
                    n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)
                ]
                found += [f"{name_of(module)}:{node.lineno} {text}" for text in constants if known.match(text)]
    assert found == []


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("cvmproxy.errors", "cvmproxy.reasons.REASONS"),
        ("cvmproxy.attestation.model", "cvmproxy.events.Event"),
        ("cvmproxy.platform.x", "cvmproxy.collateral.y"),
        ("cvmproxy.http.server", "cvmproxy.daemon.config"),
        ("cvmproxy.http.server", "cvmproxy.tls.engine"),
        ("cvmproxy.novelty", "cvmproxy.errors"),
        ("cvmproxy", "cvmproxy.errors"),
    ],
)
def test_the_layer_rule_refuses(importer: str, imported: str) -> None:
    assert layer_faults(importer, imported)


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (core_faults, "from os import path"),
        (core_faults, "import twisted"),
        (core_faults, "def f():\n    import socket"),
        (core_faults, "datetime.now(UTC)"),
        (core_faults, "open('x')"),
        (module_state, "cache = {}"),
        (module_state, "seen: set[int] = set()"),
        (module_state, "from collections import deque\nqueue: Final = deque()"),
        (module_state, "def f():\n    global x"),
        (private_uses, "from OpenSSL import _util"),
        (private_uses, "import cryptography.hazmat.bindings._rust"),
        (private_uses, "connection._ssl"),
    ],
)
def test_the_other_rules_refuse(rule: Callable[[ast.Module], list[str]], source: str) -> None:
    assert rule(ast.parse(source))
