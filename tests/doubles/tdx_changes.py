"""Changes of one part of a scenario of TDX evidence, and what attackers with some key would make of it."""

from collections.abc import Callable
from datetime import timedelta

from attrs import evolve
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from cvmproxy.attestation.tdx_quote import Quote, parse_quote
from cvmproxy.attestation.tdx_report import ServiceTdBinding
from cvmproxy.platform.simulated_collateral import SimulatedCollateral
from cvmproxy.platform.simulated_pki import (
    CertificateTemplate,
    Signer,
    SimulatedPki,
    mint_certificate,
    mint_crl,
    mint_key,
    raw_signature,
)
from doubles.simulated import NOW, platform, seeded
from doubles.tdx_scenarios import Scenario

DAY = timedelta(days=1)
Change = Callable[[Scenario], None]


def flipped(data: bytes, offset: int) -> bytes:
    return data[:offset] + bytes((data[offset] ^ 1,)) + data[offset + 1 :]


# -- changes of one part, by name of the part


def report(**changes: object) -> Change:
    def change(scenario: Scenario) -> None:
        scenario.report = evolve(scenario.report, **changes)

    return change


def qe_report(**changes: object) -> Change:
    def change(scenario: Scenario) -> None:
        scenario.qe_report = evolve(scenario.qe_report, **changes)

    return change


def identity(**changes: object) -> Change:
    return lambda scenario: scenario.identify(**changes)


def tcb_info(**changes: object) -> Change:
    return lambda scenario: scenario.tcb_info.update(changes)


def qe_identity(**changes: object) -> Change:
    return lambda scenario: scenario.qe_identity.update(changes)


def without(part: str, member: str) -> Change:
    return lambda scenario: getattr(scenario, part).pop(member)


def template(name: str, **changes: object) -> Change:
    def change(scenario: Scenario) -> None:
        certificate = evolve(getattr(scenario.templates, name), **changes)
        scenario.templates = evolve(scenario.templates, **{name: certificate})

    return change


def scenario(**changes: object) -> Change:
    def change(scenario: Scenario) -> None:
        for name, value in changes.items():
            setattr(scenario, name, value)

    return change


def quote_byte(offset: int) -> Change:
    return scenario(altered_quote=lambda quote, pki: flipped(quote, offset))


def quote_parsed(alter: Callable[[Quote], Quote]) -> Change:
    return scenario(altered_quote=lambda quote, pki: alter(parse_quote(quote)).serialise())


def signature(**changes: Callable[[bytes], bytes]) -> Change:
    """Change parts of the signature data by functions of their bytes."""

    def alter(quote: Quote) -> Quote:
        found = {name: function(getattr(quote.signature, name)) for name, function in changes.items()}
        return evolve(quote, signature=evolve(quote.signature, **found))

    return quote_parsed(alter)


def collateral(alter: Callable[[SimulatedCollateral, SimulatedPki], SimulatedCollateral]) -> Change:
    return scenario(altered_collateral=alter)


def pem(*signers: Signer) -> bytes:
    return b"".join(signer.certificate_pem for signer in signers)


def chain_in_quote(choose: Callable[[SimulatedPki], bytes]) -> Change:
    def alter(quote: bytes, pki: SimulatedPki) -> bytes:
        parsed = parse_quote(quote)
        return evolve(parsed, signature=evolve(parsed.signature, pck_chain_pem=choose(pki))).serialise()

    return scenario(altered_quote=alter)


def level(part: str, index: int, **changes: object) -> Change:
    return lambda scenario: getattr(scenario, part)["tcbLevels"][index].update(changes)


def module_level(index: int, **changes: object) -> Change:
    return lambda scenario: scenario.tcb_info["tdxModuleIdentities"][0]["tcbLevels"][index].update(changes)


def module_identity(**changes: object) -> Change:
    return lambda scenario: scenario.tcb_info["tdxModuleIdentities"][0].update(changes)


def tcb_components(**changes: object) -> Change:
    return lambda scenario: scenario.tcb_info["tcbLevels"][0]["tcb"].update(changes)


def both(*changes: Change) -> Change:
    def change(scenario: Scenario) -> None:
        for each in changes:
            each(scenario)

    return change


# -- attackers


