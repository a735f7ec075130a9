"""The files of a simulated platform: their names, their forms, and how they are replaced (cli, "Simulated evidence").

======================== ============================================================================================
``root.pem``             public: the root certificate that a verifying side trusts
``collateral.json``      public: TCB info, QE identity, CRLs and their chains, in the nine fields of dcap-qvl
``registers.json``       the measurements to claim: name (``mrtd``, ``rtmr0`` … ``rtmr3``) → 96 hex digits
``private/platform.json`` private: certificates and keys
======================== ============================================================================================

A verifying host needs the public files only. Everything here blocks.
"""

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from attrs import asdict, fields, frozen
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from cvmproxy.platform.simulated_pki import PlatformIdentity, Signer, SimulatedPki
from cvmproxy.platform.simulated_quote import TdMeasurements

FORM_VERSION: Final = 1

#: No file here is larger than tens of KiB; a larger one is not read into memory.
_MAX_FILE_SIZE: Final = 1 << 20


@frozen
class StorePaths:
    """Where everything is in a directory."""

    directory: Path

    @property
    def root(self) -> Path:
        """The root certificate, PEM."""
        return self.directory / "root.pem"

    @property
    def collateral(self) -> Path:
        """The collateral, JSON."""
        return self.directory / "collateral.json"

    @property
    def registers(self) -> Path:
        """The measurements to claim, JSON."""
        return self.directory / "registers.json"

    @property
    def private(self) -> Path:
        """The folder of what must stay on this host."""
        return self.directory / "private"

    @property
    def platform(self) -> Path:
        """Certificates and keys, JSON."""
        return self.private / "platform.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folders where missing, and hold this platform's lock against every other process and thread."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.private.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(self.private / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def read_file(path: Path) -> bytes:
    """Read a whole file.

    :raises OSError: it cannot be read; :raises ValueError: it is too large to be one of these.
    """
    with path.open("rb") as file:
        content = file.read(_MAX_FILE_SIZE + 1)
    if len(content) > _MAX_FILE_SIZE:
        raise ValueError(f"larger than {_MAX_FILE_SIZE} bytes")
    return content


def replace_file(path: Path, content: bytes) -> None:
    """Put a file in place whole: a reader sees the old one or the new one. Mode 0600."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def encode_platform(identity: PlatformIdentity, pki: SimulatedPki) -> bytes:
    """Certificates and keys as the private file has them."""
    members: dict[str, Any] = {"version": FORM_VERSION, "identity": _encode_identity(identity)}
    for name in _SIGNERS:
        signer: Signer = getattr(pki, name)
        key = signer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        members[name] = {"certificate": signer.certificate_pem.decode("ascii"), "key": key.decode("ascii")}
    return json.dumps(members, indent=1).encode()


def decode_platform(encoded: bytes) -> tuple[PlatformIdentity, SimulatedPki]:
    """Read what :func:`encode_platform` wrote.

    :raises ValueError: it is not that.
    """
    members = json.loads(encoded)
    if not isinstance(members, dict) or members.get("version") != FORM_VERSION:
        raise ValueError(f"not of version {FORM_VERSION}")
    try:
        identity = _decode_identity(members["identity"])
        signers = {name: _decode_signer(members[name]) for name in _SIGNERS}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"a member is missing or of the wrong type: {error}") from error
    return identity, SimulatedPki(**signers)


def encode_registers(measurements: TdMeasurements) -> bytes:
    """The measurements as the file has them."""
    return json.dumps({name: value.hex() for name, value in asdict(measurements).items()}, indent=1).encode() + b"\n"


def decode_registers(encoded: bytes) -> TdMeasurements:
    """Read the measurements to claim; what is not named keeps its default.

    :raises ValueError: an unknown name, or a value that is not 96 hex digits.
    """
    members = json.loads(encoded)
    if not isinstance(members, dict):
        raise ValueError("not a JSON object")
    names = [attribute.name for attribute in fields(TdMeasurements)]
    values: dict[str, bytes] = {}
    for name, text in members.items():
        if name not in names:
            raise ValueError(f"{name!r} is not one of {', '.join(names)}")
        try:
            values[name] = bytes.fromhex(text)
        except (TypeError, ValueError):
            values[name] = b""
        if len(values[name]) != 48:
            raise ValueError(f"the value of {name!r} is not 96 hex digits")
    return TdMeasurements(**values)


_SIGNERS: Final = tuple(attribute.name for attribute in fields(SimulatedPki))


def _encode_identity(identity: PlatformIdentity) -> dict[str, Any]:
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in asdict(identity).items()}


def _decode_identity(members: dict[str, Any]) -> PlatformIdentity:
    default = asdict(PlatformIdentity())
    values: dict[str, Any] = {}
    for name, example in default.items():
        value = members[name]
        if isinstance(example, bytes):
            values[name] = bytes.fromhex(value)
        else:
            values[name] = type(example)(value)
    return PlatformIdentity(**values)


def _decode_signer(members: dict[str, Any]) -> Signer:
    certificate = x509.load_pem_x509_certificate(members["certificate"].encode())
    key = load_pem_private_key(members["key"].encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise ValueError("a key does not belong to its certificate")
    return Signer(certificate=certificate, key=key)
