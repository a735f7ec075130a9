"""Prove that the tests would notice: break each security promise in a copy of the package, and demand a red test.

Each ``*.toml`` beside this file is one sabotage, with these keys:

``promise``   the sentence that is being broken
``file``      the module to change, as a path from the project's root
``find``      a text that occurs exactly once in it
``replace``   what to put there
``test``      the pytest node id, from the project's root, that must fail
``may_hang``  optional, ``true`` where a test that never ends is the failure to expect

The named tests are first run once all together on the package as it is, and have to pass. Then each sabotage gets its
own copy of the package, which stands first on the path of the test and of every program that the test starts. It
counts only if the test itself fails: not if the module cannot be imported, a fixture fails, or nothing is run.

``run.py [NAME …]`` runs all, or those named. Exit status 0: every promise is watched.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

from attrs import field, frozen

ROOT = Path(__file__).resolve().parents[2]
LIMIT_SECONDS = 60.0
HANG_SECONDS = 20.0
BASELINE_SECONDS = 300.0
PROCESSES = os.cpu_count() or 2
RED = "red"
SKIPPED = "skipped"


class BadSabotageError(Exception):
    """A sabotage cannot be run as it is written."""


def _text(instance: object, attribute: object, value: str) -> None:
    if not isinstance(value, str) or not value:
        raise BadSabotageError("promise, file, find and test are texts that are not empty; replace is a text")


@frozen(kw_only=True)
class Sabotage:
    """One promise and the way to break it."""

    name: str
    promise: str = field(validator=_text)
    file: str = field(validator=_text)
    find: str = field(validator=_text)
    replace: str
    test: str = field(validator=_text)
    may_hang: bool = False


@frozen
class Outcome:
    """What became of one sabotage: ``red`` is the only good verdict."""

    sabotage: str
    verdict: str
    seconds: float = 0.0
    output: str = ""


def read_sabotage(path: Path) -> Sabotage:
    """Read one file.

    :raises BadSabotageError: a key is missing, unknown, or no text.
    """
    try:
        return Sabotage(name=path.stem, **tomllib.loads(path.read_text()))
    except (TypeError, tomllib.TOMLDecodeError, BadSabotageError) as error:
        raise BadSabotageError(f"{path.name}: {error}") from error


@frozen
class TestRun:
    """The end of one run of pytest: counts, whether it was ended for taking too long, and its output."""

    __test__ = False

    failures: int
    errors: int
    skipped: int
    passed: int
    hung: bool
    output: str


def run_tests(
    root: Path, tests: Sequence[str], folder: Path, *, package_parent: Path | None, limit_seconds: float
) -> TestRun:
    """Run pytest on node ids in an empty folder, with ``package_parent`` first on the path, and count."""
    elsewhere, report = folder / "elsewhere", folder / "report.xml"
    elsewhere.mkdir()
    environment = dict(os.environ)
    if package_parent is not None:
        path = [str(package_parent), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, path))
        environment.pop("CVMPROXY_TEST_INSTALLED", None)
    command = [sys.executable, "-P", "-m", "pytest", "-q", "--tb=short", f"--junitxml={report}"]
    # Hypothesis runs without its plugin, whose import takes longer than most of these tests.
    command += ["-p", "no:hypothesispytest", "-c", str(root / "pyproject.toml"), "--rootdir", str(root)]
    command += [str(root / test) for test in tests]
    with (folder / "output").open("w+") as output:
        process = subprocess.Popen(
            command,
            cwd=elsewhere,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        hung = False
        try:
            process.wait(limit_seconds)
        except subprocess.TimeoutExpired:
            hung = True
        finally:
            _end_session(process)
        output.seek(0)
        text = output.read()
    return _count(report, hung=hung, output=text)


def _end_session(process: subprocess.Popen[bytes]) -> None:
    """End the run and all that its tests have started and left behind."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _count(report: Path, *, hung: bool, output: str) -> TestRun:
    failures = errors = skipped = passed = 0
    cases = ElementTree.parse(report).iter("testcase") if report.exists() else ()
    for case in cases:
        failure = case.find("failure")
        if case.find("error") is not None or _is_import_error(failure):
            errors += 1
        elif failure is not None:
            failures += 1
        elif case.find("skipped") is not None:
            skipped += 1
        else:
            passed += 1
    return TestRun(failures, errors, skipped, passed, hung, output)


def _is_import_error(failure: ElementTree.Element | None) -> bool:
    kinds = ("ImportError", "ModuleNotFoundError", "SyntaxError", "IndentationError")
    # A SyntaxError's own name is on the last line of its message.
    return failure is not None and any(line.startswith(kinds) for line in failure.get("message", "").splitlines())