def own_attestation_key(quote: bytes, _pki: SimulatedPki) -> bytes:
    """Sign the quote with a key of one's own, keeping the QE report of an honest platform."""
    key = mint_key(seeded(9))
    numbers = key.public_key().public_numbers()
    parsed = parse_quote(quote)
    forged = evolve(
        parsed.signature,
        attestation_key=numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big"),
        quote_signature=raw_signature(key, parsed.signed_part),
    )
    return evolve(parsed, signature=forged).serialise()


def own_pck_key(quote: bytes, _pki: SimulatedPki) -> bytes:
    """Sign the QE report with a key of one's own, keeping the PCK chain of an honest platform."""
    parsed = parse_quote(quote)
    forged = raw_signature(mint_key(seeded(9)), parsed.signature.qe_report.raw)
    return evolve(parsed, signature=evolve(parsed.signature, qe_report_signature=forged)).serialise()


def namesake_of(signer: Signer) -> Signer:
    """Another key under the same subject name."""
    return Signer(certificate=signer.certificate, key=mint_key(seeded(11)))


def crl(issuer: Signer, *revoked: int) -> bytes:
    return mint_crl(issuer, this_update=NOW - DAY, next_update=NOW + DAY, revoked_serials=revoked)


def old_crl(issuer: Signer) -> bytes:
    return mint_crl(issuer, this_update=NOW - 3 * DAY, next_update=NOW - DAY)


def future_crl(issuer: Signer) -> bytes:
    return mint_crl(issuer, this_update=NOW + DAY, next_update=NOW + 3 * DAY)


def partial_crl(issuer: Signer) -> bytes:
    """A CRL that says, critically, that it is about CAs alone."""
    scope = x509.IssuingDistributionPoint(None, None, False, True, None, False, False)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(NOW - DAY)
        .next_update(NOW + DAY)
        .add_extension(scope, critical=True)
    )
    return builder.sign(issuer.key, SHA256()).public_bytes(Encoding.DER)


def signer_in_place_of_ca(pki: SimulatedPki) -> SimulatedPki:
    """A PCK leaf issued by the TCB signing certificate, which is no CA."""
    leaf = mint_certificate(
        CertificateTemplate(
            common_name="Intel SGX PCK Certificate",
            not_before=NOW - DAY,
            not_after=NOW + DAY,
            sgx_extension_der=extension_of(pki.pck),
        ),
        issuer=pki.tcb_signing,
        random=seeded(12),
    )
    return evolve(pki, pck=leaf, platform_ca=pki.tcb_signing)


def extension_of(pck: Signer) -> bytes:
    found = pck.certificate.extensions.get_extension_for_oid(x509.ObjectIdentifier("1.2.840.113741.1.13.1")).value
    assert isinstance(found, x509.UnrecognizedExtension)
    return found.value


def leaf_with(*extensions: tuple[x509.ExtensionType, bool], hash_name: type = SHA256) -> Change:
    """A PCK leaf by the right CA, with these extensions beside the SGX one."""

    def alter(pki: SimulatedPki) -> SimulatedPki:
        key = mint_key(seeded(13))
        builder = (
            x509.CertificateBuilder()
            .subject_name(pki.pck.certificate.subject)
            .issuer_name(pki.platform_ca.certificate.subject)
            .public_key(key.public_key())
            .serial_number(77)
            .not_valid_before(NOW - DAY)
            .not_valid_after(NOW + DAY)
        )
        sgx = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.840.113741.1.13.1"), extension_of(pki.pck))
        for extension, critical in (*extensions, (sgx, False)):
            builder = builder.add_extension(extension, critical)
        return evolve(pki, pck=Signer(certificate=builder.sign(pki.platform_ca.key, hash_name()), key=key))

    return scenario(altered_pki=alter)


def key_usage(**changes: bool) -> x509.KeyUsage:
    names = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign "
        "encipher_only decipher_only"
    )
    return x509.KeyUsage(**{**dict.fromkeys(names.split(), False), **changes})


SIGNS = (key_usage(digital_signature=True), True)
NO_CA = (x509.BasicConstraints(False, None), True)
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.9900.7"), b"\x05\x00")
TD_1_5 = ServiceTdBinding(tee_tcb_svn2=bytes(16), mr_service_td=bytes(48))
STRANGER = platform(2)
STRANGER_COLLATERAL = STRANGER.collateral(NOW)
