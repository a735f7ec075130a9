"""TDX quotes, versions 4 and 5: bytes to a frozen :class:`Quote` and back.

Layout: Intel "TDX DCAP Quote Generation Library and Quote Verification Library", ECDSA-256 quotes (attestation-formats,
"TDX quote"). All integers are little endian. Nothing here is believed: :mod:`cvmproxy.attestation.dcap` verifies.

Serialising what was parsed gives the same bytes again, so the signed part of a parsed quote is what its signer signed.
"""

from typing import Final

from attrs import field, frozen, validators

from cvmproxy.attestation.byte_reader import ByteReader, TruncatedError
from cvmproxy.attestation.tdx_report import BODY_SIZES, BodyType, TdReport, fixed_bytes, parse_td_report
from cvmproxy.errors import EvidenceError

MAX_QUOTE_SIZE: Final = 64 * 1024
"""Bytes of a quote with all that trails it. Real ones are about 5 KiB, in buffers of up to 8,000."""

INTEL_QE_VENDOR_ID: Final = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")

_ECDSA_P256: Final = 2
_TEE_TDX: Final = 0x81
_QE_REPORT_CERTIFICATION: Final = 6
_PCK_CHAIN_CERTIFICATION: Final = 5


@frozen(kw_only=True)
class QeReport:
    """The SGX report of the quoting enclave, 384 bytes, and what of it is compared.

    :ivar raw: the whole report, over which the PCK key signs.
    """

    raw: bytes = fixed_bytes(384)

    @property
    def misc_select(self) -> bytes:
        """4 bytes."""
        return self.raw[16:20]

    @property
    def attributes(self) -> bytes:
        """16 bytes."""
        return self.raw[48:64]

    @property
    def mr_signer(self) -> bytes:
        """32 bytes."""
        return self.raw[128:160]

    @property
    def isv_prod_id(self) -> int:
        """0–65535."""
        return int.from_bytes(self.raw[256:258], "little")

    @property
    def isv_svn(self) -> int:
        """0–65535."""
        return int.from_bytes(self.raw[258:260], "little")

    @property
    def report_data(self) -> bytes:
        """64 bytes: SHA-256(attestation key ‖ authentication data) ‖ 32 zeros."""
        return self.raw[320:384]


@frozen(kw_only=True)
class QuoteSignature:
    """The signature data of a quote.

    :ivar quote_signature: r‖s, 64 bytes, by the attestation key over the quote's signed part.
    :ivar attestation_key: x‖y, 64 bytes, on P-256.
    :ivar qe_report_signature: r‖s, 64 bytes, by the PCK key over the QE report.
    :ivar qe_authentication_data: what the QE report binds beside the attestation key, usually 32 bytes.
    :ivar pck_chain_pem: leaf, CA and root; real ones end with a zero byte.
    """

    quote_signature: bytes = fixed_bytes(64)
    attestation_key: bytes = fixed_bytes(64)
    qe_report: QeReport
    qe_report_signature: bytes = fixed_bytes(64)
    qe_authentication_data: bytes
    pck_chain_pem: bytes

    def serialise(self) -> bytes:
        """Return the signature data without its size."""
        certification = b"".join(
            (
                self.qe_report.raw,
                self.qe_report_signature,
                len(self.qe_authentication_data).to_bytes(2, "little"),
                self.qe_authentication_data,
                _PCK_CHAIN_CERTIFICATION.to_bytes(2, "little"),
                len(self.pck_chain_pem).to_bytes(4, "little"),
                self.pck_chain_pem,
            )
        )
        return b"".join(
            (
                self.quote_signature,
                self.attestation_key,
                _QE_REPORT_CERTIFICATION.to_bytes(2, "little"),
                len(certification).to_bytes(4, "little"),
                certification,
            )
        )


@frozen(kw_only=True)
class Quote:
    """A TDX quote.

    :ivar version: 4 or 5; a version 4 quote has a body of type TD 1.0.
    :ivar reserved: 4 bytes after the TEE type, zero in every quote seen.
    :ivar qe_vendor_id: 16 bytes; :ivar user_data: 20 bytes of the header.
    :ivar trailing: bytes after the signature data, which nothing signs and nothing reads.
    """

    version: int = field(validator=validators.in_((4, 5)))
    reserved: bytes = fixed_bytes(4)
    qe_vendor_id: bytes = fixed_bytes(16)
    user_data: bytes = fixed_bytes(20)
    report: TdReport
    signature: QuoteSignature
    trailing: bytes

    @property
    def signed_part(self) -> bytes:
        """What the attestation key signs, header and body: everything before the size of the signature data."""
        header = b"".join(
            (
                self.version.to_bytes(2, "little"),
                _ECDSA_P256.to_bytes(2, "little"),
                _TEE_TDX.to_bytes(4, "little"),
                self.reserved,
                self.qe_vendor_id,
                self.user_data,
            )
        )
        body = self.report.serialise()
        if self.version == 4:
            return header + body
        return header + self.report.body_type.to_bytes(2, "little") + len(body).to_bytes(4, "little") + body

    def serialise(self) -> bytes:
        """Return the quote's bytes, trailing ones included."""
        signature = self.signature.serialise()
        return self.signed_part + len(signature).to_bytes(4, "little") + signature + self.trailing


