"""Real quotes and collateral of the vectors folder, in the types of the package."""

from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from cvmproxy.attestation.certificate_chain import TrustRoot, load_chain
from cvmproxy.attestation.dcap import DcapCollateral, read_quote
from cvmproxy.attestation.model import Endorsement
from cvmproxy.platform.simulated_collateral import SimulatedCollateral

INTEL_ROOT_SHA256 = "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3"
TDX_QUOTES = (
    "go-tdx-guest__tdx_prod_quote_SPR_E4.dat",
    "qvl07__tdx_quote",
    "qvl07__tdx_quote_outdated",
    "qvl07__tdx_quote_td15ex",
    "trustee__td-quote.bin",
    "trustee__tdx_quote_4.dat",
)


def intel_root(folder: Path) -> TrustRoot:
    """The Intel SGX Root CA as real quotes carry it, pinned by its digest."""
    quote = read_quote((folder / "qvl07__tdx_quote").read_bytes())
    root_der = load_chain(quote.quote.signature.pck_chain_pem)[-1].public_bytes(Encoding.DER)
    assert sha256(root_der).hexdigest() == INTEL_ROOT_SHA256
    return TrustRoot.from_der(root_der)


def nine_fields(folder: Path, name: str) -> str:
    """The collateral as dcap-qvl reads it: the file may hold the PCK chain of another quote besides."""
    return SimulatedCollateral.from_json((folder / name).read_bytes()).to_json().decode()


def collateral(folder: Path, name: str) -> DcapCollateral:
    # The same nine fields as the simulated platform's own file.
    found = SimulatedCollateral.from_json((folder / name).read_bytes())
    return DcapCollateral(
        tcb_info=Endorsement(body=found.tcb_info_body, issuer_chain_pem=found.tcb_info_issuer_chain),
        qe_identity=Endorsement(body=found.qe_identity_body, issuer_chain_pem=found.qe_identity_issuer_chain),
        pck_crl=found.pck_crl,
        root_crl=found.root_ca_crl,
    )
