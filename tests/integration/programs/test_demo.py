"""The demo: one request through all three programs, and the lines to try."""

import json
import signal
import socket
from pathlib import Path

import pytest
from doubles.chain import ask
from doubles.programs import CONSOLE, Program


def test_once_prints_the_headers_of_both_ends_and_ends_with_0(tmp_path: Path) -> None:
    with Program([*CONSOLE, "demo", "--once"], cwd=tmp_path) as demo:
        assert demo.wait() == 0
        out = "\n".join(demo.out.all())
    assert out.count("X-Flashbots-Attestation-Type: simulated") == 2
    assert out.count('X-Flashbots-Measurement: {"0":"') == 2
    assert list(tmp_path.iterdir()) == [], "it leaves nothing behind"


def test_once_ends_with_1_where_something_cannot_listen(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with Program([*CONSOLE, "demo", "--once", f"--server-listen-addr={address}"], cwd=tmp_path) as demo:
            assert demo.wait() == 1
            assert any("Address already in use" in line for line in demo.err.all())
            assert demo.out.all() == []


@pytest.mark.parametrize("option", ["--listen-addr", "--server-listen-addr", "--target-listen-addr"])
def test_a_bad_address_is_one_line_and_status_2(option: str, tmp_path: Path) -> None:
    with Program([*CONSOLE, "demo", option, "nonsense"], cwd=tmp_path) as demo:
        assert demo.wait() == 2
        (line,) = demo.err.all()
        assert line.startswith(f"cvmproxy demo: {option} nonsense: write host:port")


def test_a_platform_that_cannot_be_used_is_one_line_and_status_2(tmp_path: Path) -> None:
    (tmp_path / "platform").write_text("a file")
    with Program([*CONSOLE, "demo", f"--simulated-platform={tmp_path / 'platform'}"], cwd=tmp_path) as demo:
        assert demo.wait() == 2
        (line,) = demo.err.all()
        assert str(tmp_path / "platform") in line


def test_it_runs_until_a_signal_and_what_it_prints_works(tmp_path: Path) -> None:
    with Program([*CONSOLE, "demo"], cwd=tmp_path) as demo:
        line = demo.out.wait_for(lambda line: line.strip().startswith("curl -i http://"))
        host, port = line.split("http://")[1].split("/")[0].split(":")
        demo.out.wait_for(lambda line: line == "Ctrl-C ends it.")
        answer = ask((host, int(port)), "/hello")
        assert answer.status == 200
        assert answer.measured()[0] == "simulated"
        assert ["X-Flashbots-Attestation-Type", "simulated"] in json.loads(answer.body)["headers"]
        assert ask((host, int(port)), "/", {"X-Flashbots-Measurement": "forged"}).status == 403
        demo.signal(signal.SIGINT)
        assert demo.wait() == 0
