"""SIGHUP reloads and never kills; SIGTERM drains and ends with status 0."""

import json
import os
import select
import signal
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from doubles.chain import MUTUAL, PRESENT, Answer, ask, running_chain, running_client, running_server
from doubles.programs import CONSOLE, TWIST, TWISTD, CountingTarget, Program, counting_target

ANY = [{"measurement_id": "any", "attestation_type": "simulated", "measurements": {}}]


def reloaded(entry: dict[str, str]) -> bool:
    return "measurements reloaded" in entry["message"]


def kept(entry: dict[str, str]) -> bool:
    return "the old ones stay in force" in entry["message"]


def test_a_broken_file_keeps_the_old_one_and_is_counted(tmp_path: Path) -> None:
    file = tmp_path / "measurements.json"
    file.write_text(json.dumps(ANY))
    with (
        counting_target() as target,
        running_chain(
            tmp_path,
            f"http://127.0.0.1:{target.port}",
            server=[*MUTUAL, f"--client-measurements={file}"],
            client=MUTUAL,
        ) as chain,
    ):
        for count, broken in enumerate(("{", "[]", "absent"), start=1):
            if broken == "absent":
                file.unlink()
            else:
                file.write_text(broken)
            chain.server.signal(signal.SIGHUP)
            entry = chain.server.wait_for_event("warning", kept, count=count)
            assert entry["code"] == "bad-measurements-file"
            assert str(file) in entry["message"]
            assert entry["message"].endswith(f"(failed reloads since the start: {count})")
        assert chain.get().status == 200
        file.write_text(json.dumps([{**ANY[0], "measurements": {"0": {"expected": "00" * 48}}}]))
        chain.server.signal(signal.SIGHUP)
        chain.server.wait_for_event("notice", reloaded)
        # The connection that is open keeps the result that let it in; the next one is appraised anew.
        assert chain.get().status == 200
        chain.client.signal(signal.SIGTERM)
        assert chain.client.wait() == 0
        with running_client(tmp_path, f"https://127.0.0.1:{chain.server.address()[1]}", MUTUAL) as second:
            assert ask(second.address()).refusal == (502, "refused-by-peer")


def test_a_reload_where_nothing_is_appraised_does_nothing(tmp_path: Path) -> None:
    with running_server(tmp_path, "http://127.0.0.1:1", PRESENT) as server:
        server.address()
        server.signal(signal.SIGHUP)
        server.wait_for_event("notice", lambda entry: "nothing to reload" in entry["message"])
        assert server.stop() == 0


LAUNCHERS = {
    "twistd": (*TWISTD, "cvmproxy-server"),
    "twist": (*TWIST, "cvmproxy-server"),
    "console": (*CONSOLE, "server"),
}


@pytest.mark.parametrize("launcher", LAUNCHERS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_ends_at_once_with_status_0(launcher: str, number: signal.Signals, tmp_path: Path) -> None:
    with running_server(tmp_path, "http://127.0.0.1:1", PRESENT, launcher=LAUNCHERS[launcher]) as server:
        server.address()
        server.signal(number)
        assert server.wait() == 0
        server.out.all()
        assert server.events("notice")[-1]["message"] == "stopped"
        assert server.err.all() == []


class InFlight:
    """A request that the target holds back."""

    def __init__(self, address: tuple[str, int], target: CountingTarget) -> None:
        target.release.clear()
        self.answer: Answer | None = None
        self._thread = threading.Thread(target=self._ask, args=(address,))
        self._thread.start()
        assert target.requested.wait(30)

    def _ask(self, address: tuple[str, int]) -> None:
        try:
            self.answer = ask(address)
        except OSError:
            self.answer = None

    def wait(self) -> Answer | None:
        self._thread.join(30)
        assert not self._thread.is_alive()
        return self.answer


def test_a_request_in_flight_is_finished_and_nothing_new_is_accepted(tmp_path: Path) -> None:
    with counting_target() as target, running_chain(tmp_path, f"http://127.0.0.1:{target.port}") as chain:
        address = chain.client.address()
        request = InFlight(address, target)
        for program in (chain.client, chain.server):
            program.signal(signal.SIGTERM)
            program.wait_for_event("notice", lambda entry: entry["message"].startswith("stopping"))
            program.wait_for_event("log", lambda entry: "Closed" in entry["message"])
        with pytest.raises(ConnectionRefusedError):
            ask(address)
        target.release.set()
        answer = request.wait()
        assert answer is not None
        assert answer.status == 200
        assert chain.client.wait() == chain.server.wait() == 0


@pytest.mark.parametrize("how", ["the grace is over", "asked again"])
def test_what_does_not_end_is_broken_off(how: str, tmp_path: Path) -> None:
    grace = "200ms" if how == "the grace is over" else "1h"
    with (
        counting_target() as target,
        running_server(tmp_path, f"http://127.0.0.1:{target.port}", PRESENT) as server,
        running_client(
            tmp_path, f"https://127.0.0.1:{server.address()[1]}", [*PRESENT, f"--drain-grace={grace}"]
        ) as client,
    ):
        request = InFlight(client.address(), target)
        client.signal(signal.SIGTERM)
        client.wait_for_event("notice", lambda entry: entry["message"].startswith("stopping"))
        if how == "asked again":
            client.signal(signal.SIGTERM)
        assert client.wait() == 0
        assert request.wait() is None


def test_a_log_file_is_rotated_on_sigusr1(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    command = (*TWISTD, f"--logfile={log}", "cvmproxy-server", "--listen-addr=unix:" + str(tmp_path / "s"))
    with Program([*command, "--server-attestation-type=none", "--log-json"], cwd=tmp_path) as server:
        wait_for_text(log, "listening")
        server.signal(signal.SIGUSR1)
        server.signal(signal.SIGHUP)
        assert server.stop() == 0
        assert server.out.all() == server.err.all() == []
    first, second = (path.read_text().splitlines() for path in (tmp_path / "server.log.1", log))
    assert all(json.loads(line) for line in (*first, *second))
    assert any("listening" in line for line in first)
    assert any("stopped" in line for line in second)


def test_a_daemon_serves_logs_and_ends(tmp_path: Path) -> None:
    command = [*TWISTD[:2], "cvmproxy-server", "--listen-addr=127.0.0.1:0", "--server-attestation-type=none"]
    with Program([*command, "--log-json"], cwd=tmp_path) as parent:
        assert parent.wait() == 0
    number = int((tmp_path / "cvmproxy-server.pid").read_text())
    daemon = os.pidfd_open(number)
    try:
        wait_for_text(tmp_path / "cvmproxy-server.log", "listening")
        signal.pidfd_send_signal(daemon, signal.SIGTERM)
        assert select.select([daemon], [], [], 30)[0], "the daemon ends"
    finally:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(daemon, signal.SIGKILL)
        os.close(daemon)
    assert not (tmp_path / "cvmproxy-server.pid").exists()
    entries = [json.loads(line) for line in (tmp_path / "cvmproxy-server.log").read_text().splitlines()]
    assert [entry["message"] for entry in entries if entry["event"] == "notice"][-1] == "stopped"


def wait_for_text(path: Path, text: str) -> None:
    """Return as soon as a file holds a text: the log's lines are written a moment after what they tell of."""
    attempts = threading.Event()
    for _ in range(600):
        if path.exists() and text in path.read_text():
            return
        attempts.wait(0.05)
    raise AssertionError(f"{text} was not written")
