"""The collateral of the simulated TDX platform, minted: TCB info, QE identity, CRLs (attestation formats).

Pure, as the certificates are. TCB info and QE identity are plain JSON trees until they are signed, so a test alters
what it wants and has it signed over the exact bytes. One set is kept and shipped as one JSON object in the nine fields
of dcap-qvl.
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Self, TypeAlias

from attrs import asdict, field, fields, frozen

from cvmproxy.attestation.model import Endorsement, EndorsementRequest
from cvmproxy.platform.simulated_pki import BACKDATING, PlatformIdentity, SimulatedPki, mint_crl

JsonObject: TypeAlias = dict[str, Any]

#: As Intel's: TCB info, QE identity and PCK CRL live about 30 days, the root CRL about a year.
COLLATERAL_LIFETIME: Final = timedelta(days=30)
ROOT_CRL_LIFETIME: Final = timedelta(days=365)

#: Identity of the simulated quoting enclave: no enclave of Intel's has this signer.
QE_MRSIGNER: Final = bytes.fromhex("51a1517e") * 8
QE_ISV_PROD_ID: Final = 2
QE_ISV_SVN: Final = 4
QE_ATTRIBUTES: Final = bytes.fromhex("1500000000000000e700000000000000")

#: Version and build of the simulated TDX module: TEE_TCB_SVN[1] and TEE_TCB_SVN[0].
TDX_MODULE_VERSION: Final = 1
TDX_MODULE_ISV_SVN: Final = 5
TDX_MICROCODE_SVN: Final = 2


@frozen(kw_only=True)
class SimulatedCollateral:
    """One complete set, with the field names of dcap-qvl. DER and signatures as bytes, JSON bodies as signed.

    :ivar tcb_info: the exact bytes that were signed; likewise ``qe_identity``.
    """

    pck_crl_issuer_chain: bytes = field(repr=False)
    root_ca_crl: bytes = field(repr=False)
    pck_crl: bytes = field(repr=False)
    tcb_info_issuer_chain: bytes = field(repr=False)
    tcb_info: bytes = field(repr=False)
    tcb_info_signature: bytes = field(repr=False)
    qe_identity_issuer_chain: bytes = field(repr=False)
    qe_identity: bytes = field(repr=False)
    qe_identity_signature: bytes = field(repr=False)

    @property
    def tcb_info_body(self) -> bytes:
        """The body of the TCB info answer."""
        return _signed_body("tcbInfo", self.tcb_info, self.tcb_info_signature)

    @property
    def qe_identity_body(self) -> bytes:
        """The body of the QE identity answer."""
        return _signed_body("enclaveIdentity", self.qe_identity, self.qe_identity_signature)

    @property
    def fmspc(self) -> str:
        """The platform that the TCB info is about, lower-case hex."""
        return str(json.loads(self.tcb_info)["fmspc"]).lower()

    @property
    def next_update(self) -> datetime:
        """When the first of TCB info and QE identity runs out (UTC); the CRLs are minted to live as long or longer."""
        return min(_moment(json.loads(body)["nextUpdate"]) for body in (self.tcb_info, self.qe_identity))

    def endorsements(self) -> Mapping[EndorsementRequest, Endorsement]:
        """Every piece under the request that asks for it (FMSPC in lower-case hex)."""
        return {
            EndorsementRequest("tdx-tcb-info", self.fmspc): Endorsement(
                body=self.tcb_info_body, issuer_chain_pem=self.tcb_info_issuer_chain
            ),
            EndorsementRequest("tdx-qe-identity"): Endorsement(
                body=self.qe_identity_body, issuer_chain_pem=self.qe_identity_issuer_chain
            ),
            EndorsementRequest("pck-crl", "platform"): Endorsement(
                body=self.pck_crl, issuer_chain_pem=self.pck_crl_issuer_chain
            ),
            EndorsementRequest("root-ca-crl"): Endorsement(body=self.root_ca_crl),
        }

    def to_json(self) -> bytes:
        """The nine fields: CRLs and signatures in hex, everything else as text."""
        values = {
            name: value.hex() if name in _HEX_FIELDS else value.decode("ascii") for name, value in asdict(self).items()
        }
        return json.dumps(values, indent=1).encode()

    @classmethod
    def from_json(cls, encoded: bytes) -> Self:
        """Read what :meth:`to_json` wrote; members besides the nine are ignored.

        :raises ValueError: it is not that.
        """
        values = json.loads(encoded)
        if not isinstance(values, dict):
            raise ValueError("not a JSON object")
        members: dict[str, bytes] = {}
        for name in (attribute.name for attribute in fields(cls)):
            text = values.get(name)
            if not isinstance(text, str):
                raise ValueError(f"no text member {name!r}")
            members[name] = bytes.fromhex(text) if name in _HEX_FIELDS else text.encode()
        return cls(**members)


_HEX_FIELDS: Final = frozenset({"root_ca_crl", "pck_crl", "tcb_info_signature", "qe_identity_signature"})


def mint_collateral(
    pki: SimulatedPki,
    *,
    tcb_info: JsonObject,
    qe_identity: JsonObject,
    now: datetime,
    revoked_by_platform_ca: tuple[int, ...] = (),
    revoked_by_root: tuple[int, ...] = (),
) -> SimulatedCollateral:
    """Sign a complete set at ``now``.

    :param revoked_by_platform_ca: serial numbers in the PCK CRL; ``revoked_by_root`` those in the root CRL.
    """
    tcb_info_bytes, qe_identity_bytes = _compact(tcb_info), _compact(qe_identity)
    since = now - BACKDATING
    return SimulatedCollateral(
        pck_crl_issuer_chain=pki.pck_crl_issuer_chain_pem,
        root_ca_crl=mint_crl(
            pki.root, this_update=since, next_update=now + ROOT_CRL_LIFETIME, revoked_serials=revoked_by_root
        ),
        pck_crl=mint_crl(
            pki.platform_ca,
            this_update=since,
            next_update=now + COLLATERAL_LIFETIME,
            revoked_serials=revoked_by_platform_ca,
        ),
        tcb_info_issuer_chain=pki.tcb_signing_chain_pem,
        tcb_info=tcb_info_bytes,
        tcb_info_signature=pki.tcb_signing.sign_raw(tcb_info_bytes),
        qe_identity_issuer_chain=pki.tcb_signing_chain_pem,
        qe_identity=qe_identity_bytes,
        qe_identity_signature=pki.tcb_signing.sign_raw(qe_identity_bytes),
    )


def default_tcb_info(platform: PlatformIdentity, now: datetime) -> JsonObject:
    """TCB info in which the simulated platform is up to date, and one level below is out of date."""
    since = _timestamp(now - BACKDATING)
    module = {"mrsigner": "00" * 48, "attributes": "00" * 8, "attributesMask": "FF" * 8}
    tdx_svns = [TDX_MODULE_ISV_SVN, 0, TDX_MICROCODE_SVN] + [0] * 13
    return {
        "id": "TDX",
        "version": 3,
        "issueDate": since,
        "nextUpdate": _timestamp(now + COLLATERAL_LIFETIME),
        "fmspc": platform.fmspc.hex().upper(),
        "pceId": platform.pce_id.hex().upper(),
        "tcbType": 0,
        "tcbEvaluationDataNumber": 17,
        "tdxModule": module,
        "tdxModuleIdentities": [
            {
                "id": f"TDX_{TDX_MODULE_VERSION:02X}",
                **module,
                "tcbLevels": [
                    _level({"isvsvn": TDX_MODULE_ISV_SVN}, since, "UpToDate"),
                    _level({"isvsvn": TDX_MODULE_ISV_SVN - 1}, since, "OutOfDate"),
                ],
            }
        ],
        "tcbLevels": [
            _level(_platform_tcb(platform.component_svns, platform.pce_svn, tdx_svns), since, "UpToDate"),
            _level(_platform_tcb((0,) * 16, 0, [0] * 16), since, "OutOfDate"),
        ],
    }


def default_qe_identity(now: datetime) -> JsonObject:
    """The identity of the simulated quoting enclave, up to date."""
    since = _timestamp(now - BACKDATING)
    return {
        "id": "TD_QE",
        "version": 2,
        "issueDate": since,
        "nextUpdate": _timestamp(now + COLLATERAL_LIFETIME),
        "tcbEvaluationDataNumber": 17,
        "miscselect": "00000000",
        "miscselectMask": "FFFFFFFF",
        "attributes": "11000000000000000000000000000000",
        "attributesMask": "FBFFFFFFFFFFFFFF0000000000000000",
        "mrsigner": QE_MRSIGNER.hex().upper(),
        "isvprodid": QE_ISV_PROD_ID,
        "tcbLevels": [
            _level({"isvsvn": QE_ISV_SVN}, since, "UpToDate"),
            _level({"isvsvn": QE_ISV_SVN - 1}, since, "OutOfDate"),
        ],
    }


def _platform_tcb(sgx_svns: tuple[int, ...], pce_svn: int, tdx_svns: list[int]) -> JsonObject:
    return {
        "sgxtcbcomponents": [{"svn": svn} for svn in sgx_svns],
        "pcesvn": pce_svn,
        "tdxtcbcomponents": [{"svn": svn} for svn in tdx_svns],
    }


def _level(tcb: JsonObject, since: str, status: str) -> JsonObject:
    return {"tcb": tcb, "tcbDate": since, "tcbStatus": status}


def _timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(timestamp: str) -> datetime:
    moment = datetime.fromisoformat(timestamp)
    if moment.tzinfo is None:
        raise ValueError(f"{timestamp!r} names no time zone")
    return moment


def _compact(tree: JsonObject) -> bytes:
    return json.dumps(tree, separators=(",", ":")).encode()


def _signed_body(member: str, body: bytes, signature: bytes) -> bytes:
    # Assembled, never re-serialised: the signature is over these exact bytes.
    return b'{"%s":%s,"signature":"%s"}' % (member.encode(), body, signature.hex().encode())
