"""Starts that are refused: one line, the right exit status, nothing half-started; and what a start says."""

import json
import os
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from doubles.chain import PRESENT, ask, platform_option, running_server
from doubles.operator_certificates import operator_files
from doubles.programs import CONSOLE, TWIST, TWISTD, Daemon, Program, counting_target
from doubles.requirements import require_program

SERVERS = {
    "twistd": (*TWISTD, "cvmproxy-server"),
    "twist": (*TWIST, "cvmproxy-server"),
    "console": (*CONSOLE, "server"),
}


def outcome(command: Sequence[str], cwd: Path, **environment: str) -> tuple[int, list[str], list[str]]:
    with Program(command, cwd=cwd, environment=environment) as program:
        status = program.wait()
        return status, program.out.all(), program.err.all()


@pytest.mark.parametrize("launcher", SERVERS)
@pytest.mark.parametrize("log", ["--log-json", "--log-json=false"])
def test_an_address_in_use_is_one_line_and_status_1(launcher: str, log: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        command = [*SERVERS[launcher], f"--listen-addr={address}", "--server-attestation-type=none", log]
        status, out, err = outcome(command, tmp_path)
    assert status == 1
    assert err == []
    (line,) = [line for line in out if "failed" in line]
    assert address in line
    assert "Address already in use" in line
    assert "Traceback" not in "".join(out)
    if log == "--log-json":
        assert [json.loads(line)["event"] for line in out].count("failed") == 1


def test_nothing_is_left_open_where_the_second_listener_fails(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [*SERVERS["console"], "--listen-addr=127.0.0.1:0", "--server-attestation-type=none"]
        port = taken.getsockname()[1]
        status, out, err = outcome([*command, f"--listen-addr-healthcheck=127.0.0.1:{port}"], tmp_path)
    assert (status, err) == (1, [])
    assert "failed" in out[-1]


@pytest.mark.parametrize("launcher", SERVERS)
def test_bad_usage_is_one_line_on_standard_error_and_status_2(launcher: str, tmp_path: Path) -> None:
    status, out, err = outcome([*SERVERS[launcher], "--server-attestation-type=nonsense"], tmp_path)
    assert (status, out, len(err)) == (2, [], 1)
    assert "nonsense" in err[0]


@pytest.mark.parametrize("where", ["/nowhere/measurements.json", "http://127.0.0.1:1/measurements.json"])
def test_measurements_that_cannot_be_had_refuse_the_start(where: str, tmp_path: Path) -> None:
    command = [*SERVERS["twistd"], *PRESENT, "--client-attestation-type=simulated", f"--client-measurements={where}"]
    status, out, err = outcome([*command, platform_option(tmp_path)], tmp_path)
    assert (status, out, len(err)) == (2, [], 1)
    assert where in err[0]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--listen-addr=endpoint:tcp"], "--listen-addr endpoint:tcp: write a Twisted server endpoint"),
        (["--listen-addr=endpoint:nonsense:1"], "--listen-addr endpoint:nonsense:1: write a Twisted server endpoint"),
        (["--listen-addr-healthcheck=systemd:front"], "--listen-addr-healthcheck systemd:front: systemd passed no"),
        (["--client-measurements=/nowhere/m.json"], "--client-measurements /nowhere/m.json: expected a file"),
        (["--client-measurements=ftp://host/m"], "--client-measurements ftp://host/m: expected a path, or an https"),
        (
            ["--client-attestation-type=simulated", "--simulated-platform=/proc/x"],
            "the simulated platform (--simulated-platform) cannot be used: /proc/x",
        ),
    ],
)
def test_a_refusal_names_the_option(arguments: list[str], named: str, tmp_path: Path) -> None:
    status, out, err = outcome([*SERVERS["console"], "--server-attestation-type=none", *arguments], tmp_path)
    assert (status, out, len(err)) == (2, [], 1)
    assert err[0].startswith(f"cvmproxy-server: {named}")


