"""Every mode of the wire contract, under twistd, with a real nginx as the target."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import frozen
from doubles.chain import DEMAND, MUTUAL, PRESENT, running_chain
from doubles.nginx import echoed_by_nginx, running_nginx
from doubles.operator_certificates import OperatorFiles, operator_files

NONE = ("--server-attestation-type=none",)


@frozen
class Mode:
    """What both sides are told, and which headers must come out: back at the requester, and at the target."""

    server: tuple[str, ...]
    client: tuple[str, ...]
    back: bool
    arrived: bool


MODES = {
    "self-signed TLS, no check at all": Mode(NONE, NONE, back=False, arrived=False),
    "operator's certificate, verify-tls": Mode((*NONE, "STATIC"), ("VERIFY",), back=False, arrived=False),
    "aTLS": Mode(PRESENT, PRESENT, back=True, arrived=False),
    "aTLS, not looked at": Mode(PRESENT, NONE, back=False, arrived=False),
    "self-signed TLS, verify client": Mode((*NONE, *DEMAND), (*NONE, *DEMAND), back=False, arrived=True),
    "operator's certificate, verify client": Mode(
        (*NONE, *DEMAND, "STATIC"), ("VERIFY", *DEMAND), back=False, arrived=True
    ),
    "mutual": Mode(MUTUAL, MUTUAL, back=True, arrived=True),
    "client attests where nobody asks": Mode(PRESENT, MUTUAL, back=True, arrived=False),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> OperatorFiles:
    return operator_files(tmp_path_factory.mktemp("pki"), "localhost")


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with running_nginx(tmp_path_factory.mktemp("target") / "nginx") as port:
        yield port


def spelled_out(options: tuple[str, ...], files: OperatorFiles) -> list[str]:
    meant = {
        "STATIC": [f"--tls-certificate-path={files.certificate}", f"--tls-private-key-path={files.key}"],
        "VERIFY": ["--verify-tls", f"--tls-ca-certificate={files.authority}"],
    }
    return [given for option in options for given in meant.get(option, [option])]


@pytest.mark.parametrize("name", MODES)
def test_a_mode(name: str, tmp_path: Path, files: OperatorFiles, nginx: int) -> None:
    mode = MODES[name]
    with running_chain(
        tmp_path,
        f"http://127.0.0.1:{nginx}/base?fixed=1",
        server=spelled_out(mode.server, files),
        client=spelled_out(mode.client, files),
        host="localhost",
    ) as chain:
        answer = chain.get("/path?query=2")
        assert answer.status == 200, answer
        seen = echoed_by_nginx(answer.body)
        measured = measurement_of(tmp_path) if mode.back or mode.arrived else ""
        assert answer.measured() == (("simulated", measured) if mode.back else (None, None))
        assert (seen["type"], seen["measurement"]) == (("simulated", measured) if mode.arrived else ("", ""))
        assert seen["host"] == f"127.0.0.1:{nginx}"
        assert seen["forwarded"] == "127.0.0.1, 127.0.0.1"
        assert seen["uri"] == "/base/path?fixed=1&query=2"
        # Twice over the same connection, and the same headers both times.
        assert chain.get().measured() == answer.measured()
        assert chain.client.stop() == 0
        assert chain.server.stop() == 0
        assert chain.client.err.all() == chain.server.err.all() == []
        chain.server.out.all()
        assert len(chain.server.events("connection")) == 1


def measurement_of(folder: Path) -> str:
    """Return the header's value for the simulated platform of a test."""
    registers = json.loads((folder / "platform" / "registers.json").read_text())
    names = ("mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3")
    return json.dumps({str(index): registers[name] for index, name in enumerate(names)}, separators=(",", ":"))
