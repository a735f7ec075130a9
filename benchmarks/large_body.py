"""A body of 1 GiB each way through client and server, both processes under 150 MiB.

python benchmarks/large_body.py [MEBIBYTES]
"""

import http.client
import sys
import time
from collections.abc import Iterator

from programs import MUTUAL, programs, report, verdict

LIMIT_MIB = 150
_PIECE = bytes(1 << 20)


def pieces(mebibytes: int) -> Iterator[bytes]:
    for _ in range(mebibytes):
        yield _PIECE


def main() -> int:
    mebibytes = int(sys.argv[1]) if len(sys.argv) > 1 else 1024
    size, failures = mebibytes << 20, []
    with programs() as bench:
        target = bench.start("target")
        server = bench.start("server", f"--target-addr=http://{target.address}", *MUTUAL)
        client = bench.start("client", f"--target-addr=https://{server.address}", *MUTUAL)
        host, _, port = client.address.rpartition(":")

        connection = http.client.HTTPConnection(host, int(port), timeout=600)
        began = time.monotonic()
        connection.request("GET", f"/bytes/{size}")
        response, received = connection.getresponse(), 0
        while piece := response.read(1 << 20):
            received += len(piece)
        down = time.monotonic() - began

        began = time.monotonic()
        connection.request("POST", "/", body=pieces(mebibytes), headers={"Content-Length": str(size)})
        echoed = connection.getresponse().read()
        up = time.monotonic() - began
        connection.request("POST", "/", body=pieces(mebibytes // 8), encode_chunked=True)
        chunked = connection.getresponse().read()

        memory = {"server": server.resident_mib(), "client": client.resident_mib()}
        report(mebibytes=mebibytes, down_mib_per_second=mebibytes / down, up_mib_per_second=mebibytes / up, **memory)
        if received != size:
            failures.append(f"all {size} bytes down: {received}")
        for body, sent in ((echoed, size), (chunked, (mebibytes // 8) << 20)):
            if f'"body_bytes": {sent}'.encode() not in body:
                failures.append(f"all {sent} bytes up: {body[-40:]!r}")
        failures += [f"{name} under {LIMIT_MIB} MiB: {took:.0f}" for name, took in memory.items() if took >= LIMIT_MIB]
    return verdict(*failures)


if __name__ == "__main__":
    sys.exit(main())
