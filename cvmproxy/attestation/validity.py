"""Validity windows: one comparison, and one wording that names the skew, for certificates, CRLs and collateral."""

from datetime import datetime

from attrs import frozen

from cvmproxy.errors import CvmproxyError


@frozen(kw_only=True)
class WindowCodes:
    """The errors of a window: of which class, and with which codes."""

    error: type[CvmproxyError]
    expired: str
    not_yet_valid: str


def require_validity(what: str, start: datetime, end: datetime, now: datetime, codes: WindowCodes) -> None:
    """Demand ``start`` ≤ ``now`` ≤ ``end`` (aware, UTC).

    :raises CvmproxyError: of the class and with the code that ``codes`` gives.
    """
    if now < start:
        raise codes.error(
            codes.not_yet_valid,
            f"{what} is valid from {start:%Y-%m-%dT%H:%M:%SZ} on, which is {start - now} from now: compare the clocks",
        )
    if now > end:
        raise codes.error(
            codes.expired,
            f"{what} was valid until {end:%Y-%m-%dT%H:%M:%SZ}, which is {now - end} ago",
        )
