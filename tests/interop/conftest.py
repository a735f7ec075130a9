"""One simulated platform for all tests of interoperability, served to the Go program by ``cvmproxy simulator``."""

import re
from collections.abc import Iterator
from urllib.request import urlopen

import pytest
from doubles.go_peer import EvidenceSource, go_program
from doubles.programs import CONSOLE, Program


@pytest.fixture(scope="session")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EvidenceSource]:
    go_program()
    folder = tmp_path_factory.mktemp("simulator")
    platform, root = folder / "platform", folder / "root.pem"
    command = [*CONSOLE, "simulator", "--listen-addr", "127.0.0.1:0", "--simulated-platform", str(platform)]
    with Program(command, cwd=folder) as simulator:
        address = re.compile(r"127\.0\.0\.1:\d+")
        found = address.search(simulator.out.wait_for(address.search))
        assert found
        url = f"http://{found[0]}"
        with urlopen(f"{url}/root.pem", timeout=10) as answer:
            root.write_bytes(answer.read())
        yield EvidenceSource(url=url, platform=platform, root=root)