def parse_quote(data: bytes) -> Quote:
    """Parse a quote.

    :raises EvidenceError: ``evidence-unsupported`` for another version, key type, TEE, vendor, body or certification
        type than those of this module; ``evidence-malformed`` for anything else that does not fit the layout.
    """
    if len(data) > MAX_QUOTE_SIZE:
        raise EvidenceError("evidence-malformed", f"the quote has {len(data)} bytes, more than {MAX_QUOTE_SIZE}")
    reader = ByteReader(data)
    try:
        version, reserved, vendor_id, user_data = _parse_header(reader)
        report = parse_td_report(reader, _parse_body_type(reader, version))
        signature = _parse_signature(ByteReader(reader.take(reader.u32())))
    except TruncatedError as error:
        raise EvidenceError("evidence-malformed", f"the quote is cut short: {error}") from None
    return Quote(
        version=version,
        reserved=reserved,
        qe_vendor_id=vendor_id,
        user_data=user_data,
        report=report,
        signature=signature,
        trailing=reader.rest(),
    )


def _parse_header(reader: ByteReader) -> tuple[int, bytes, bytes, bytes]:
    version, key_type, tee_type = reader.u16(), reader.u16(), reader.u32()
    if version not in (4, 5):
        raise _unsupported(f"the quote's version is {version}, not 4 or 5")
    if key_type != _ECDSA_P256:
        raise _unsupported(f"the quote's attestation key type is {key_type}, not 2 (ECDSA P-256)")
    if tee_type != _TEE_TDX:
        raise _unsupported(f"the quote's TEE type is {tee_type:#x}, not 0x81 (TDX)")
    reserved, vendor_id, user_data = reader.take(4), reader.take(16), reader.take(20)
    if vendor_id != INTEL_QE_VENDOR_ID:
        raise _unsupported(f"the quoting enclave's vendor id is {vendor_id.hex()}, not Intel's")
    return version, reserved, vendor_id, user_data


def _parse_body_type(reader: ByteReader, version: int) -> BodyType:
    if version == 4:
        return BodyType.TD_1_0
    number, size = reader.u16(), reader.u32()
    try:
        body_type = BodyType(number)
    except ValueError:
        raise _unsupported(f"the quote's body type is {number}, not 2, 3 or 4") from None
    if size != BODY_SIZES[body_type]:
        raise EvidenceError("evidence-malformed", f"a body of type {number} has {size} bytes")
    return body_type


def _parse_signature(reader: ByteReader) -> QuoteSignature:
    quote_signature, attestation_key = reader.take(64), reader.take(64)
    certification = _certification_data(reader, _QE_REPORT_CERTIFICATION, "QE report")
    qe_report, qe_report_signature = QeReport(raw=certification.take(384)), certification.take(64)
    qe_authentication_data = certification.take(certification.u16())
    pck_chain = _certification_data(certification, _PCK_CHAIN_CERTIFICATION, "PCK certificate chain")
    return QuoteSignature(
        quote_signature=quote_signature,
        attestation_key=attestation_key,
        qe_report=qe_report,
        qe_report_signature=qe_report_signature,
        qe_authentication_data=qe_authentication_data,
        pck_chain_pem=pck_chain.rest(),
    )


def _certification_data(reader: ByteReader, expected_type: int, name: str) -> ByteReader:
    """Read a type and a size, and return the rest of the reader, which must be exactly that long."""
    certification_type, size = reader.u16(), reader.u32()
    if certification_type != expected_type:
        raise _unsupported(f"the {name} has certification type {certification_type}, not {expected_type}")
    rest = reader.rest()
    if len(rest) != size:
        raise EvidenceError("evidence-malformed", f"the {name} says {size} bytes and has {len(rest)}")
    return ByteReader(rest)


def _unsupported(message: str) -> EvidenceError:
    return EvidenceError("evidence-unsupported", message)
