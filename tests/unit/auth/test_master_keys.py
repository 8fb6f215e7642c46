from __future__ import annotations

import base64

import pytest

from services.auth.connections.sealing.key_providers import Wrapped
from services.auth.connections.sealing.master_keys import MasterKeys
from shared.config import Secret
from shared.errors import Unavailable


def line(name: str, fill: int = 1) -> str:
    return f"{name}:{base64.b64encode(bytes([fill] * 32)).decode()}"


def keys(*lines: str) -> MasterKeys:
    return MasterKeys(Secret("\n".join(lines) + "\n"))


DATA_KEY = bytes(range(32))


async def test_a_data_key_is_unwrapped_for_its_own_id_alone() -> None:
    provider = keys(line("one"))
    wrapped = await provider.wrap(DATA_KEY, data_key_id="dk_1")
    assert (wrapped.provider, wrapped.master_key) == ("file", "one")
    assert DATA_KEY not in wrapped.text
    assert await provider.unwrap(wrapped, data_key_id="dk_1") == DATA_KEY
    with pytest.raises(Unavailable):
        await provider.unwrap(wrapped, data_key_id="dk_2")


async def test_the_first_key_wraps_and_those_behind_it_unwrap() -> None:
    wrapped = await keys(line("one")).wrap(DATA_KEY, data_key_id="dk_1")
    rotated = keys(line("two", 2), line("one"))
    assert await rotated.unwrap(wrapped, data_key_id="dk_1") == DATA_KEY
    assert (await rotated.wrap(DATA_KEY, data_key_id="dk_2")).master_key == "two"


@pytest.mark.parametrize("provider", [keys(line("two", 2)), keys(line("one", 2))])
async def test_a_master_key_that_is_gone_or_another_one_can_be_put_back(provider: MasterKeys) -> None:
    wrapped = await keys(line("one")).wrap(DATA_KEY, data_key_id="dk_1")
    with pytest.raises(Unavailable, match="the master key 'one' back into PENSTOCK_MASTER_KEYS") as raised:
        await provider.unwrap(wrapped, data_key_id="dk_1")
    assert raised.value.metadata == {"dependency": "key_provider"}
    assert "text" not in repr(Wrapped(provider="file", master_key="one", text=b"x"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "there is no key"),
        ("one", "line 1 does not read name:key"),
        (f"{line('one')} two:", "line 2 does not read name:key"),
        (line("One"), "line 1 does not read"),
        ("one:canary", "'one' is none"),
        (f"one:{base64.b64encode(b'canary').decode()}", "'one' is none: the sealing key has 6 bytes"),
        (f"{line('one')}\n{line('one', 2)}", "two keys of the name 'one'"),
    ],
)
def test_nonsense_is_refused_and_not_shown(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as raised:
        MasterKeys(Secret(text))
    assert "canary" not in str(raised.value)
    assert base64.b64encode(bytes([1] * 32)).decode() not in str(raised.value)
