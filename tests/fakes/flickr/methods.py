"""The methods at the far end of Flickr, and their answers in Flickr's own shapes (JSON with `_content` for text)."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.fakes.flickr.world import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.fakes.flickr.accounts import Accounts, User
    from tests.fakes.flickr.world import Photo, World


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and where."""

    user: User
    accounts: Accounts
    world: World


@dataclass(frozen=True, slots=True)
class ApiMethod:
    """One method: what it answers, which permission it takes, and which params it cannot do without."""

    answer: Callable[[Caller, Mapping[str, str]], Mapping[str, Any]]
    permission: str
    is_write: bool


METHODS: dict[str, ApiMethod] = {}


def method(
    name: str, permission: str = "read", *, is_write: bool = False
) -> Callable[
    [Callable[[Caller, Mapping[str, str]], Mapping[str, Any]]],
    Callable[[Caller, Mapping[str, str]], Mapping[str, Any]],
]:
    def add(
        answer: Callable[[Caller, Mapping[str, str]], Mapping[str, Any]],
    ) -> Callable[[Caller, Mapping[str, str]], Mapping[str, Any]]:
        METHODS[f"flickr.{name}"] = ApiMethod(answer, permission, is_write)
        return answer

    return add


def content(text: object) -> dict[str, object]:
    """A text as Flickr's JSON has it."""
    return {"_content": text}


def short(photo: Photo) -> dict[str, Any]:
    """A photo in a list."""
    return {
        "id": photo.id,
        "owner": photo.owner,
        "secret": photo.secret,
        "server": "65535",
        "farm": 66,
        "title": photo.title,
        "ispublic": int(photo.is_public),
        "isfriend": 0,
        "isfamily": 0,
    }


