"""A simulated platform that lives in a directory and is made on first use (cli, "Simulated evidence").

Two processes may make it at once: one wins, both use it. Where the keys are, collateral is renewed before it runs
out; a host that has only the public files reads them again. Everything here blocks: at start-up, or in a thread.
"""

import os
import pwd
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from attrs import field, frozen
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cvmproxy.errors import ConfigurationError
from cvmproxy.platform.simulated_collateral import SimulatedCollateral
from cvmproxy.platform.simulated_files import (
    StorePaths,
    decode_platform,
    decode_registers,
    encode_platform,
    encode_registers,
    read_file,
    replace_file,
)
from cvmproxy.platform.simulated_pki import Randomness
from cvmproxy.platform.simulated_platform import SimulatedPlatform, assemble_platform, mint_platform
from cvmproxy.platform.simulated_quote import TdMeasurements

#: Of the thirty days that collateral lives: early enough for hosts that copy the public files now and then.
RENEW_BEFORE: Final = timedelta(days=20)


def home_directory(environment: Mapping[str, str]) -> Path | None:
    """Return the user's home directory; ``None`` for a user whom the system does not know, as containers have them."""
    of_session = environment.get("HOME", "")
    if of_session.startswith("/"):
        return Path(of_session)
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return None


def default_directory(environment: Mapping[str, str], home: Path | None) -> Path | None:
    """Where the simulated platform is unless the operator says: systemd's state directory, or the user's own.

    ``None`` where there is neither.
    """
    of_service = environment.get("STATE_DIRECTORY", "").split(":")[0]
    if of_service:
        return Path(of_service) / "simulated"
    of_user = environment.get("XDG_STATE_HOME", "")
    # The XDG base directory specification has relative paths ignored.
    if of_user.startswith("/"):
        return Path(of_user) / "cvmproxy" / "simulated"
    return None if home is None else home / ".local" / "state" / "cvmproxy" / "simulated"


@frozen(kw_only=True)
class SimulatedStore:
    """A simulated platform in a directory.

    :ivar now: the clock (aware, UTC).
    """

    directory: Path
    now: Callable[[], datetime]
    random: Randomness = field(default=os.urandom, repr=False)

    @property
    def _paths(self) -> StorePaths:
        return StorePaths(self.directory)

    def platform(self) -> SimulatedPlatform:
        """Return the platform, made first where there is none.

        :raises ConfigurationError: the directory cannot be used, or has a platform's public files only.
        """
        with self._refusing():
            if not self._has_keys():
                self._make()
            platform = self._read_platform()
        self.collateral()
        return platform

    def root(self) -> x509.Certificate:
        """Return the root that a verifying side trusts; a platform is made first where there is none.

        :raises ConfigurationError: the directory cannot be used.
        """
        with self._refusing():
            if not self._paths.root.exists():
                if self._has_keys():
                    # Making it was interrupted, or is going on in another process.
                    self._read_platform()
                else:
                    self._make()
            with _naming(self._paths.root):
                return x509.load_pem_x509_certificate(read_file(self._paths.root))

    def collateral(self) -> SimulatedCollateral:
        """Return the collateral as it is on disk; first renewed where it runs out soon and the keys are here.

        :raises ConfigurationError: it cannot be read, or not be renewed.
        """
        with self._refusing():
            if not self._has_keys():
                return self._read_collateral()
            current = self._collateral_if_any()
            if current is None or self.runs_out_soon(current):
                with self._paths.locked():
                    current = self._renewed()
            return current

    def runs_out_soon(self, collateral: SimulatedCollateral) -> bool:
        """Whether it is time to renew or to read again."""
        return collateral.next_update - self.now() < RENEW_BEFORE

    def _has_keys(self) -> bool:
        try:
            return self._paths.platform.exists()
        except PermissionError:
            # The folder belongs to another user: to this one it is a directory of public files.
            return False

    def _make(self) -> None:
        paths = self._paths
        if paths.root.exists():
            raise ConfigurationError(
                "bad-simulated-platform",
                f"{self.directory} has the public files of a simulated platform and not its keys: it can be trusted "
                "here, and no evidence can be made with it",
            )
        with paths.locked():
            # Whoever held the lock before may have made it.
            if paths.platform.exists():
                return
            made = mint_platform(now=self.now(), random=self.random)
            if not paths.registers.exists():
                replace_file(paths.registers, encode_registers(TdMeasurements()))
            replace_file(paths.platform, encode_platform(made.identity, made.pki))
            replace_file(paths.collateral, made.collateral(self.now()).to_json())
            replace_file(paths.root, made.pki.root.certificate_pem)

    def _read_platform(self) -> SimulatedPlatform:
        paths = self._paths
        with _naming(paths.platform):
            if paths.platform.stat().st_mode & 0o077:
                raise ValueError("other users may read it: its mode must be 0600")
            identity, pki = decode_platform(read_file(paths.platform))
            signers = (pki.root, pki.platform_ca, pki.pck, pki.tcb_signing)
            ends = min(signer.certificate.not_valid_after_utc for signer in signers)
            if ends <= self.now():
                raise ValueError(
                    f"its certificates ran out on {ends:%Y-%m-%d}; remove the directory for a new platform"
                )
        measurements = TdMeasurements()
        if paths.registers.exists():
            with _naming(paths.registers):
                measurements = decode_registers(read_file(paths.registers))
        self._publish_root(pki.root.certificate.public_bytes(Encoding.PEM))
        return assemble_platform(pki, identity=identity, measurements=measurements, random=self.random)

    def _publish_root(self, root_pem: bytes) -> None:
        path = self._paths.root
        # Absent only where making it was interrupted, after the keys were in place.
        if not path.exists():
            with self._paths.locked():
                replace_file(path, root_pem)
        with _naming(path):
            if read_file(path) != root_pem:
                raise ValueError("it is not the root of the platform whose keys are beside it")

    def _renewed(self) -> SimulatedCollateral:
        current = self._collateral_if_any()
        if current is not None and not self.runs_out_soon(current):
            return current
        renewed = self._read_platform_for_renewal().collateral(self.now())
        replace_file(self._paths.collateral, renewed.to_json())
        return renewed

    def _read_platform_for_renewal(self) -> SimulatedPlatform:
        with _naming(self._paths.platform):
            identity, pki = decode_platform(read_file(self._paths.platform))
        return assemble_platform(pki, identity=identity, measurements=TdMeasurements(), random=self.random)

    def _collateral_if_any(self) -> SimulatedCollateral | None:
        return self._read_collateral() if self._paths.collateral.exists() else None

    def _read_collateral(self) -> SimulatedCollateral:
        with _naming(self._paths.collateral):
            collateral = SimulatedCollateral.from_json(read_file(self._paths.collateral))
            # Read once here, so that a malformed body is named with its file.
            _ = collateral.fmspc, collateral.next_update
            return collateral

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            where = error.filename or self.directory
            raise ConfigurationError(
                "bad-simulated-platform",
                f"the simulated platform (--simulated-platform) cannot be used: {where}: {error.strerror}",
            ) from error


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ConfigurationError("bad-simulated-platform", f"{path} cannot be used: {error}") from error
