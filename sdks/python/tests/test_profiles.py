"""Where URL and key come from, and where they are kept."""

from __future__ import annotations

import json
import stat

import pytest
from penstock_sdk import AsyncPenstock, NotConfigured, Penstock
from penstock_sdk.profiles import (
    Profile,
    access,
    current_profile,
    profiles_file,
    read_profiles,
    remove_profile,
    write_profile,
)

KEY = "psk_live_secret"
URL = "https://penstock.example"
WORK = Profile(name="work", url=URL, api_key=KEY, sign_requests=True)


def test_arguments_stand_before_the_environment_and_that_before_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    write_profile(WORK)
    assert (access().url, access().api_key, access().sign_requests) == (URL, KEY, True)
    assert not access(sign_requests=False).sign_requests
    monkeypatch.setenv("PENSTOCK_URL", "http://127.0.0.1:8080/")
    monkeypatch.setenv("PENSTOCK_API_KEY", "psk_live_env")
    assert (access().url, access().api_key, access().sign_requests) == ("http://127.0.0.1:8080", "psk_live_env", False)
    assert access("http://other", "psk_live_arg").api_key == "psk_live_arg"
    assert access(profile="work").api_key == KEY


def test_a_key_that_was_kept_goes_to_its_own_url_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    write_profile(WORK)
    assert access(URL + "/").api_key == KEY
    for others in ({"url": "https://evil.example"}, {"url": "https://evil.example", "profile": "work"}):
        with pytest.raises(NotConfigured, match=r"no API key for https://evil.example: the profile 'work' has one for"):
            access(**others)
    monkeypatch.setenv("PENSTOCK_URL", "https://evil.example")
    monkeypatch.setenv("PENSTOCK_API_KEY", "")
    with pytest.raises(NotConfigured, match=r"no API key for https://evil"):
        access()


@pytest.mark.parametrize("client", [Penstock, AsyncPenstock])
def test_where_nothing_is_known_the_ways_out_are_told(client: type[Penstock | AsyncPenstock]) -> None:
    with pytest.raises(NotConfigured, match=r"no URL .*PENSTOCK_URL and PENSTOCK_API_KEY, or run `penstock login`"):
        client()
    with pytest.raises(NotConfigured, match=r"no API key is known: give url and api_key"):
        client(URL)


@pytest.mark.parametrize(
    "url",
    [
        "penstock.example",
        "ftp://penstock.example",
        "https://",
        "https://a:b",
        "https://a:0",
        "https://a/?q",
        "http://[::1",
    ],
)
def test_a_url_that_is_none_is_told(url: str) -> None:
    with pytest.raises(NotConfigured, match=r"the URL is .*it takes one such as"):
        access(url, KEY)


def test_secrets_are_never_told() -> None:
    with pytest.raises(NotConfigured) as in_url:
        access("https://user:psk_live_secret@penstock.example", KEY)
    with pytest.raises(NotConfigured) as with_line_end:
        access(URL, KEY + "\n")
    shown = [str(in_url.value), str(with_line_end.value), repr(WORK), repr(access(URL, KEY)), repr(Penstock(URL, KEY))]
    assert not [each for each in shown if "secret" in each]


def test_profiles_are_kept_for_their_owner_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert current_profile() is None
    assert not remove_profile("work")
    write_profile(WORK)
    write_profile(Profile(name="default", url="http://127.0.0.1:8080", api_key="psk_live_dev"))
    path = profiles_file()
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o600, 0o700)
    assert json.loads(path.read_text())["profiles"]["work"] == {"url": URL, "apiKey": KEY, "signRequests": True}
    assert read_profiles()["work"] == WORK
    assert current_profile() == read_profiles()["default"]
    monkeypatch.setenv("PENSTOCK_PROFILE", "work")
    assert current_profile() == WORK
    monkeypatch.delenv("PENSTOCK_PROFILE")
    assert remove_profile("default")
    assert current_profile() == WORK
    assert [each.name for each in path.parent.iterdir()] == ["profiles.json"]


def test_a_profile_that_is_not_there_is_told() -> None:
    with pytest.raises(
        NotConfigured, match=r"no profile 'home'; there are none. `penstock login --profile home` makes it"
    ):
        access(profile="home")
    write_profile(WORK)
    with pytest.raises(NotConfigured, match=r"there are work"):
        access(profile="home")


@pytest.mark.parametrize("text", ["{", "[]", '{"profiles": {"a": {}}}', '{"profiles": {"a": 1}}', '{"profiles": []}'])
def test_a_broken_file_is_told_and_left_as_it_is(text: str) -> None:
    profiles_file().parent.mkdir(parents=True)
    profiles_file().write_text(text)
    with pytest.raises(NotConfigured, match=r"profiles.json"):
        write_profile(WORK)
    assert profiles_file().read_text() == text
