"""The registry against the wire contract's table of variants."""

import pytest
from doubles.attested import SettableClock, settings

from cvmproxy.errors import ConfigurationError
from cvmproxy.schemes import SCHEMES
from cvmproxy.schemes.azure_tdx import AZURE_TDX
from cvmproxy.schemes.dcap_tdx import DCAP_TDX
from cvmproxy.schemes.simulated import SIMULATED

TABLE = [
    ("simulated", "1.3.9900.1.1", "simulated", 48),
    ("azure-tdx", "1.3.9900.4.3", "azure-tdx", 32),
    ("dcap-tdx", "1.3.9900.5.99", "qemu-tdx", 48),
]


@pytest.mark.parametrize(("name", "oid", "label", "size"), TABLE)
def test_a_scheme_is_the_one_of_the_wire_contract(name, oid, label, size):
    (scheme,) = (scheme for scheme in SCHEMES if scheme.oid == oid)
    assert (scheme.name, scheme.oid, scheme.header_label, scheme.registers.size) == (name, oid, label, size)


def test_the_registry_holds_these_and_no_other():
    assert sorted(scheme.name for scheme in SCHEMES) == sorted(name for name, *_ in TABLE)


def test_names_aliases_oids_and_option_words_are_unique():
    names = [name for scheme in SCHEMES for name in (scheme.name, *scheme.aliases, scheme.remote_name) if name]
    assert len(set(names)) == len(names)
    assert len({scheme.oid for scheme in SCHEMES}) == len(SCHEMES)


def test_an_alias_means_the_same():
    assert [scheme.name for scheme in SCHEMES if scheme.measured_type.is_called("qemu-tdx")] == ["dcap-tdx"]


def test_the_word_for_a_remote_provider_presents_dcap_tdx():
    assert [(scheme.remote_name, scheme.name) for scheme in SCHEMES if scheme.remote_name] == [("dummy", "dcap-tdx")]


def test_only_the_simulated_scheme_is_for_development():
    assert [scheme.name for scheme in SCHEMES if scheme.development_only] == ["simulated"]


def test_what_this_version_cannot_do_is_absent():
    assert (DCAP_TDX.present, DCAP_TDX.verify) == (None, None)
    assert (AZURE_TDX.present, AZURE_TDX.verify, AZURE_TDX.present_remote) == (None, None, None)
    assert SIMULATED.present
    assert SIMULATED.verify


def test_a_remote_provider_must_be_named(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        DCAP_TDX.present_remote(settings(tmp_path, SettableClock()))
    assert caught.value.code == "bad-option"
    assert "--dev-dummy-dcap" in caught.value.message