@pytest.mark.parametrize("command", ["target", "simulator"])
def test_a_tool_that_cannot_listen_names_option_and_address(command: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        status, out, err = outcome([*CONSOLE, command, f"--listen-addr={address}"], tmp_path, HOME=str(tmp_path))
    assert (status, out) == (1, [])
    assert err[-1].startswith(f"cvmproxy {command}: --listen-addr {address}: ")


@pytest.mark.parametrize("launcher", SERVERS)
def test_standard_output_that_is_closed_is_not_missed(launcher: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        shell = (
            f"exec 3<&{listener.fileno()}; export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=front; "
            'exec "$0" "$@" --listen-addr=127.0.0.1:0 --listen-addr-healthcheck=systemd:front >&-'
        )
        command = [require_program("bash"), "-c", shell, *SERVERS[launcher], "--server-attestation-type=none"]
        with Program(command, cwd=tmp_path, fds=[listener.fileno()]) as program:
            assert ask(listener.getsockname()).status == 200
            program.process.terminate()
            assert program.wait() == 0
            assert program.err.all() == []


@pytest.mark.parametrize(
    ("arguments", "redirected", "status"),
    [
        (["server", "--nonsense"], "2>&-", 2),
        (["server", "--nonsense"], "2>/dev/full", 2),
        (["nonsense"], "2>/dev/full", 2),
        (["server", "--help"], ">/dev/full", 1),
        (["--help"], ">/dev/full", 1),
        (["server", "--help"], ">&-", 0),
    ],
)
def test_streams_that_take_nothing_change_no_status(
    arguments: list[str], redirected: str, status: int, tmp_path: Path
) -> None:
    shell = [require_program("bash"), "-c", f'exec "$0" "$@" {redirected}']
    assert outcome([*shell, *CONSOLE, *arguments], tmp_path) == (status, [], [])


def test_a_log_file_that_cannot_be_opened_refuses_the_start(tmp_path: Path) -> None:
    command = [*TWISTD, "--logfile=/nowhere/x.log", "cvmproxy-server", "--server-attestation-type=none"]
    status, out, err = outcome(command, tmp_path)
    assert (status, out, len(err)) == (2, [], 1)
    assert "/nowhere/x.log" in err[0]


@pytest.mark.parametrize("option", ["--pidfile=/nowhere/x.pid", "--pidfile=nowhere/x.pid"])
def test_a_pid_file_that_cannot_be_written_refuses_the_start(option: str, tmp_path: Path) -> None:
    status, out, err = outcome([*TWISTD, option, "cvmproxy-server", "--server-attestation-type=none"], tmp_path)
    assert (status, out, len(err)) == (2, [], 1)
    assert "--pidfile" in err[0]
    assert "nowhere/x.pid" in err[0]


@pytest.mark.parametrize("option", ["--syslog", "--logger=twisted.logger.textFileLogObserver"])
def test_a_log_of_twistd_that_cannot_be_ours_refuses_the_start(option: str, tmp_path: Path) -> None:
    command = [*TWISTD, option, "cvmproxy-server", "--server-attestation-type=none"]
    status, out, err = outcome(command, tmp_path)
    assert (status, out, len(err)) == (2, [], 1)
    assert "--logfile" in err[0]


@pytest.mark.parametrize(
    ("arguments", "status", "stream"),
    [
        ([], 2, "err"),
        (["nonsense"], 2, "err"),
        (["--help"], 0, "out"),
        (["--version"], 0, "out"),
        (["server", "--help"], 0, "out"),
        (["client", "--nonsense"], 2, "err"),
        (["demo", "--nonsense"], 2, "err"),
        (["simulator", "--quote-delay=x"], 2, "err"),
        (["target", "--listen-addr=x"], 2, "err"),
    ],
)
def test_the_console_script_keeps_its_streams_apart(
    arguments: list[str], status: int, stream: str, tmp_path: Path
) -> None:
    ended, out, err = outcome([*CONSOLE, *arguments], tmp_path)
    assert ended == status
    if stream == "err":
        assert (out, len(err)) == ([], 1)
    else:
        assert (len(out) > 0, err) == (True, [])


def test_the_environment_configures_a_server(tmp_path: Path) -> None:
    with Daemon(
        (*SERVERS["console"],),
        cwd=tmp_path,
        environment={
            "LISTEN_ADDR": "[::1]:0",
            "TARGET_ADDR": "http://127.0.0.1:1",
            "SERVER_ATTESTATION_TYPE": "none",
            "LISTEN_ADDR_HEALTHCHECK": "127.0.0.1:0",
        },
    ) as server:
        assert server.address()[0] == "[::1]"
        assert ask(server.address("health")).status == 200
        assert server.stop() == 0


def test_health_is_503_while_draining(tmp_path: Path) -> None:
    options = ["--server-attestation-type=none", "--listen-addr-healthcheck=127.0.0.1:0"]
    with counting_target() as target, running_server(tmp_path, f"http://127.0.0.1:{target.port}", options) as server:
        health = server.address("health")
        assert (ask(health).status, ask(health).body) == (200, b"ok\n")
        target.release.clear()
        with begun_request(server.address()):
            assert target.requested.wait(30)
            server.process.terminate()
            server.wait_for_event("notice", lambda entry: entry["message"].startswith("stopping"))
            assert (ask(health).status, ask(health).body) == (503, b"draining\n")
            target.release.set()
        assert server.wait() == 0


def begun_request(address: tuple[str, int]) -> socket.socket:

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = context.wrap_socket(socket.create_connection(address))
    connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    return connection


def test_a_unix_socket_and_a_unix_target(tmp_path: Path) -> None:
    path = tmp_path / "listen"
    options = ["--server-attestation-type=none", f"--listen-addr=unix:{path}"]
    with running_server(tmp_path, f"unix:{tmp_path / 'absent'}", options) as server:
        assert server.wait_for_event("listening")["address"] == f"unix:{path}"
        assert path.stat().st_mode & 0o777 == 0o660
        assert server.stop() == 0
    assert not path.exists()


def test_a_socket_that_systemd_passes_is_adopted(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # LISTEN_PID has to be the process that reads it: a shell knows its own and becomes it.
        shell = (
            f"exec 3<&{listener.fileno()}; export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=front; "
            'exec "$0" "$@" --listen-addr=systemd:front --server-attestation-type=none --log-json'
        )
        command = [require_program("bash"), "-c", shell, *SERVERS["console"]]
        with Daemon([*command, "--log-json"], cwd=tmp_path, fds=[listener.fileno()]) as server:
            assert server.address()[1] == listener.getsockname()[1]
            assert server.stop() == 0


def test_a_socket_that_systemd_did_not_pass_refuses_the_start(tmp_path: Path) -> None:
    command = [*SERVERS["console"], "--listen-addr=systemd:front", "--server-attestation-type=none"]
    status, out, err = outcome(command, tmp_path)
    assert (status, out, len(err)) == (2, [], 1)
    assert "systemd:front" in err[0]


def test_a_daemon_reports_its_failure_and_leaves_no_pid_file(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        command = [
            TWISTD[0],
            TWISTD[1],
            "cvmproxy-server",
            f"--listen-addr={address}",
            "--server-attestation-type=none",
        ]
        status, out, err = outcome(command, tmp_path)
    assert (status, out) == (1, [])
    assert "An error has occurred" in err[0]
    assert sorted(os.listdir(tmp_path)) == ["cvmproxy-server.log"]
    assert "Address already in use" in (tmp_path / "cvmproxy-server.log").read_text()


def test_an_https_target_is_verified(tmp_path: Path) -> None:
    from doubles.nginx import running_nginx

    files = operator_files(tmp_path, "localhost")
    options = ["--server-attestation-type=none"]
    with running_nginx(tmp_path / "nginx", certificate=files.certificate, key=files.key) as port:
        for target, trusted, expected in (
            (f"https://localhost:{port}", [f"--target-ca={files.authority}"], 200),
            (f"https://localhost:{port}", [], 502),
            (f"https://127.0.0.1:{port}", [f"--target-ca={files.authority}"], 502),
        ):
            with (
                running_server(tmp_path, target, [*options, *trusted]) as server,
                begun_request(server.address()) as request,
            ):
                assert int(request.recv(65536).split()[1]) == expected
                if expected != 200:
                    assert server.wait_for_event("refused")["code"] == "pki-refused"


NO_NAMES = (
    "import socket, sys, threading; socket.getaddrinfo = lambda *_, **__: threading.Event().wait(); "
    "from cvmproxy.tools.main import main; sys.exit(main())"
)


def test_names_that_are_never_answered_hold_up_nothing_else(tmp_path: Path) -> None:
    options = ["--server-attestation-type=none", "--verify-tls", "--target-addr=https://target.example"]
    limits = ["--connect-timeout=200ms", "--listen-addr=127.0.0.1:0", "--listen-addr-healthcheck=127.0.0.1:0"]
    command = [sys.executable, "-c", NO_NAMES, "client", *options, *limits, "--log-json"]
    with Daemon(command, cwd=tmp_path) as client:
        for _ in range(12):
            answer = ask(client.address())
            assert (answer.status, b"upstream-connect-timeout" in answer.body) == (504, True)
        assert ask(client.address("health")).status == 200
        warning = client.wait_for_event("warning", lambda entry: "target.example" in entry["message"])
        assert "the lookup of its name included" in warning["message"]
        # The system's resolver still waits: the end of the process does not.
        assert client.stop() == 0


def test_measurements_are_fetched_over_https_at_the_start_and_at_a_reload(tmp_path: Path) -> None:
    files = operator_files(tmp_path, "localhost")
    content = json.dumps([{"attestation_type": "simulated"}]).encode()

    class Measurements(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    with ThreadingHTTPServer(("127.0.0.1", 0), Measurements) as measurements:
        measurements.socket = context.wrap_socket(measurements.socket, server_side=True)
        threading.Thread(target=measurements.serve_forever, daemon=True).start()
        url = f"https://localhost:{measurements.server_port}/m.json"
        options = ["--listen-addr=127.0.0.1:0", "--log-json", f"--server-measurements={url}", platform_option(tmp_path)]
        command = [*CONSOLE, "client", "--server-attestation-type=simulated", *options]
        with Daemon(command, cwd=tmp_path, environment={"SSL_CERT_FILE": str(files.authority)}) as client:
            client.address()
            client.signal(signal.SIGHUP)
            client.wait_for_event("notice", lambda entry: "measurements reloaded" in entry["message"])
            measurements.shutdown()
            measurements.server_close()
            client.signal(signal.SIGHUP)
            warning = client.wait_for_event("warning", lambda entry: "the old ones stay in force" in entry["message"])
            assert url in warning["message"]
            assert client.stop() == 0
