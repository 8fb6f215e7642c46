"""The local stack's own parts, without starting anything."""

from __future__ import annotations

import base64
import configparser
import json
import resource
import shlex
from typing import TYPE_CHECKING

import pytest

from deploy import proto_check
from deploy.local import envoy, identity_keys, keys, layout, programs
from deploy.local.console import table
from deploy.local.errors import SettingError, StackError
from deploy.local.programs import PROGRAMS
from deploy.local.supervision import Supervisor
from services.auth.connections.sealing.master_keys import MasterKeys
from shared.config import Secret
from shared.errors import Unauthenticated
from shared.identity import Principal, PrincipalKind, ServiceIdentity, TokenSigner, TokenVerifier
from shared.identity_keys import IdentityKeys

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.local.layout import Layout


def chosen(folder: Path, **environment: str) -> Layout:
    return layout.chosen(folder, programs.PORTS, environment)


def test_every_port_has_a_name_and_a_default_of_its_own() -> None:
    ports = [port for program in PROGRAMS for port in program.ports.values()]
    names = [name for program in PROGRAMS for name in program.ports]
    assert len(set(ports)) == len(ports)
    assert len(set(names)) == len(names)


def test_a_setting_moves_its_port_and_no_other(tmp_path: Path) -> None:
    moved = chosen(tmp_path, PENSTOCK_LOCAL_GATEWAY_PORT="8081", PENSTOCK_URL="http://elsewhere")
    assert moved.ports == {**programs.PORTS, "gateway": 8081}
    assert moved.url == "http://127.0.0.1:8081"


@pytest.mark.parametrize("text", ["", "http", "0", "65536", "-1", "80 80"])
def test_a_setting_that_is_no_port_is_refused_by_its_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingError, match="PENSTOCK_LOCAL_REDIS_PORT"):
        chosen(tmp_path, PENSTOCK_LOCAL_REDIS_PORT=text)


def test_two_programs_on_one_port_are_refused_by_both_names(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"PENSTOCK_LOCAL_REDIS_PORT and PENSTOCK_LOCAL_NATS_PORT are both 18222"):
        chosen(tmp_path, PENSTOCK_LOCAL_REDIS_PORT="18222")


def test_an_unknown_setting_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="PENSTOCK_LOCAL_GATEWY_PORT is no setting"):
        chosen(tmp_path, PENSTOCK_LOCAL_GATEWY_PORT="8081")


def test_later_commands_know_the_ports_and_options_of_the_start(tmp_path: Path) -> None:
    started = chosen(tmp_path, PENSTOCK_LOCAL_NATS_PORT="4000", PENSTOCK_LOCAL_LOG_LEVEL="debug")
    assert layout.remembered(tmp_path, programs.PORTS) is None
    started.remember()
    assert layout.remembered(tmp_path, programs.PORTS) == started


