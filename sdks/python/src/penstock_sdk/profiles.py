"""Where Penstock is and by which key it is called: from arguments, the environment, or what `penstock login` kept."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from penstock_sdk.errors import NotConfigured

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_NAME = "default"
_HOW = "give url and api_key, set PENSTOCK_URL and PENSTOCK_API_KEY, or run `penstock login`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What `penstock login` has kept under a name.

    Args:
        name: Which it is asked for by.
        url: Where that Penstock is.
        api_key: By which it is called.
        sign_requests: Whether requests are signed with the key rather than carry it.
    """

    name: str
    url: str
    api_key: str = field(repr=False)
    sign_requests: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Where Penstock is and by which key it is called.

    Args:
        url: Without a slash at its end.
        api_key: By which it is called.
        sign_requests: Whether requests are signed with the key rather than carry it.
    """

    url: str
    api_key: str = field(repr=False)
    sign_requests: bool = False


def access(
    url: str | None = None,
    api_key: str | None = None,
    *,
    sign_requests: bool | None = None,
    profile: str | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Access:
    """What a client goes by: its arguments, else PENSTOCK_URL and PENSTOCK_API_KEY, else the profile.

    A profile that is asked for by name stands before the environment. Its key goes to its own URL alone.

    Args:
        url: Of the gateway, such as `https://penstock.example`.
        api_key: As Penstock gave it.
        sign_requests: Whether requests are signed with the key rather than carry it; as the profile says unless given.
        profile: A profile's name.
        environment: Where the variables are looked up.

    Raises:
        NotConfigured: URL or key is in none of them, or not what it should be.
    """
    if profile is None:
        url = url or environment.get("PENSTOCK_URL")
        api_key = api_key or environment.get("PENSTOCK_API_KEY")
        if url and api_key:
            return Access(url=_checked_url(url), api_key=_checked_key(api_key), sign_requests=bool(sign_requests))
        kept = current_profile(environment=environment)
    else:
        kept = _asked_for(profile, environment)
    where = _checked_url(url or (kept.url if kept else ""))
    if not api_key and kept is not None and where != _checked_url(kept.url):
        raise NotConfigured(
            f"no API key for {where}: the profile {kept.name!r} has one for {kept.url} alone; "
            f"set PENSTOCK_API_KEY, or run `penstock login --url {where}`"
        )
    signed = sign_requests if sign_requests is not None else kept is not None and kept.sign_requests
    return Access(url=where, api_key=_checked_key(api_key or (kept.api_key if kept else "")), sign_requests=signed)


def profiles_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Where profiles are kept."""
    home = environment.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "penstock" / "profiles.json"


def read_profiles(*, environment: Mapping[str, str] = os.environ) -> dict[str, Profile]:
    """All profiles by their names.

    Raises:
        NotConfigured: The file cannot be read.
    """
    return _read(profiles_file(environment))[1]


def current_profile(*, environment: Mapping[str, str] = os.environ) -> Profile | None:
    """The one that PENSTOCK_PROFILE names, else the one last logged in to; None where there is none.

    Raises:
        NotConfigured: The file cannot be read, or has none of that name.
    """
    named = _asked_for(None, environment)
    if named is not None:
        return named
    current, kept = _read(profiles_file(environment))
    return kept.get(current)


def write_profile(profile: Profile, *, environment: Mapping[str, str] = os.environ) -> None:
    """Keeps a profile, which is the current one from then on; nobody but its owner may read the file.

    Raises:
        NotConfigured: The file that is there cannot be read.
    """
    path = profiles_file(environment)
    _, kept = _read(path)
    _write(path, profile.name, {**kept, profile.name: profile})


def remove_profile(name: str, *, environment: Mapping[str, str] = os.environ) -> bool:
    """Forgets a profile; False where there was none.

    Raises:
        NotConfigured: The file cannot be read.
    """
    path = profiles_file(environment)
    current, kept = _read(path)
    if name not in kept:
        return False
    del kept[name]
    _write(path, current if current in kept else next(iter(kept), ""), kept)
    return True


def _asked_for(name: str | None, environment: Mapping[str, str]) -> Profile | None:
    name = name or environment.get("PENSTOCK_PROFILE")
    if not name:
        return None
    kept = read_profiles(environment=environment)
    if name not in kept:
        there = f"there are {', '.join(sorted(kept))}" if kept else "there are none"
        raise NotConfigured(f"no profile {name!r}; {there}. `penstock login --profile {name}` makes it")
    return kept[name]


def _read(path: Path) -> tuple[str, dict[str, Profile]]:
    """The current profile's name, and all profiles."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:  # nobody has logged in yet
        return "", {}
    except (OSError, ValueError) as error:
        raise NotConfigured(
            f"{path} cannot be read ({error}); mend it, or remove it and run `penstock login`"
        ) from None
    try:
        profiles = cast("dict[str, dict[str, Any]]", said["profiles"])
        return str(said.get("current", "")), {
            name: Profile(
                name=name,
                url=str(each["url"]),
                api_key=str(each["apiKey"]),
                sign_requests=bool(each.get("signRequests", False)),
            )
            for name, each in profiles.items()
        }
    except (AttributeError, KeyError, TypeError):
        raise NotConfigured(
            f"{path} does not hold what `penstock login` writes; mend it, or remove it and log in again"
        ) from None


def _write(path: Path, current: str, profiles: Mapping[str, Profile]) -> None:
    """Puts the new file in the place of the old one at once, so that no reader meets half of it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = {
        each.name: {"url": each.url, "apiKey": each.api_key, "signRequests": each.sign_requests}
        for each in profiles.values()
    }
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".profiles-")  # readable by its owner alone
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(json.dumps({"current": current, "profiles": kept}, indent=2) + "\n")
        Path(name).replace(path)
    except BaseException:  # also when interrupted: no half-written key is left behind
        Path(name).unlink(missing_ok=True)
        raise


def _checked_url(url: str) -> str:
    if not url:
        raise NotConfigured(f"no URL of a Penstock is known: {_HOW}")
    try:
        parts = urlsplit(url)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # a port that is no number, brackets that do not close
        sound, parts = False, urlsplit("")
    if parts.username is not None or parts.password is not None:
        raise NotConfigured("the URL holds a user or a password; Penstock takes an API key, as api_key")
    if not sound or parts.query or parts.fragment:
        raise NotConfigured(f"the URL is {url!r}; it takes one such as https://penstock.example, without query")
    return url.rstrip("/")


def _checked_key(api_key: str) -> str:
    if not api_key:
        raise NotConfigured(f"no API key is known: {_HOW}")
    if not (api_key.isascii() and api_key.isprintable() and " " not in api_key):
        raise NotConfigured(
            "the API key holds spaces, line ends or other characters that no key has; give it as it came"
        )
    return api_key
