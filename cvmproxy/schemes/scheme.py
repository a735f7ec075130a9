"""What a scheme is: one attestation type, with everything about it that the rest of the package may ask.

A scheme is one file beside this one and one line in the registry (``schemes/__init__.py``). Nothing else compares
attestation types by name; a test holds the package to that.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from attrs import field, frozen

from cvmproxy.attestation.policy import PlatformPolicy
from cvmproxy.attestation.registers import MeasuredType, RegisterSet
from cvmproxy.attestation.roles import Attester, EndorsementSource, Verifier


@frozen(kw_only=True)
class SchemeSettings:
    """What an operator can say that a scheme may need. Built from the options; every scheme takes its part.

    :ivar reactor: the Twisted reactor: times, threads and connections together, for which there is no one interface.
    :ivar now: the clock (aware, UTC).
    :ivar simulated_platform: directory of the simulated platform; ``None`` where no simulated type is used.
    :ivar remote_quote_provider: base URL of a remote quote provider, or ``None``.
    """

    reactor: Any
    now: Callable[[], datetime]
    simulated_platform: Path | None
    remote_quote_provider: str | None = None


@frozen(kw_only=True)
class VerifyingParts:
    """What it takes to appraise one type: verifier, where its collateral comes from, default policy section."""

    verifier: Verifier
    endorsements: EndorsementSource
    policy: PlatformPolicy


class AttesterBuilder(Protocol):
    """Builds the attester of a scheme."""

    def __call__(self, settings: SchemeSettings) -> Attester:
        """Return it, ready. May read files: called before the daemon listens.

        :raises ConfigurationError: the settings do not allow it.
        """
        ...


class VerifierBuilder(Protocol):
    """Builds the verifying parts of a scheme."""

    def __call__(self, settings: SchemeSettings) -> VerifyingParts:
        """Return them, ready. May read files: called before the daemon listens.

        :raises ConfigurationError: the settings do not allow it.
        """
        ...


@frozen(kw_only=True)
class Scheme:
    """One attestation type.

    :ivar name: the command-line name and the type in measurements files.
    :ivar aliases: further names read in files and options.
    :ivar oid: dotted OID of the certificate extension.
    :ivar header_label: the value of ``X-Flashbots-Attestation-Type``.
    :ivar present: builds the attester; ``None`` where this version cannot present the type.
    :ivar verify: builds the verifying parts; ``None`` where this version cannot verify the type.
    :ivar remote_name: the option word that presents this type from a remote quote provider, or empty.
    :ivar present_remote: builds the attester for that word; the settings then name the provider.
    :ivar legacy_map: whether an entry of a v1 measurements map with values of this size is of this type.
    :ivar measure_part: the member of an ``attest measure`` object that holds this type's registers, or empty.
    :ivar development_only: warn at every start, and count its entries only where it was named.
    """

    name: str
    aliases: frozenset[str] = frozenset()
    oid: str
    header_label: str
    registers: RegisterSet
    present: AttesterBuilder | None = field(default=None)
    verify: VerifierBuilder | None = field(default=None)
    remote_name: str = ""
    present_remote: AttesterBuilder | None = field(default=None)
    legacy_map: bool = False
    measure_part: str = ""
    development_only: bool = False

    @property
    def measured_type(self) -> MeasuredType:
        """What the reader of measurements files has to know of this type."""
        return MeasuredType(
            name=self.name,
            aliases=self.aliases,
            registers=self.registers,
            legacy_map=self.legacy_map,
            measure_part=self.measure_part,
            development_only=self.development_only,
        )
