"""10,000 requests at 64 connections through client and server, both attested: no error, few attested connections.

    python benchmarks/chain_load.py [REQUESTS] [CONNECTIONS]

Needs ``hey``. Two runs: mutual simulated evidence, counted by the log; and evidence by ``cvmproxy simulator``, whose
own count says how many nonces it was asked for. Ends with 1 where a promise is not kept.
"""

import json
import re
import shutil
import subprocess
import sys
import time
import urllib.request

from programs import MUTUAL, Program, programs, report, verdict


def load(client: Program, requests: int, connections: int) -> tuple[float, dict[str, int]]:
    """Return seconds and status codes (or errors) with their counts."""
    hey = shutil.which("hey") or sys.exit("hey is not installed")
    command = [hey, "-n", str(requests), "-c", str(connections), f"http://{client.address}/"]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    outcome = {code: int(count) for code, count in re.findall(r"\[(\d{3})\]\s+(\d+) responses", done.stdout)}
    if "Error distribution" in done.stdout:
        outcome["error"] = sum(map(int, re.findall(r"\[(\d+)\]\t", done.stdout.partition("Error distribution")[2])))
    return time.monotonic() - began, outcome


def main() -> int:
    requests, connections = (int(given) for given in (sys.argv[1:] + ["10000", "64"][len(sys.argv) - 1 :]))
    # hey gives every connection the same number: round up, so that no request of those asked for is left out.
    requests = -(-requests // connections) * connections
    failures = []
    with programs() as bench:
        target = bench.start("target")
        server = bench.start("server", f"--target-addr=http://{target.address}", *MUTUAL)
        client = bench.start("client", f"--target-addr=https://{server.address}", *MUTUAL)
        proxies = {"server": server, "client": client}
        assert client.address
        before = {name: program.processor_seconds() for name, program in proxies.items()}
        seconds, outcome = load(client, requests, connections)
        cpu = {name: program.processor_seconds() - before[name] for name, program in proxies.items()}
        for program in (client, server):
            if program.stop() != 0:
                failures.append("a proxy did not end with status 0")
        attested = client.events.get("connection", 0)
        report(
            evidence="mutual, simulated",
            requests_per_second=requests / seconds,
            outcome=json.dumps(outcome),
            attested_connections=attested,
            server_cpu_us_per_request=1e6 * cpu["server"] / requests,
            client_cpu_us_per_request=1e6 * cpu["client"] / requests,
            logged_requests=client.events.get("request", 0),
        )
        failures += judged(outcome, requests, connections, attested)

        simulator = bench.start("simulator")
        remote = ("--server-attestation-type=dummy", f"--dev-dummy-dcap=http://{simulator.address}")
        server = bench.start("server", f"--target-addr=http://{target.address}", *remote)
        client = bench.start("client", f"--target-addr=https://{server.address}", "--server-attestation-type=none")
        seconds, outcome = load(client, requests, connections)
        nonces = int(urllib.request.urlopen(f"http://{simulator.address}/count", timeout=10).read())
        report(
            evidence="one-sided, by the simulator",
            requests_per_second=requests / seconds,
            outcome=json.dumps(outcome),
            nonces_at_the_simulator=nonces,
        )
        failures += judged(outcome, requests, connections, nonces)
    return verdict(*failures)


def judged(outcome: dict[str, int], requests: int, connections: int, attested: int) -> list[str]:
    failures = []
    if outcome != {"200": requests}:
        failures.append(f"every one of {requests} requests answered 200: {outcome}")
    if not 0 < attested <= connections:
        failures.append(f"at most {connections} attested connections: {attested}")
    return failures


if __name__ == "__main__":
    sys.exit(main())
