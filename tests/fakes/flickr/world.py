"""What is at the far end of Flickr: photos, sets, contacts, favorites, groups and galleries, in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count


class ApiError(Exception):
    """A call is refused with `stat="fail"`.

    Args:
        code: Flickr's.
        message: Flickr's.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(slots=True, kw_only=True)
class Photo:
    """A photo, and who has put it there."""

    id: str
    owner: str
    title: str = ""
    description: str = ""
    tags: list[str] = field(default_factory=list)
    is_public: bool = True
    #: Grows with each replacement, and with it the secret.
    version: int = 0
    content: bytes = b""

    @property
    def secret(self) -> str:
        return f"{int(self.id) * 31 + self.version:010x}"[-10:]


@dataclass(slots=True, kw_only=True)
class Photoset:
    """An album."""

    id: str
    owner: str
    title: str
    description: str
    photo_ids: list[str]


@dataclass(slots=True)
class World:
    """Everything; tests may look and change as they like."""

    photos: dict[str, Photo] = field(default_factory=dict)
    photosets: dict[str, Photoset] = field(default_factory=dict)
    #: Ids of photos by the account whose favorites they are.
    favorites: dict[str, list[str]] = field(default_factory=dict)
    #: Accounts by the account whose contacts they are.
    contacts: dict[str, list[str]] = field(default_factory=dict)
    groups: dict[str, str] = field(
        default_factory=lambda: {"3000@N02": "Cats of the world", "33335981560@N01": "Trains"}
    )
    max_tags: int = 75
    _ids: count[int] = field(default_factory=lambda: count(52_000_000_001))

    def add_photo(self, owner: str, title: str = "", *, tags: str = "", content: bytes = b"") -> Photo:
        """Puts a photo there."""
        photo = Photo(id=str(next(self._ids)), owner=owner, title=title, tags=tags.split(), content=content)
        self.photos[photo.id] = photo
        return photo

    def add_photoset(self, owner: str, title: str, description: str, primary: Photo) -> Photoset:
        """Puts an album there."""
        made = Photoset(
            id=f"721577{next(self._ids)}", owner=owner, title=title, description=description, photo_ids=[primary.id]
        )
        self.photosets[made.id] = made
        return made

    def photo(self, photo_id: str, *, owner: str = "", code: int = 1) -> Photo:
        """The photo of this id, and of this owner where one is given.

        Raises:
            ApiError: There is none.
        """
        found = self.photos.get(photo_id)
        if found is None or (owner and found.owner != owner):
            raise ApiError(code, "Photo not found")
        return found

    def photoset(self, photoset_id: str, *, owner: str = "") -> Photoset:
        """The album of this id, and of this owner where one is given.

        Raises:
            ApiError: There is none.
        """
        found = self.photosets.get(photoset_id)
        if found is None or (owner and found.owner != owner):
            raise ApiError(1, "Photoset not found")
        return found
