"""Quotes of the simulated TDX platform, minted (attestation formats, "TDX quote").

A quoting enclave is provisioned once: its attestation key, and its report, which binds that key and is signed by the
PCK key. After that a quote costs one signature. Pure: randomness is an argument, ECDSA is deterministic. Every field
is an argument with an honest default, so that tests mint correctly signed mutants.
"""

import struct
from hashlib import sha256, sha384
from typing import Final

from attrs import field, frozen
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cvmproxy.attestation.tdx_quote import INTEL_QE_VENDOR_ID
from cvmproxy.attestation.tdx_report import TdReport
from cvmproxy.platform.simulated_collateral import (
    QE_ATTRIBUTES,
    QE_ISV_PROD_ID,
    QE_ISV_SVN,
    QE_MRSIGNER,
    TDX_MICROCODE_SVN,
    TDX_MODULE_ISV_SVN,
    TDX_MODULE_VERSION,
)
from cvmproxy.platform.simulated_pki import PlatformIdentity, Randomness, SimulatedPki, mint_key, raw_signature

KEY_TYPE_ECDSA_P256: Final = 2
TEE_TYPE_TDX: Final = 0x81

_SEPT_VE_DISABLE: Final = bytes.fromhex("0000001000000000")
_XFAM: Final = bytes.fromhex("e702060000000000")


def _simulated(what: str) -> bytes:
    return sha384(b"cvmproxy simulated TDX platform: " + what.encode()).digest()


@frozen(kw_only=True)
class TdMeasurements:
    """The measurements of a TD: MRTD and the four RTMRs, 48 bytes each. The defaults are the same everywhere."""

    mrtd: bytes = _simulated("MRTD")
    rtmr0: bytes = _simulated("RTMR0")
    rtmr1: bytes = _simulated("RTMR1")
    rtmr2: bytes = _simulated("RTMR2")
    rtmr3: bytes = _simulated("RTMR3")


_MRSEAM: Final = _simulated("MRSEAM")


def td_report(report_data: bytes, measurements: TdMeasurements) -> TdReport:
    """The body of an honest quote, of TD 1.0: as it is, it passes the default policy for dcap-tdx.

    :param report_data: 64 bytes.
    """
    return TdReport(
        tee_tcb_svn=bytes((TDX_MODULE_ISV_SVN, TDX_MODULE_VERSION, TDX_MICROCODE_SVN)) + bytes(13),
        mr_seam=_MRSEAM,
        mr_signer_seam=bytes(48),
        seam_attributes=bytes(8),
        td_attributes=_SEPT_VE_DISABLE,
        xfam=_XFAM,
        mr_td=measurements.mrtd,
        mr_config_id=bytes(48),
        mr_owner=bytes(48),
        mr_owner_config=bytes(48),
        rtmrs=(measurements.rtmr0, measurements.rtmr1, measurements.rtmr2, measurements.rtmr3),
        report_data=report_data,
    )


@frozen(kw_only=True)
class QeReport:
    """The report of the quoting enclave.

    :ivar report_data: 64 bytes; ``None``: what binds the attestation key, SHA-256(key ‖ auth data) ‖ 32 zeros.
    """

    cpu_svn: bytes = PlatformIdentity().cpu_svn
    misc_select: bytes = bytes(4)
    attributes: bytes = QE_ATTRIBUTES
    mrenclave: bytes = sha256(b"cvmproxy simulated TDX platform: quoting enclave").digest()
    mrsigner: bytes = QE_MRSIGNER
    isv_prod_id: int = QE_ISV_PROD_ID
    isv_svn: int = QE_ISV_SVN
    report_data: bytes | None = None

    def encode(self, bound: bytes) -> bytes:
        """384 bytes, with ``bound`` as report data unless it is given."""
        report_data = bound if self.report_data is None else self.report_data
        return b"".join(
            (
                self.cpu_svn,
                self.misc_select,
                bytes(28),
                self.attributes,
                self.mrenclave,
                bytes(32),
                self.mrsigner,
                bytes(96),
                struct.pack("<HH", self.isv_prod_id, self.isv_svn),
                bytes(60),
                report_data,
            )
        )


@frozen(kw_only=True)
class QuotingEnclave:
    """A provisioned quoting enclave: its key, and everything of the signature data that is the same in every quote.

    :ivar certification: QE report, its signature, auth data and PCK chain, encoded with their sizes.
    """

    attestation_key: ec.EllipticCurvePrivateKey = field(repr=False)
    attestation_public: bytes
    certification: bytes = field(repr=False)

    def mint_quote(
        self,
        body: TdReport,
        *,
        version: int = 4,
        body_type: int | None = None,
        key_type: int = KEY_TYPE_ECDSA_P256,
        tee_type: int = TEE_TYPE_TDX,
        vendor_id: bytes = INTEL_QE_VENDOR_ID,
        user_data: bytes = bytes(20),
    ) -> bytes:
        """A signed quote: about 0.1 ms.

        :param version: 4, or 5, which names ``body_type`` (by default the body's own).
        """
        encoded = body.serialise()
        signed = struct.pack("<HHII", version, key_type, tee_type, 0) + vendor_id + user_data
        if version >= 5:
            named = body.body_type if body_type is None else body_type
            signed += struct.pack("<HI", named, len(encoded))
        signed += encoded
        signature_data = raw_signature(self.attestation_key, signed) + self.attestation_public + self.certification
        return signed + struct.pack("<I", len(signature_data)) + signature_data


def provision_quoting_enclave(
    pki: SimulatedPki,
    random: Randomness,
    *,
    report: QeReport | None = None,
    auth_data: bytes = bytes(range(32)),
    pck_chain_pem: bytes | None = None,
) -> QuotingEnclave:
    """Make a quoting enclave whose report the platform's PCK key signs.

    :param pck_chain_pem: the chain in the quotes, by default leaf, CA and root of ``pki``.
    """
    key = mint_key(random)
    public = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
    encoded = (report or QeReport()).encode(sha256(public + auth_data).digest() + bytes(32))
    chain = pki.pck_chain_pem if pck_chain_pem is None else pck_chain_pem
    qe_data = b"".join(
        (
            encoded,
            pki.pck.sign_raw(encoded),
            struct.pack("<H", len(auth_data)),
            auth_data,
            struct.pack("<HI", 5, len(chain)),
            chain,
        )
    )
    return QuotingEnclave(
        attestation_key=key,
        attestation_public=public,
        certification=struct.pack("<HI", 6, len(qe_data)) + qe_data,
    )
