"""What the clients have: nouns, their methods, and what is asked and answered; the same in every language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deploy.sdks import naming

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from deploy.sdks.types import Type


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One RPC as HTTP has it."""

    #: `JobService.GetJob`.
    rpc: str
    verb: str
    #: With JSON's names in braces.
    path: str
    path_names: Sequence[str]
    query_names: Sequence[str]
    has_body: bool
    #: `ALWAYS`, `KEYED` or `REFUSED_ONLY`.
    repeat: str

    @property
    def constant(self) -> str:
        """What the table of calls has it under."""
        return naming.capitals(self.rpc.partition(".")[2])

    @property
    def keyed(self) -> bool:
        """Whether it takes a key, under which it is done once."""
        return self.repeat == "KEYED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """What a method is given."""

    #: JSON's.
    name: str
    type: Type
    text: str
    #: It is given by its place.
    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A method of a noun, which makes one call; or, answered in pages, one for each page."""

    name: str
    call: Call
    #: Those that are required first.
    arguments: Sequence[Argument]
    #: None where nothing is answered; of what is answered in pages, an item.
    answer: Type | None
    #: JSON's name of the list that is answered in pages; empty where it is not.
    items: str
    text: str
    #: The reasons that it may be answered with, beyond those that any call may.
    reasons: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Noun:
    """What stands under one name of the client."""

    name: str
    #: Of the service that most of it comes from.
    text: str
    methods: Sequence[Method]
    #: What is written by hand beside the methods, by name.
    by_hand: Mapping[str, Call]
    #: The generated class is the base of one that is written by hand.
    extended: bool
    #: The generated class's: `Keys`; and `JobCalls` of one that is extended, or whose name a model has.
    class_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of a model."""

    name: str
    type: Type
    text: str
    #: Whether it is told from zero that it is not given.
    optional: bool
    #: It is kept out of what is printed.
    secret: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A message that is asked with or answered."""

    schema: str
    text: str
    fields: Sequence[Field]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """An enum."""

    schema: str
    text: str
    values: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a call is refused or a job fails."""

    name: str
    text: str
    of_calls: bool
    of_jobs: bool

    @property
    def call_class(self) -> str:
        """The class of the error that a call raises."""
        return naming.pascal(self.name)

    @property
    def job_class(self) -> str:
        """The class of the error that a failed job raises, told apart from the call's."""
        return naming.pascal(f"JOB_{self.name}" if self.of_calls else self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """All that the clients have."""

    nouns: Sequence[Noun]
    #: Every call, also those that methods written by hand make, by constant.
    calls: Sequence[Call]
    models: Sequence[Model]
    choices: Sequence[Choice]
    reasons: Sequence[Reason]
