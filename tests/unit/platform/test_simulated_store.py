"""The directory of the simulated platform: made once, renewed in time, refused in one line."""

import json
import os
import pwd
from datetime import timedelta
from pathlib import Path

import pytest
from attrs import evolve
from doubles.simulated import NOW, seeded

from cvmproxy.errors import ConfigurationError
from cvmproxy.platform.simulated_quote import TdMeasurements
from cvmproxy.platform.simulated_store import SimulatedStore, default_directory, home_directory


@pytest.fixture
def store(tmp_path: Path) -> SimulatedStore:
    return SimulatedStore(directory=tmp_path / "state" / "simulated", now=lambda: NOW, random=seeded(1))


def later(store: SimulatedStore, **kwargs) -> SimulatedStore:
    return evolve(store, now=lambda: NOW + timedelta(**kwargs))


def test_a_platform_is_made_on_first_use_and_kept(store):
    assert store.platform().pki.root.certificate == store.root() == store.platform().pki.root.certificate


def test_nobody_else_can_read_it(store):
    store.platform()
    assert store.directory.stat().st_mode & 0o777 == 0o700
    assert (store.directory / "private").stat().st_mode & 0o777 == 0o700
    assert (store.directory / "private" / "platform.json").stat().st_mode & 0o777 == 0o600


def test_a_verifying_side_may_be_first(store):
    root = store.root()
    assert store.platform().pki.root.certificate == root
    assert store.collateral().fmspc == store.platform().identity.fmspc.hex()


def test_public_files_hold_no_key_and_suffice_to_verify(store, tmp_path):
    store.platform()
    public = tmp_path / "public"
    public.mkdir()
    for name in ("root.pem", "collateral.json"):
        content = (store.directory / name).read_bytes()
        assert b"PRIVATE KEY" not in content
        (public / name).write_bytes(content)
    copy = evolve(store, directory=public)
    assert copy.root() == store.root()
    assert copy.collateral() == store.collateral()
    with pytest.raises(ConfigurationError, match="not its keys") as caught:
        copy.platform()
    assert caught.value.code == "bad-simulated-platform"
    assert sorted(path.name for path in public.iterdir()) == ["collateral.json", "root.pem"]


def test_collateral_is_renewed_before_it_runs_out(store):
    store.platform()
    first = store.collateral()
    assert later(store, days=9).collateral() == first
    renewed = later(store, days=11).collateral()
    assert renewed.next_update == NOW + timedelta(days=41)
    assert later(store, days=12).collateral() == renewed


def test_a_restart_after_a_long_pause_has_fresh_collateral(store):
    store.platform()
    later(store, days=400).platform()
    assert store.collateral().next_update == NOW + timedelta(days=430)


def test_public_files_alone_are_never_renewed(store):
    store.platform()
    (store.directory / "private" / "platform.json").unlink()
    assert later(store, days=40).collateral().next_update == NOW + timedelta(days=30)


def test_chosen_measurements_come_from_the_file(store):
    assert store.platform().measurements == TdMeasurements()
    registers = store.directory / "registers.json"
    assert json.loads(registers.read_bytes())["mrtd"] == TdMeasurements().mrtd.hex()
    registers.write_text(json.dumps({"rtmr2": "AB" * 48}))
    assert store.platform().measurements == TdMeasurements(rtmr2=b"\xab" * 48)
    registers.unlink()
    assert store.platform().measurements == TdMeasurements()


