import pytest
from doubles.measured_types import DCAP, DCAP_REGISTERS, VTPM_REGISTERS


@pytest.mark.parametrize(
    ("spelling", "index"),
    [("0", 0), ("4", 4), ("mrtd", 0), ("MRTD", 0), ("Rtmr3", 4), ("5", None), ("01", None), ("", None), ("pcr0", None)],
)
def test_spellings_of_dcap_registers(spelling: str, index: int | None) -> None:
    assert DCAP_REGISTERS.index_of(spelling) == index


def test_every_pcr_has_two_spellings() -> None:
    assert [VTPM_REGISTERS.index_of(str(index)) for index in range(25)] == [*range(24), None]
    assert [VTPM_REGISTERS.index_of(f"pcr{index}") for index in range(25)] == [*range(24), None]


def test_registers_have_names_for_people() -> None:
    assert [DCAP_REGISTERS.name_of(index) for index in (0, 4, 9)] == ["mrtd", "rtmr3", "9"]


def test_a_type_is_called_by_its_name_and_aliases() -> None:
    assert DCAP.is_called("dcap-tdx")
    assert DCAP.is_called("qemu-tdx")
    assert not DCAP.is_called("DCAP-TDX")