def test_secrets_are_made_once_and_are_their_owners_alone(tmp_path: Path) -> None:
    keys.make_secrets(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    keys.make_secrets(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    sealing_keys = {keys.sealing_key_file(tmp_path).read_text(), keys.signing_seal_file(tmp_path).read_text()}
    assert [len(base64.b64decode(key)) for key in sealing_keys] == [32, 32]
    assert MasterKeys(Secret(keys.master_keys_file(tmp_path).read_text())).name == "file"


@pytest.mark.parametrize("issuer", identity_keys.ISSUERS)
def test_every_issuers_tokens_are_known_by_the_key_set(tmp_path: Path, issuer: str) -> None:
    keys.make_secrets(tmp_path)
    known = IdentityKeys(identity_keys.public_keys_file(tmp_path))
    signer = TokenSigner(issuer, identity_keys.private_key_file(tmp_path, issuer).read_text(), known)
    principal = TokenVerifier(known).verify(ServiceIdentity(issuer, signer).token())
    assert principal == Principal(kind=PrincipalKind.SERVICE, id=issuer, tenant="", scopes=frozenset())


def test_a_new_issuer_gets_a_key_and_the_others_keep_theirs(tmp_path: Path) -> None:
    keys.make_secrets(tmp_path, ["auth"])
    known = json.loads(identity_keys.public_keys_file(tmp_path).read_text())["keys"]
    keys.make_secrets(tmp_path, ["auth", "history"])
    both = json.loads(identity_keys.public_keys_file(tmp_path).read_text())["keys"]
    assert both[:1] == known
    assert [key["kid"] for key in both] == ["auth", "history"]


def token_of(folder: Path, issuer: str) -> str:
    known = IdentityKeys(identity_keys.public_keys_file(folder))
    pem = identity_keys.private_key_file(folder, issuer).read_text()
    return ServiceIdentity(issuer, TokenSigner(issuer, pem, known)).token()


def test_a_rotated_key_signs_and_the_one_before_it_is_believed_until_the_next_rotation(tmp_path: Path) -> None:
    keys.make_secrets(tmp_path)
    verifier = TokenVerifier(IdentityKeys(identity_keys.public_keys_file(tmp_path)))
    first = token_of(tmp_path, "intake")
    identity_keys.rotate(tmp_path, "intake", at_once=False)
    keys.make_secrets(tmp_path)  # as at the next start
    second = token_of(tmp_path, "intake")
    assert verifier.verify(second).id == verifier.verify(first).id == "intake"
    identity_keys.rotate(tmp_path, "intake", at_once=False)
    third = token_of(tmp_path, "intake")
    assert verifier.verify(third).id == verifier.verify(second).id == "intake"
    with pytest.raises(Unauthenticated, match="is not known here"):
        verifier.verify(first)
    assert verifier.verify(token_of(tmp_path, "auth")).id == "auth"


def test_a_key_that_others_may_have_is_believed_no_more(tmp_path: Path) -> None:
    keys.make_secrets(tmp_path)
    before = token_of(tmp_path, "auth")
    identity_keys.rotate(tmp_path, "auth", at_once=True)
    verifier = TokenVerifier(IdentityKeys(identity_keys.public_keys_file(tmp_path)))
    assert verifier.verify(token_of(tmp_path, "auth")).id == "auth"
    with pytest.raises(Unauthenticated):
        verifier.verify(before)


def test_only_who_signs_has_a_key_to_rotate(tmp_path: Path) -> None:
    keys.make_secrets(tmp_path)
    with pytest.raises(StackError, match="'nats' signs nothing here"):
        identity_keys.rotate(tmp_path, "nats", at_once=False)


def test_supervisors_settings_hold_every_program_whatever_is_in_a_path(tmp_path: Path) -> None:
    folder = tmp_path / "100% of 'it', and more"
    folder.mkdir()
    ours = chosen(folder)
    supervisor = Supervisor(ours)
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(supervisor._settings(PROGRAMS, {"nats"}))
    for program in PROGRAMS:
        section = parser[f"program:{program.name}"]
        assert shlex.split(section["command"].replace("%%", "%")) == list(program.command(ours))
        assert section["autostart"] == str(program.name == "nats").lower()
        assert int(section["startretries"]) > 1000
        assert section["stopsignal"] == program.stop_signal


def test_services_may_drain_before_they_are_killed() -> None:
    assert all(program.stop_wait_s > 30 for program in programs.of_tiers(programs.Tier.SERVICES))


def test_the_users_own_settings_reach_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_API_KEY", "psk_live_x")
    environment = Supervisor(chosen(tmp_path)).environment()
    assert [name for name in environment if name.startswith("PENSTOCK_")] == []


def test_a_table_has_columns_as_wide_as_their_widest_text() -> None:
    assert table(("a", "b"), [("long", "x"), ("", "y")]) == "a     b\nlong  x\n      y"


def test_generated_code_that_differs_is_named(tmp_path: Path) -> None:
    for folder, files in (("old", ("same", "changed", "gone")), ("new", ("same", "changed", "added"))):
        (tmp_path / folder).mkdir()
        for name in files:
            (tmp_path / folder / name).write_text(folder if name == "changed" else name)
    differing = proto_check.differences(tmp_path / "old", tmp_path / "new")
    assert [str(path) for path in differing] == ["added", "changed", "gone"]


@pytest.mark.parametrize(
    ("files", "connections"), [(20_000, 19_000), (1_000_000, 50_000), (resource.RLIM_INFINITY, 50_000), (500, 1)]
)
def test_envoy_takes_no_more_connections_than_it_may_open_files(
    files: int, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, files))
    assert envoy.max_connections(50_000) == connections
