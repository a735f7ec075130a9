"""An attested echo server and a client that appraises it, in one process, with simulated evidence.

Run it with a directory for the simulated platform: ``python docs/examples/attested_echo.py /tmp/platform``.
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import react

from cvmproxy.attestation.measurements import any_measurements
from cvmproxy.attestation.policy import AppraisalPolicy, NoAttestation
from cvmproxy.carriage.appraiser import LeafAppraiser
from cvmproxy.carriage.certificate import make_leaf_key
from cvmproxy.carriage.issuer import BareIssuer, EvidenceIssuer
from cvmproxy.schemes.scheme import SchemeSettings
from cvmproxy.schemes.simulated import SIMULATED
from cvmproxy.tls.endpoints import AttestedClientEndpoint, AttestedServerEndpoint
from cvmproxy.tls.runtime import HandshakeRuntime
from cvmproxy.tls.settings import ClientSettings, ServerSettings


def now() -> datetime:
    return datetime.now(UTC)


class Echo(Protocol):
    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)


class Greeter(Protocol):
    """Is built and connected when the server has been appraised, and not before."""

    def __init__(self) -> None:
        self.answer: Deferred[bytes] = Deferred()

    def connectionMade(self) -> None:
        print("server appraised:", self.transport.identity.attestation_type, dict(self.transport.identity.measurements))
        self.transport.write(b"hello")

    def dataReceived(self, data: bytes) -> None:
        self.answer.callback(data)


async def main(reactor: Any, directory: str) -> None:
    scheme = SchemeSettings(reactor=reactor, now=now, simulated_platform=Path(directory))
    runtime = HandshakeRuntime(reactor, os.urandom)
    runtime.start()

    # The server presents evidence, made for each client's nonce, and appraises nobody.
    server = ServerSettings(
        credential=EvidenceIssuer(
            attester=SIMULATED.present(scheme),
            evidence_oid=SIMULATED.oid,
            leaf_key=make_leaf_key(),
            now=now,
            random=os.urandom,
        ),
        peer=NoAttestation(because="this example serves everybody"),
    )
    listening = AttestedServerEndpoint(TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1"), server, runtime)
    port = await listening.listen(Factory.forProtocol(Echo))

    # The client demands evidence. A real one would read its reference values from a measurements file.
    parts = SIMULATED.verify(scheme)
    policy = AppraisalPolicy(
        references=any_measurements(SIMULATED.name).references,
        platform={SIMULATED.name: parts.policy},
    )
    client = ClientSettings(
        peer=LeafAppraiser(accepted=[(SIMULATED, parts)], policy=lambda: policy, now=now),
        credential=BareIssuer(leaf_key=make_leaf_key(), now=now, random=os.urandom),
    )
    below = HostnameEndpoint(reactor, b"127.0.0.1", port.getHost().port)
    greeter = await AttestedClientEndpoint(below, client, runtime).connect(Factory.forProtocol(Greeter))
    print("the server says:", await greeter.answer)

    greeter.transport.loseConnection()
    await port.stopListening()
    runtime.stop()


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor, sys.argv[1])))