def test_the_measurements_may_be_chosen_before_the_platform_is_made(store):
    store.directory.mkdir(parents=True)
    (store.directory / "registers.json").write_text(json.dumps({"mrtd": "cd" * 48}))
    assert store.platform().measurements.mrtd == b"\xcd" * 48


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", '{"mrtd": 1}', '{"mrtd": "ab"}', '{"pcr4": "' + "00" * 32 + '"}', '{"mrtd": "' + "zz" * 48 + '"}'],
)
def test_unusable_measurements_are_named(store, content):
    store.platform()
    (store.directory / "registers.json").write_text(content)
    with pytest.raises(ConfigurationError, match=r"registers\.json") as caught:
        store.platform()
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("name", ["root.pem", "collateral.json", "private/platform.json"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"{}", b"[]", b'{"version": 1}', b"x" * (2 << 20)])
def test_a_corrupt_file_is_one_clear_line(store, name, content):
    store.platform()
    path = store.directory / name
    path.write_bytes(content)
    use = store.root if name == "root.pem" else store.platform
    with pytest.raises(ConfigurationError, match=path.name) as caught:
        use()
    assert caught.value.code == "bad-simulated-platform"
    assert "\n" not in caught.value.message


def test_keys_of_another_certificate_are_refused(store):
    store.platform()
    path = store.directory / "private" / "platform.json"
    members = json.loads(path.read_bytes())
    members["pck"]["key"] = members["root"]["key"]
    path.write_text(json.dumps(members))
    with pytest.raises(ConfigurationError, match="does not belong"):
        store.platform()


def test_keys_that_others_may_read_are_refused(store):
    store.platform()
    (store.directory / "private" / "platform.json").chmod(0o640)
    with pytest.raises(ConfigurationError, match="0600"):
        store.platform()


def test_certificates_that_ran_out_are_named(store):
    store.platform()
    with pytest.raises(ConfigurationError, match="ran out on"):
        later(store, days=3651).platform()


def test_a_directory_that_cannot_be_made_is_one_clear_line(store):
    store.directory.parent.write_bytes(b"")
    for use in (store.platform, store.root, store.collateral):
        with pytest.raises(ConfigurationError) as caught:
            use()
        assert caught.value.code == "bad-simulated-platform"
        assert str(store.directory.parent) in caught.value.message


def test_making_that_was_interrupted_is_finished(store):
    store.platform()
    root = store.root()
    (store.directory / "root.pem").unlink()
    (store.directory / "collateral.json").unlink()
    assert store.root() == root
    store.platform()
    assert store.root() == root
    assert store.collateral().next_update == NOW + timedelta(days=30)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "/home/u/.local/state/cvmproxy/simulated"),
        ({"XDG_STATE_HOME": "/x"}, "/x/cvmproxy/simulated"),
        ({"XDG_STATE_HOME": "relative"}, "/home/u/.local/state/cvmproxy/simulated"),
        ({"XDG_STATE_HOME": "/x", "STATE_DIRECTORY": "/var/lib/cvmproxy:/var/lib/more"}, "/var/lib/cvmproxy/simulated"),
    ],
)
def test_the_default_directory_is_the_state_directory(environment, expected):
    assert default_directory(environment, Path("/home/u")) == Path(expected)


def test_a_user_without_a_home_needs_a_state_directory():
    assert default_directory({}, None) is None
    assert default_directory({"STATE_DIRECTORY": "/s"}, None) == Path("/s/simulated")
    assert default_directory({"XDG_STATE_HOME": "/x"}, None) == Path("/x/cvmproxy/simulated")


def test_the_home_directory_is_the_sessions_or_the_accounts(monkeypatch):
    assert home_directory({"HOME": "/home/u"}) == Path("/home/u")
    for nowhere in ({}, {"HOME": ""}, {"HOME": "relative"}):
        assert home_directory(nowhere) == Path(pwd.getpwuid(os.getuid()).pw_dir)
    # A container may run as a user that no account has.
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 7)
    assert home_directory({}) is None
    assert home_directory({"HOME": "/home/u"}) == Path("/home/u")


def test_a_root_of_another_platform_beside_the_keys_is_refused(store, tmp_path):
    store.platform()
    other = evolve(store, directory=tmp_path / "other", random=seeded(2))
    other.platform()
    (store.directory / "root.pem").write_bytes((other.directory / "root.pem").read_bytes())
    with pytest.raises(ConfigurationError, match=r"root\.pem"):
        store.platform()