def page_of(
    found: Sequence[Any], params: Mapping[str, str], default: int = 100
) -> tuple[dict[str, int], Sequence[Any]]:
    """The numbers of a page, and what is on it."""
    size, number = int(params.get("per_page", default)), int(params.get("page", 1))
    pages = -(-len(found) // size)
    numbers = {"page": number, "pages": pages, "perpage": size, "total": len(found)}
    return numbers, found[(number - 1) * size : number * size]


def photo_page(found: Sequence[Photo], params: Mapping[str, str]) -> dict[str, Any]:
    numbers, shown = page_of(found, params)
    return {"photos": {**numbers, "photo": [short(each) for each in shown]}}


def owner_of(caller: Caller, params: Mapping[str, str], *, code: int = 1, message: str = "User not found") -> str:
    """The account that `user_id` names; the caller's own unless it is given."""
    nsid = params.get("user_id", "me")
    if nsid == "me":
        return caller.user.nsid
    if nsid not in caller.accounts.users:
        raise ApiError(code, message)
    return nsid


@method("test.echo")
def echo(caller: Caller, params: Mapping[str, str]) -> Mapping[str, Any]:
    return {name: content(value) for name, value in params.items()}


@method("test.login")
def login(caller: Caller, params: Mapping[str, str]) -> Mapping[str, Any]:
    user = caller.user
    return {"user": {"id": user.nsid, "username": content(user.username), "path_alias": None}}


@method("photos.search")
def photos_search(caller: Caller, params: Mapping[str, str]) -> Mapping[str, Any]:
    if not set(params) - {"method", "format", "nojsoncallback", "per_page", "page", "extras"}:
        raise ApiError(3, "Parameterless searches have been disabled. Please use flickr.photos.getRecent instead.")
    wanted = [tag.strip() for tag in params.get("tags", "").split(",") if tag.strip()]
    if params.get("tag_mode") == "all" and len(wanted) > 20:
        raise ApiError(1, "Too many tags in ALL query")
    photos = list(caller.world.photos.values())
    if "user_id" in params:
        owner = owner_of(caller, params, code=2, message="Unknown user")
        photos = [each for each in photos if each.owner == owner]
    if wanted:
        how = all if params.get("tag_mode") == "all" else any
        photos = [each for each in photos if how(tag in each.tags for tag in wanted)]
    if "text" in params:
        photos = [each for each in photos if params["text"].lower() in f"{each.title} {each.description}".lower()]
    return photo_page(photos, params)


@method("photos.getRecent")
def photos_get_recent(caller: Caller, params: Mapping[str, str]) -> Mapping[str, Any]:
    return photo_page(list(reversed(caller.world.photos.values())), params)


@method("photos.getInfo")
def photos_get_info(caller: Caller, params: Mapping[str, str]) -> Mapping[str, Any]:
    photo = caller.world.photo(params.get("photo_id", ""))
    owner = caller.accounts.users[photo.owner]
    return {
        "photo": {
            "id": photo.id,
            "secret": photo.secret,
            "server": "65535",
            "farm": 66,
            "isfavorite": int(photo.id in caller.world.favorites.get(caller.user.nsid, [])),
            "license": "0",
            "safety_level": "0",
            "rotation": 0,
            "owner": {"nsid": owner.nsid, "username": owner.username, "realname": owner.fullname, "location": None},
            "title": content(photo.title),
            "description": content(photo.description),
            "visibility": {"ispublic": int(photo.is_public), "isfriend": 0, "isfamily": 0},
            "dates": {
                "posted": "1100897479",
                "taken": "2004-11-19 12:51:19",
                "takengranularity": 0,
                "lastupdate": "1093022469",
            },
            "views": "0",
            "editability": {"cancomment": 1, "canaddmeta": 1},
            "comments": content("0"),
            "notes": {"note": []},
            "tags": {
                "tag": [
                    {
                        "id": f"{photo.id}-{number}",
                        "author": owner.nsid,
                        "raw": tag,
                        "_content": tag.lower(),
                        "machine_tag": 0,
                    }
                    for number, tag in enumerate(photo.tags)
                ]
            },
            "urls": {
                "url": [
                    {"type": "photopage", "_content": f"https://www.flickr.com/photos/{owner.username}/{photo.id}/"}
                ]
            },
            "media": "photo",
        }
    }


@method("photos.getSizes")
def photos_get_sizes(caller: Caller, params: Mapping[str, str]) -> Mapping[str, Any]:
    photo = caller.world.photo(params.get("photo_id", ""))
    sizes = (("Square", 75, "_s"), ("Thumbnail", 100, "_t"), ("Medium", 500, ""), ("Large", 1024, "_b"))
    return {
        "sizes": {
            "canblog": 0,
            "canprint": 0,
            "candownload": 1,
            "size": [
                {
                    "label": label,
                    "width": width,
                    "height": width * 3 // 4,
                    "source": f"https://live.staticflickr.com/65535/{photo.id}_{photo.secret}{letter}.jpg",
                    "url": f"https://www.flickr.com/photos/{photo.owner}/{photo.id}/sizes/{letter[1:] or 'm'}/",
                    "media": "photo",
                }
                for label, width, letter in sizes
            ],
        }
    }


@method("photos.getExif")
def photos_get_exif(caller: Caller, params: Mapping[str, str]) -> Mapping[str, Any]:
    photo = caller.world.photo(params.get("photo_id", ""))
    exif = {"tagspace": "EXIF", "tagspaceid": 0, "tag": "FNumber", "label": "Aperture"}
    return {
        "photo": {
            "id": photo.id,
            "secret": photo.secret,
            "server": "65535",
            "farm": 66,
            "camera": "Canon EOS",
            "exif": [{**exif, "raw": content("9.0"), "clean": content("f/9.0")}],
        }
    }


@method("photos.addTags", "write", is_write=True)
def photos_add_tags(caller: Caller, params: Mapping[str, str]) -> Mapping[str, Any]:
    photo = caller.world.photo(params.get("photo_id", ""), owner=caller.user.nsid)
    tags = photo.tags + [tag for tag in shlex.split(params.get("tags", "")) if tag not in photo.tags]
    if len(tags) > caller.world.max_tags:
        raise ApiError(2, "Maximum number of tags reached")
    photo.tags = tags
    return {}


@method("photos.setTags", "write", is_write=True)
def photos_set_tags(caller: Caller, params: Mapping[str, str]) -> Mapping[str, Any]:
    photo = caller.world.photo(params.get("photo_id", ""), owner=caller.user.nsid)
    tags = shlex.split(params.get("tags", ""))
    if len(tags) > caller.world.max_tags:
        raise ApiError(2, "Maximum number of tags reached")
    photo.tags = tags
    return {}


@method("photos.setMeta", "write", is_write=True)
def photos_set_meta(caller: Caller, params: Mapping[str, str]) -> Mapping[str, Any]:
    photo = caller.world.photo(params.get("photo_id", ""), owner=caller.user.nsid)
    if not {"title", "description"} & set(params):
        raise ApiError(2, "At least one of title or description must be set.")
    photo.title = params.get("title", photo.title)
    photo.description = params.get("description", photo.description)
    return {}


@method("photos.delete", "delete", is_write=True)
def photos_delete(caller: Caller, params: Mapping[str, str]) -> Mapping[str, Any]:
    photo = caller.world.photo(params.get("photo_id", ""), owner=caller.user.nsid)
    del caller.world.photos[photo.id]
    return {}
