"""The simulated platform's files with anything in them: a value, or the one error in one line."""

import json
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from doubles.simulated import NOW, platform, seeded
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cvmproxy.errors import ConfigurationError
from cvmproxy.platform.simulated_files import encode_platform, encode_registers
from cvmproxy.platform.simulated_store import SimulatedStore

MACHINE = platform()
HONEST = {
    "root.pem": MACHINE.pki.root.certificate_pem,
    "collateral.json": MACHINE.collateral(NOW).to_json(),
    "registers.json": encode_registers(MACHINE.measurements),
    "private/platform.json": encode_platform(MACHINE.identity, MACHINE.pki),
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


def outcome_with(name: str, content: bytes) -> None:
    with TemporaryDirectory() as folder:
        directory = Path(folder)
        (directory / "private").mkdir(mode=0o700)
        for file, honest in HONEST.items():
            (directory / file).write_bytes(content if file == name else honest)
        (directory / "private" / "platform.json").chmod(0o600)
        store = SimulatedStore(directory=directory, now=lambda: NOW + timedelta(days=1), random=seeded(1))
        for use in (store.root, store.platform, store.collateral):
            try:
                use()
            except ConfigurationError as error:
                lines = str(error).splitlines()
                if error.code != "bad-simulated-platform" or len(lines) != 1 or Path(name).name not in lines[0]:
                    raise


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(HONEST)), st.binary(max_size=200))
def test_any_bytes(name, content):
    outcome_with(name, content)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([name for name in sorted(HONEST) if name.endswith(".json")]), st.data())
def test_any_member_with_any_value(name, data):
    members = json.loads(HONEST[name])
    member = data.draw(st.sampled_from(sorted(members)))
    members[member] = data.draw(JSON)
    outcome_with(name, json.dumps(members).encode())


@example("tcb_info", "nextUpdate", "2030-01-01")
@example("qe_identity", "nextUpdate", "\ud800")
@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["tcb_info", "qe_identity"]),
    st.sampled_from(["fmspc", "nextUpdate"]),
    st.one_of(JSON, st.sampled_from(["2030-01-01", "2030-01-01T00:00:00", "\ud800"])),
)
def test_any_value_inside_signed_collateral(body, member, value):
    members = json.loads(HONEST["collateral.json"])
    tree = json.loads(members[body])
    tree[member] = value
    members[body] = json.dumps(tree)
    outcome_with("collateral.json", json.dumps(members).encode())
