"""The image runs the installed command as an ordinary user, and is made of what the wheel is made of."""

import configparser
import re

from doubles.requirements import PROJECT_ROOT

FOLDER = PROJECT_ROOT / "docker"
INSTRUCTIONS = re.findall(r"^([A-Z]+) (.+)$", (FOLDER / "Dockerfile").read_text(), re.MULTILINE)


def instructions(name: str) -> list[str]:
    return [rest for instruction, rest in INSTRUCTIONS if instruction == name]


def test_it_does_not_run_as_root() -> None:
    (user,) = instructions("USER")
    assert user not in ("root", "0")
    assert any(re.search(rf"useradd .*--uid [1-9]\d* .*{user}$", run) for run in instructions("RUN"))
    names = [instruction for instruction, _ in INSTRUCTIONS]
    assert "RUN" not in names[names.index("USER") :]


def test_it_runs_the_command_that_is_installed() -> None:
    setup = configparser.ConfigParser()
    setup.read(PROJECT_ROOT / "setup.cfg")
    assert setup["options.entry_points"]["console_scripts"].split()[0] == "cvmproxy"
    assert instructions("ENTRYPOINT") == ['["cvmproxy"]']


def test_what_the_build_is_given_exists_and_has_the_packages() -> None:
    given = re.findall(r"^!(.+)$", (FOLDER / "Dockerfile.dockerignore").read_text(), re.MULTILINE)
    assert {"cvmproxy", "twisted", "setup.cfg", "pyproject.toml", "README.rst"} <= set(given)
    assert all((PROJECT_ROOT / name).exists() for name in given)
