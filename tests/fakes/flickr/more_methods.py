"""The methods at the far end of Flickr that are about more than photos."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.fakes.flickr.methods import METHODS, Caller, content, method, owner_of, page_of, photo_page, short
from tests.fakes.flickr.world import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["METHODS"]  # with those of here in it


@method("photosets.getList")
def photosets_get_list(caller: Caller, params: Mapping[str, str]) -> Mapping[str, Any]:
    owner = owner_of(caller, params)
    found = [each for each in caller.world.photosets.values() if each.owner == owner]
    numbers, shown = page_of(found, params, 500)
    sets = [
        {
            "id": each.id,
            "owner": each.owner,
            "primary": each.photo_ids[0],
            "photos": len(each.photo_ids),
            "videos": 0,
            "title": content(each.title),
            "description": content(each.description),
            "can_comment": 1,
            "date_create": "1299514498",
            "date_update": "1300335009",
        }
        for each in shown
    ]
    return {"photosets": {"cancreate": 1, **numbers, "photoset": sets}}


@method("photosets.getPhotos")
def photosets_get_photos(caller: Caller, params: Mapping[str, str]) -> Mapping[str, Any]:
    photoset = caller.world.photoset(params.get("photoset_id", ""))
    photos = [caller.world.photos[each] for each in photoset.photo_ids if each in caller.world.photos]
    numbers, shown = page_of(photos, params, 500)
    primary = photoset.photo_ids[0]
    return {
        "photoset": {
            "id": photoset.id,
            "primary": primary,
            "owner": photoset.owner,
            "ownername": caller.accounts.users[photoset.owner].username,
            "photo": [{**short(each), "isprimary": str(int(each.id == primary))} for each in shown],
            **numbers,
            "title": photoset.title,
        }
    }


@method("photosets.create", "write", is_write=True)
def photosets_create(caller: Caller, params: Mapping[str, str]) -> Mapping[str, Any]:
    if not params.get("title"):
        raise ApiError(1, "No title specified")
    primary = caller.world.photo(params.get("primary_photo_id", ""), owner=caller.user.nsid, code=2)
    made = caller.world.add_photoset(caller.user.nsid, params["title"], params.get("description", ""), primary)
    return {"photoset": {"id": made.id, "url": f"https://www.flickr.com/photos/{caller.user.username}/sets/{made.id}/"}}


@method("photosets.addPhoto", "write", is_write=True)
def photosets_add_photo(caller: Caller, params: Mapping[str, str]) -> Mapping[str, Any]:
    photoset = caller.world.photoset(params.get("photoset_id", ""), owner=caller.user.nsid)
    photo = caller.world.photo(params.get("photo_id", ""), owner=caller.user.nsid, code=2)
    if photo.id in photoset.photo_ids:
        raise ApiError(3, "Photo already in set")
    photoset.photo_ids.append(photo.id)
    return {}


@method("photosets.delete", "write", is_write=True)
def photosets_delete(caller: Caller, params: Mapping[str, str]) -> Mapping[str, Any]:
    photoset = caller.world.photoset(params.get("photoset_id", ""), owner=caller.user.nsid)
    del caller.world.photosets[photoset.id]
    return {}


@method("people.getInfo")
def people_get_info(caller: Caller, params: Mapping[str, str]) -> Mapping[str, Any]:
    user = caller.accounts.users[owner_of(caller, params)]
    photos = [each for each in caller.world.photos.values() if each.owner == user.nsid]
    return {
        "person": {
            "id": user.nsid,
            "nsid": user.nsid,
            "ispro": 0,
            "iconserver": "122",
            "iconfarm": 1,
            "path_alias": user.username,
            "username": content(user.username),
            "realname": content(user.fullname),
            "location": content(""),
            "photosurl": content(f"https://www.flickr.com/photos/{user.username}/"),
            "profileurl": content(f"https://www.flickr.com/people/{user.username}/"),
            "photos": {"firstdatetaken": content("2004-11-19 12:51:19"), "count": content(len(photos))},
        }
    }


@method("people.getPhotos")
def people_get_photos(caller: Caller, params: Mapping[str, str]) -> Mapping[str, Any]:
    if "user_id" not in params:
        raise ApiError(1, "Required arguments missing")
    owner = owner_of(caller, params, code=2, message="Unknown user")
    return photo_page([each for each in caller.world.photos.values() if each.owner == owner], params)


@method("people.findByUsername")
def people_find_by_username(caller: Caller, params: Mapping[str, str]) -> Mapping[str, Any]:
    found = next((each for each in caller.accounts.users.values() if each.username == params.get("username")), None)
    if found is None:
        raise ApiError(1, "User not found")
    return {"user": {"id": found.nsid, "nsid": found.nsid, "username": content(found.username)}}


@method("contacts.getList")
def contacts_get_list(caller: Caller, params: Mapping[str, str]) -> Mapping[str, Any]:
    if params.get("sort", "name") not in {"name", "time"}:
        raise ApiError(1, "Invalid sort parameter.")
    found = [caller.accounts.users[each] for each in caller.world.contacts.get(caller.user.nsid, [])]
    numbers, shown = page_of(found, params, 1000)
    contacts = [
        {
            "nsid": each.nsid,
            "username": each.username,
            "realname": each.fullname,
            "friend": 1,
            "family": 0,
            "ignored": 0,
        }
        for each in shown
    ]
    return {"contacts": {**numbers, "contact": contacts}}


@method("favorites.add", "write", is_write=True)
def favorites_add(caller: Caller, params: Mapping[str, str]) -> Mapping[str, Any]:
    photo = caller.world.photo(params.get("photo_id", ""))
    if photo.owner == caller.user.nsid:
        raise ApiError(2, "Photo is owned by you")
    favorites = caller.world.favorites.setdefault(caller.user.nsid, [])
    if photo.id in favorites:
        raise ApiError(3, "Photo is already in favorites")
    favorites.append(photo.id)
    return {}


@method("favorites.remove", "write", is_write=True)
def favorites_remove(caller: Caller, params: Mapping[str, str]) -> Mapping[str, Any]:
    favorites = caller.world.favorites.setdefault(caller.user.nsid, [])
    if params.get("photo_id") not in favorites:
        raise ApiError(1, "Photo not in favorites")
    favorites.remove(params["photo_id"])
    return {}


@method("favorites.getList")
def favorites_get_list(caller: Caller, params: Mapping[str, str]) -> Mapping[str, Any]:
    ids = caller.world.favorites.get(owner_of(caller, params), [])
    return photo_page([caller.world.photos[each] for each in ids if each in caller.world.photos], params)


@method("groups.search")
def groups_search(caller: Caller, params: Mapping[str, str]) -> Mapping[str, Any]:
    if not params.get("text"):
        raise ApiError(1, "No text passed")
    found = [(nsid, name) for nsid, name in caller.world.groups.items() if params["text"].lower() in name.lower()]
    numbers, shown = page_of(found, params)
    return {"groups": {**numbers, "group": [{"nsid": nsid, "name": name, "eighteenplus": 0} for nsid, name in shown]}}


@method("galleries.getList")
def galleries_get_list(caller: Caller, params: Mapping[str, str]) -> Mapping[str, Any]:
    owner = owner_of(caller, params)
    gallery = {
        "id": "5704-72157622637971865",
        "url": f"https://www.flickr.com/photos/{owner}/galleries/72157622637971865",
        "owner": owner,
        "primary_photo_id": "107391222",
        "count_photos": 16,
        "count_videos": 2,
        "title": content("I like me some black & white"),
        "description": content("black and whites"),
    }
    numbers, shown = page_of([gallery], params)
    return {"galleries": {**numbers, "user_id": owner, "gallery": list(shown)}}


@method("auth.oauth.checkToken")
def check_token(caller: Caller, params: Mapping[str, str]) -> Mapping[str, Any]:
    own = [each for each in caller.accounts.access_tokens.values() if each.nsid == caller.user.nsid]
    user = {"nsid": caller.user.nsid, "username": caller.user.username, "fullname": caller.user.fullname}
    return {"oauth": {"token": content(own[-1].token), "perms": content(own[-1].permission), "user": user}}
