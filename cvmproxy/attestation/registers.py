"""What a measurements file has to know of an attestation type: its names, and the registers that its entries name.

Follows the design page "Measurements files". Pure data: schemes make these values, the reader of measurements files
takes them as an argument and so knows no scheme by name.
"""

from collections.abc import Mapping
from types import MappingProxyType

from attrs import field, frozen


def _frozen_names(names: Mapping[str, int]) -> Mapping[str, int]:
    return MappingProxyType(dict(names))


@frozen(kw_only=True)
class RegisterSet:
    """The registers that a type's measurements are about.

    :ivar size: bytes per value (48 for DCAP, 32 for a vTPM).
    :ivar names: lower-case name → index, e.g. ``{"mrtd": 0, "rtmr0": 1, …}``; decimal indices are always names too.
    :ivar warn_only_allowed: whether ``warnOnly`` acts on these registers.
    """

    size: int
    names: Mapping[str, int] = field(converter=_frozen_names)
    warn_only_allowed: bool

    def index_of(self, spelling: str) -> int | None:
        """Return the register that a key of a file names (decimal index, or a name in any case), or ``None``."""
        by_name = self.names.get(spelling.lower())
        if by_name is not None:
            return by_name
        return next((index for index in self.names.values() if str(index) == spelling), None)

    def name_of(self, index: int) -> str:
        """Return the name of a register for people, or its decimal index where it has none."""
        return next((name for name, at in self.names.items() if at == index), str(index))


@frozen(kw_only=True)
class MeasuredType:
    """One attestation type, as measurements files speak of it.

    :ivar name: the type's name in a v2 entry and on the command line.
    :ivar aliases: further names that mean the same.
    :ivar legacy_map: whether an entry of the v1 map with values of this type's size is of this type.
    :ivar measure_part: the member of an ``attest measure`` object that holds this type's registers, or empty.
    :ivar development_only: entries count only where the operator named this type; elsewhere their file is refused.
    """

    name: str
    aliases: frozenset[str] = frozenset()
    registers: RegisterSet
    legacy_map: bool = False
    measure_part: str = ""
    development_only: bool = False

    def is_called(self, name: str) -> bool:
        """Say whether ``name`` means this type."""
        return name == self.name or name in self.aliases
