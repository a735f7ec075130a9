"""What the programs print: with --log-json every line parses, whatever happens; as text no line can be forged."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from doubles.chain import MUTUAL, PRESENT, running_chain, running_client, running_server
from doubles.programs import CONSOLE, TWIST, TWISTD, Program, counting_target

LAUNCHERS = {"twistd": TWISTD, "twist": TWIST}


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_every_line_is_json_under_traffic_errors_and_shutdown(launcher: str, tmp_path: Path) -> None:
    command = LAUNCHERS[launcher]
    with (
        counting_target() as target,
        running_server(
            tmp_path,
            f"http://127.0.0.1:{target.port}",
            [*MUTUAL, "--log-debug"],
            launcher=(*command, "cvmproxy-server"),
        ) as server,
        running_client(
            tmp_path,
            f"https://127.0.0.1:{server.address()[1]}",
            [*MUTUAL, "--log-debug"],
            launcher=(*command, "cvmproxy-client"),
        ) as client,
    ):
        with socket.create_connection(server.address()) as nonsense:
            nonsense.sendall(b"this is no TLS\r\n\r\n")
            nonsense.recv(100)
        with socket.create_connection(client.address()) as strange:
            strange.sendall(b'GET /\x1b[31m\xff{"a":"\n HTTP/1.1\r\nHost: x\r\n\r\n')
            strange.recv(1000)
        with socket.create_connection(client.address()) as plain:
            plain.sendall(b'GET /"\\u0000%0a? HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
            assert plain.recv(1000).startswith(b"HTTP/1.1 200")
        assert server.wait_for_event("refused")["code"] == "tls-error"
        assert client.stop() == server.stop() == 0
        for program in (client, server):
            entries = [json.loads(line) for line in program.out.all()]
            assert all({"time", "level", "event"} <= entry.keys() for entry in entries)
            assert [entry["event"] for entry in entries].count("connection") == 1
            assert entries[0]["event"] == "log" or launcher == "twist", "the launcher's own lines are among them"
            assert program.err.all() == []
        assert len(client.events("request")) == 2


def test_a_warning_and_an_unhandled_failure_are_json_too(tmp_path: Path) -> None:
    # What a library could do at any time, done by a module that Python imports at its start.
    (tmp_path / "usercustomize.py").write_text(
        "import sys, threading, warnings\n"
        "def later():\n"
        "    from twisted.internet import reactor\n"
        "    from twisted.internet.defer import fail\n"
        "    def go():\n"
        "        warnings.warn('an old way\\nof things', DeprecationWarning)\n"
        "        print('printed')\n"
        "        fail(ValueError('lost'))\n"
        "        raise KeyError('in a timed call')\n"
        "    reactor.callWhenRunning(lambda: reactor.callLater(0, go))\n"
        "import twisted.internet.main as m\n"
        "install = m.installReactor\n"
        "def installing(reactor):\n"
        "    install(reactor)\n"
        "    later()\n"
        "m.installReactor = installing\n"
    )
    command = [*TWISTD, "cvmproxy-server", "--listen-addr=127.0.0.1:0", "--server-attestation-type=none", "--log-json"]
    environment = {"PYTHONPATH": str(tmp_path), "PYTHONWARNINGS": "always"}
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import usercustomize; sys.argv = {command[1:]!r}\n"
    script += "from twisted.scripts.twistd import run; run()"
    with Program(
        [sys.executable, "-W", "always::DeprecationWarning", "-c", script], cwd=tmp_path, environment=environment
    ) as program:
        program.out.wait_for(lambda line: "in a timed call" in line)
        program.out.wait_for(lambda line: "lost" in line)
        assert program.stop() == 0
        entries = [json.loads(line) for line in program.out.all()]
        assert program.err.all() == []
    texts = [entry.get("message", "") + entry.get("traceback", "") for entry in entries]
    for wanted in ("an old way\nof things", "printed", "ValueError: lost", "KeyError: 'in a timed call'"):
        assert any(wanted in text for text in texts), wanted


def test_text_is_one_entry_a_line_and_nothing_is_forged(tmp_path: Path) -> None:
    command = [*CONSOLE, "client", "--listen-addr=127.0.0.1:0", "--target-addr=https://127.0.0.1:1"]
    command += [*PRESENT, f"--simulated-platform={tmp_path / 'p'}"]
    with Program(command, cwd=tmp_path) as client:
        line = client.out.wait_for(lambda line: "listening" in line)
        host, _, port = line.rpartition("address=")[2].rpartition(":")
        with socket.create_connection((host, int(port))) as strange:
            strange.sendall(b"GET /%0a2026-01-01T00:00:00.000Z\x20\x20forged HTTP/1.1\r\nHost: x\r\n\r\n")
            strange.recv(1000)
        with socket.create_connection((host, int(port))) as plain:
            plain.sendall(b'GET /="x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
            assert plain.recv(1000).startswith(b"HTTP/1.1 502")
        client.out.wait_for(lambda line: "the target https://127.0.0.1:1 cannot be reached: Connection was ref" in line)
        client.out.wait_for(lambda line: " request " in line and "code=upstream-unreachable" in line)
        assert client.stop() == 0
        lines = client.out.all()
        assert client.err.all() == []
    assert all(line.startswith(("20", "    ")) for line in lines)
    assert not any("Z  forged" in line for line in lines)
    assert any("INSECURE" in line for line in lines)


def test_a_stalled_reader_of_the_log_stalls_neither_requests_nor_the_exit(tmp_path: Path) -> None:
    receive, send = os.pipe()
    with counting_target() as target, running_chain(tmp_path, f"http://127.0.0.1:{target.port}") as chain:
        server = f"https://127.0.0.1:{chain.server.address()[1]}"
        command = [*CONSOLE, "client", "--listen-addr=127.0.0.1:0", f"--target-addr={server}", *MUTUAL]
        command += [f"--simulated-platform={tmp_path / 'platform'}", "--log-debug"]
        process = subprocess.Popen(command, stdout=send, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        os.close(send)
        try:
            line = read_until(receive, b"address=").rpartition(b"address=")[2]
            port = int((line if b"\n" in line else line + read_until(receive, b"\n")).split(b":")[1].split()[0])
            # Each line is longer than its request's path, so that these fill the pipe many times over.
            with socket.create_connection(("127.0.0.1", port), timeout=30) as requester:
                for _ in range(200):
                    requester.sendall(b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"x" * 4000))
                    assert whole_response(requester).startswith(b"HTTP/1.1 200")
            process.terminate()
            assert process.wait(30) == 0
        finally:
            process.kill()
            process.wait(30)
            os.close(receive)


def read_until(descriptor: int, wanted: bytes) -> bytes:
    received = b""
    while wanted not in received:
        piece = os.read(descriptor, 4096)
        assert piece, received
        received += piece
    return received


def whole_response(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    (length,) = [
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
    ]
    while len(body) < length:
        body += connection.recv(65536)
    return head + body
