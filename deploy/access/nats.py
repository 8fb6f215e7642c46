"""The users of NATS: for each service the subjects that it may publish to and subscribe to.

What a service asks of JetStream are messages too (`$JS.API.…`), and answers come to its own inbox
(`shared.bus.connect`). Where the names of a service's consumers are not known beforehand it may name any, but for those
that others have.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from deploy.access import backup
from deploy.access.rights import OPERATOR, SERVICES, STREAMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from deploy.access.rights import NatsRights, Service

_API = "$JS.API"


def authorization(password: Callable[[str], str], services: Sequence[Service] = SERVICES) -> str:
    """The block `authorization` of the server's settings.

    Args:
        password: Of each user, as the settings have it: a text in quotes, or a variable.
        services: The table.
    """
    users = [f"{{ user: {OPERATOR}, password: {password(OPERATOR)} }}"]
    for service in services:
        allowed = publishes(service)
        refused = [
            subject
            for subject in _of_others(service, services)
            if subject not in allowed and any(covers(pattern, subject) for pattern in allowed)
        ]
        users.append(
            f"{{ user: {service.name}, password: {password(service.name)}, permissions: {{\n"
            f"    publish: {{ allow: {_list(allowed)}, deny: {_list(refused)} }}\n"
            f"    subscribe: {_list(hears(service))}\n"
            "  } }"
        )
    users.append(
        f"{{ user: {backup.USER}, password: {password(backup.USER)}, permissions: {{\n"
        f"    publish: {_list(backup.publishes())}\n"
        f"    subscribe: {_list([f'{inbox(backup.USER)}.>'])}\n"
        "  } }"
    )
    return "authorization {\n  users: [\n  " + "\n  ".join(users) + "\n  ]\n}\n"


def publishes(service: Service) -> list[str]:
    """The subjects that a service may publish to."""
    rights = service.nats
    subjects = [*rights.publishes, *_streams(rights)]
    for stream, names in rights.consumes.items():
        for name in names:
            subjects += _consumer(stream, name)
    for stream, names in rights.watches.items():
        subjects += [f"{_API}.CONSUMER.INFO.{stream}.{name}" for name in names]
    for stream in rights.reads:
        subjects += [f"{_API}.DIRECT.GET.{stream}", f"{_API}.STREAM.MSG.GET.{stream}"]
    for stream in rights.follows:
        subjects += _reader(stream)
    for bucket in rights.buckets:
        stream = f"KV_{bucket}"
        subjects += [f"$KV.{bucket}.>", f"{_API}.STREAM.CREATE.{stream}", f"{_API}.STREAM.UPDATE.{stream}"]
        subjects += [f"{_API}.STREAM.MSG.GET.{stream}", *_reader(stream)]
    return list(dict.fromkeys(subjects))


def hears(service: Service) -> list[str]:
    """The subjects that a service may subscribe to."""
    return [f"{inbox(service.name)}.>", *service.nats.hears]


def inbox(service: str) -> str:
    """What the subjects begin with on which a service is answered."""
    return f"_INBOX.{service}"


def covers(pattern: str, subject: str) -> bool:
    """Whether a pattern stands for all that a subject, or another pattern, stands for."""
    wanted, given = pattern.split("."), subject.split(".")
    for position, part in enumerate(wanted):
        if part == ">":
            return len(given) > position
        if position >= len(given) or given[position] == ">" or part not in {"*", given[position]}:
            return False
    return len(wanted) == len(given)


def _streams(rights: NatsRights) -> list[str]:
    verbs = ("CREATE", "UPDATE") if rights.defines_streams else ("CREATE",)
    return [f"{_API}.STREAM.{verb}.{stream}" for verb in verbs for stream in STREAMS]


def _consumer(stream: str, name: str) -> list[str]:
    """To make a durable consumer, ask for its messages, and acknowledge them; also in a domain (NATS' ADR-15)."""
    return [
        f"{_API}.CONSUMER.CREATE.{stream}.{name}",
        f"{_API}.CONSUMER.DURABLE.CREATE.{stream}.{name}",
        f"{_API}.CONSUMER.MSG.NEXT.{stream}.{name}",
        f"$JS.ACK.{stream}.{name}.>",
        f"$JS.ACK.*.*.{stream}.{name}.>",
    ]


def _reader(stream: str) -> list[str]:
    """To make a consumer of any name, and ask for its messages; it acknowledges nothing.

    The form without a name in the subject is refused: by it the server takes a name of another's consumer too.
    """
    return [f"{_API}.CONSUMER.CREATE.{stream}.*", f"{_API}.CONSUMER.MSG.NEXT.{stream}.*"]


def _of_others(service: Service, services: Iterable[Service]) -> list[str]:
    """What concerns the consumers that others have a name for."""
    return [
        subject
        for other in services
        if other is not service
        for stream, names in other.nats.consumes.items()
        for name in names
        if name != "*"
        for subject in (*_consumer(stream, name), f"{_API}.CONSUMER.INFO.{stream}.{name}")
    ]


def _list(subjects: Sequence[str]) -> str:
    return json.dumps(list(subjects))