def broken_copy(sabotage: Sabotage, package_parent: Path, target: Path) -> None:
    """Copy the package that holds the file to ``target``, and change the one place.

    :raises BadSabotageError: there is no such file, or ``find`` does not occur exactly once, or nothing would change,
        or what would come out is no Python.
    """
    package = Path(sabotage.file).parts[0]
    source = package_parent / sabotage.file
    if not source.is_file():
        raise BadSabotageError(f"there is no {sabotage.file}")
    text = source.read_text()
    if text.count(sabotage.find) != 1:
        raise BadSabotageError(f"find occurs {text.count(sabotage.find)} times in {sabotage.file}")
    changed = text.replace(sabotage.find, sabotage.replace)
    if changed == text:
        raise BadSabotageError("the replacement changes nothing")
    try:
        compile(changed, sabotage.file, "exec")
    except SyntaxError as error:
        raise BadSabotageError(f"the replacement makes no valid Python: {error}") from error
    shutil.copytree(package_parent / package, target / package, ignore=shutil.ignore_patterns("*.tmp"))
    (target / sabotage.file).write_text(changed)
    # A compiled module is taken for current by the second and size of its source: never leave the old one.
    for compiled in (target / sabotage.file).parent.glob(f"__pycache__/{source.stem}.*.pyc"):
        compiled.unlink()


def attempt(sabotage: Sabotage, root: Path, package_parent: Path) -> Outcome:
    """Break one promise and say what the named test made of it."""
    started = time.monotonic()
    with TemporaryDirectory(prefix="sabotage-") as name:
        folder = Path(name)
        try:
            broken_copy(sabotage, package_parent, folder / "package")
        except BadSabotageError as error:
            return Outcome(sabotage.name, str(error))
        limit = HANG_SECONDS if sabotage.may_hang else LIMIT_SECONDS
        run = run_tests(root, [sabotage.test], folder, package_parent=folder / "package", limit_seconds=limit)
    return Outcome(sabotage.name, verdict_of(run, sabotage), time.monotonic() - started, run.output)


def verdict_of(run: TestRun, sabotage: Sabotage) -> str:
    """Name the end of a sabotaged run; only a failure of the test itself is ``red``."""
    if run.hung:
        return RED if sabotage.may_hang else "the test did not end"
    if run.errors:
        return "the test could not be run (an error, not a failure)"
    if run.failures:
        return RED
    if run.skipped:
        return SKIPPED
    return "the test passes all the same" if run.passed else "no test was run"


def baseline(sabotages: Sequence[Sabotage], root: Path) -> TestRun:
    """Run every named test once on the package as it is."""
    tests = sorted({sabotage.test for sabotage in sabotages})
    with TemporaryDirectory(prefix="sabotage-") as name:
        return run_tests(root, tests, Path(name), package_parent=None, limit_seconds=BASELINE_SECONDS)


def table(sabotages: Sequence[Sabotage], outcomes: Sequence[Outcome]) -> str:
    """Show one line for each sabotage."""
    width = max(len(sabotage.name) for sabotage in sabotages)
    lines = [
        f"{outcome.verdict if outcome.verdict == RED else 'NOT RED':8}{outcome.seconds:6.1f} s  "
        f"{sabotage.name:{width}}  {sabotage.promise}"
        + (f"\n{'':18}{outcome.verdict}: {sabotage.test}" if outcome.verdict != RED else "")
        for sabotage, outcome in zip(sabotages, outcomes, strict=True)
    ]
    return "\n".join(lines)


def unwatched(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the outcomes that are a failure. A skip is one only where everything is required."""
    tolerated = {RED} if os.environ.get("CVMPROXY_TEST_REQUIRE_ALL") == "1" else {RED, SKIPPED}
    return [outcome for outcome in outcomes if outcome.verdict not in tolerated]


def package_home() -> Path:
    """Return the folder that the package is imported from, outside of any sabotage."""
    found = importlib.util.find_spec("cvmproxy")
    if found is None or found.origin is None:
        raise SystemExit("cvmproxy is not installed here: use make sabotage")
    return Path(found.origin).parents[1]


def main(names: Sequence[str], root: Path = ROOT, package_parent: Path | None = None) -> int:
    """Run the sabotages of ``root/tests/sabotage`` and print what became of them; return the exit status."""
    try:
        every = [read_sabotage(path) for path in sorted((root / "tests" / "sabotage").glob("*.toml"))]
    except BadSabotageError as error:
        print(error)
        return 2
    sabotages = [sabotage for sabotage in every if not names or sabotage.name in names]
    if not sabotages or not {*names} <= {sabotage.name for sabotage in every}:
        print("no such sabotage" if names else "there are no sabotages")
        return 2
    before = baseline(sabotages, root)
    if before.hung or before.failures or before.errors or not before.passed + before.skipped:
        print(before.output)
        print("the named tests do not pass on the package as it is")
        return 1
    home = package_parent or package_home()
    with ThreadPoolExecutor(PROCESSES) as pool:
        outcomes = list(pool.map(lambda sabotage: attempt(sabotage, root, home), sabotages))
    bad = unwatched(outcomes)
    for outcome in bad:
        print(f"--- {outcome.sabotage}\n{outcome.output}")
    print(table(sabotages, outcomes))
    print(f"{len(sabotages) - len(bad)} of {len(sabotages)} promises are watched")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
