"""How names are spelt in each language."""

from __future__ import annotations

import keyword
import re

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+|[0-9]+")
#: Where JSON's camel case begins a word.
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def snake(camel: str) -> str:
    """A JSON name as Python has it: `jobId` is `job_id`.

    Raises:
        ValueError: It cannot be told back from that, or is a word of Python's own.
    """
    name = _HUMP.sub("_", camel).lower()
    if lower_camel(name) != camel:
        raise ValueError(f"{camel}: {name} would be read back as {lower_camel(name)}")
    if keyword.iskeyword(name):
        raise ValueError(f"{camel}: {name} is a keyword of Python's")
    return name


def lower_camel(name: str) -> str:
    """A name in snake case as JSON and TypeScript have it."""
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


def pascal(name: str) -> str:
    """A class's name, of a name in snake case or in capitals."""
    return "".join(word.capitalize() for word in name.split("_"))


def capitals(name: str) -> str:
    """A constant's name, of an RPC's: `GetJob` is `GET_JOB`."""
    return "_".join(_WORD.findall(name)).upper()


def model(schema: str) -> str:
    """A model's name, of its schema's: `Job.State` is `JobState`."""
    return schema.replace(".", "")


def singular(noun: str) -> str:
    """A noun of which there is one: `batches` is `batch`."""
    return noun.removesuffix("es") if noun.endswith("ches") else noun.removesuffix("s")
