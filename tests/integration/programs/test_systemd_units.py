"""The systemd units are well-formed, hardened, and name a command that exists."""

import subprocess
from pathlib import Path

import pytest
from doubles.programs import CONSOLE, Program
from doubles.requirements import PROJECT_ROOT, require_program

UNITS = sorted((PROJECT_ROOT / "systemd").glob("*.service"))


def settings(unit: Path) -> dict[str, str]:
    lines = [line for line in unit.read_text().splitlines() if "=" in line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_both_are_there() -> None:
    assert [unit.name for unit in UNITS] == ["cvmproxy-client.service", "cvmproxy-server.service"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_accepts_them(unit: Path) -> None:
    verify = [require_program("systemd-analyze"), "verify", str(unit)]
    done = subprocess.run(verify, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_their_command_exists(unit: Path, tmp_path: Path) -> None:
    launcher, program, command = settings(unit)["ExecStart"].split()
    assert (launcher, program) == ("/usr/bin/env", "cvmproxy")
    with Program([*CONSOLE, command, "--help"], cwd=tmp_path) as helping:
        assert helping.wait() == 0


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_they_give_the_drain_its_time_and_do_not_restart_bad_usage(unit: Path) -> None:
    said = settings(unit)
    assert int(said["TimeoutStopSec"]) > 30
    assert said["RestartPreventExitStatus"] == "2"
    assert said["DynamicUser"] == "yes"
    assert said["ProtectSystem"] == "strict"
    assert said["NoNewPrivileges"] == "yes"
