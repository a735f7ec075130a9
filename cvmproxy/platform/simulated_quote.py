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

QE_VENDOR_ID: Final = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
KEY_TYPE_ECDSA_P256: Final = 2
TEE_TYPE_TDX: Final = 0x81

_BODY_TYPES: Final = {584: 2, 648: 3, 885: 4}


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


@frozen(kw_only=True)
class TdReport:
    """The body of a quote. As minted by default it passes the default policy for dcap-tdx.

    :ivar report_data: 64 bytes.
    :ivar tee_tcb_svn2: 16 bytes; with ``mrservicetd`` (48 bytes) it makes the body one of TDX 1.5; ``None``: TDX 1.0.
    """

    report_data: bytes
    measurements: TdMeasurements = field(factory=TdMeasurements)
    tee_tcb_svn: bytes = bytes((TDX_MODULE_ISV_SVN, TDX_MODULE_VERSION, TDX_MICROCODE_SVN)) + bytes(13)
    mrseam: bytes = _simulated("MRSEAM")
    mrsignerseam: bytes = bytes(48)
    seam_attributes: bytes = bytes(8)
    td_attributes: bytes = bytes.fromhex("0000001000000000")
    xfam: bytes = bytes.fromhex("e702060000000000")
    mrconfigid: bytes = bytes(48)
    mrowner: bytes = bytes(48)
    mrownerconfig: bytes = bytes(48)
    tee_tcb_svn2: bytes | None = None
    mrservicetd: bytes = bytes(48)

    def encode(self) -> bytes:
        """584 bytes, or 648 with ``tee_tcb_svn2``."""
        registers = self.measurements
        encoded = b"".join(
            (
                self.tee_tcb_svn,
                self.mrseam,
                self.mrsignerseam,
                self.seam_attributes,
                self.td_attributes,
                self.xfam,
                registers.mrtd,
                self.mrconfigid,
                self.mrowner,
                self.mrownerconfig,
                registers.rtmr0,
                registers.rtmr1,
                registers.rtmr2,
                registers.rtmr3,
                self.report_data,
            )
        )
        return encoded if self.tee_tcb_svn2 is None else encoded + self.tee_tcb_svn2 + self.mrservicetd


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
        body: TdReport | bytes,
        *,
        version: int = 4,
        body_type: int | None = None,
        key_type: int = KEY_TYPE_ECDSA_P256,
        tee_type: int = TEE_TYPE_TDX,
        vendor_id: bytes = QE_VENDOR_ID,
        user_data: bytes = bytes(20),
    ) -> bytes:
        """A signed quote: about 0.1 ms.

        :param version: 4, or 5, which names ``body_type`` (by default the one that the body's size tells).
        """
        encoded = body if isinstance(body, bytes) else body.encode()
        signed = struct.pack("<HHII", version, key_type, tee_type, 0) + vendor_id + user_data
        if version >= 5:
            signed += struct.pack(
                "<HI", _BODY_TYPES.get(len(encoded), 0) if body_type is None else body_type, len(encoded)
            )
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
