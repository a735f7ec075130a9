"""What an authenticated TDX quote says besides its measurements."""

from collections.abc import Mapping
from datetime import datetime

from attrs import frozen

from cvmproxy.attestation.collateral import TcbStatus
from cvmproxy.attestation.pck import PckExtension
from cvmproxy.attestation.tcb import TcbVerdict
from cvmproxy.attestation.tdx_report import TdReport


@frozen(kw_only=True)
class TdxClaims:
    """The platform's part of the claims (a ``PlatformClaims``). Authentic; nothing in it has met a policy.

    :ivar report: the TD report, every field of the quote's body.
    :ivar pck: what Intel certifies about the platform: FMSPC, PPID, component SVNs.
    :ivar tcb: converged status, advisories and dates.
    :ivar evaluation_data_number: of the TCB info; ``qe_evaluation_data_number``: of the QE identity.
    :ivar not_after: the earliest end of validity of certificates, CRLs and collateral (UTC).
    """

    report: TdReport
    pck: PckExtension
    tcb: TcbVerdict
    evaluation_data_number: int
    qe_evaluation_data_number: int
    not_after: datetime

    @property
    def tcb_status(self) -> TcbStatus:
        """The converged status."""
        return self.tcb.status

    @property
    def advisory_ids(self) -> tuple[str, ...]:
        """Intel's advisories that apply, sorted."""
        return self.tcb.advisory_ids

    @property
    def fmspc(self) -> str:
        """12 hex digits in lower case."""
        return self.pck.fmspc.hex()

    @property
    def ppid(self) -> str:
        """32 hex digits in lower case."""
        return self.pck.ppid.hex()

    @property
    def measurements(self) -> dict[int, bytes]:
        """0 MRTD, 1–4 RTMR0–3, 48 bytes each."""
        return dict(enumerate((self.report.mr_td, *self.report.rtmrs)))

    def facts(self) -> Mapping[str, str]:
        """What to log and show."""
        return {
            "tcb_status": self.tcb_status.value,
            "advisory_ids": ",".join(self.advisory_ids),
            "tcb_date": f"{self.tcb.date:%Y-%m-%d}",
            "tcb_evaluation_data_number": str(self.evaluation_data_number),
            "fmspc": self.fmspc,
            "ppid": self.ppid,
            "mr_seam": self.report.mr_seam.hex(),
            "td_attributes": self.report.td_attributes.hex(),
        }
