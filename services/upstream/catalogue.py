"""The catalogue: every connector by its upstream's name, and its methods' params judged by their schemas."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jsonschema_rs

from services.upstream import limits
from shared.errors import UpstreamNotFound
from shared.formats import formats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from services.upstream.connector import Connector
    from services.upstream.domain import Method, Upstream
    from shared.addresses import AddressGuard

#: Of a wrong name that is shown again in an error.
_SHOWN_CHARACTERS = 60
#: Stands for every method that is not listed.
_OTHERS = ""


class Catalogue:
    """What can be called.

    Args:
        connectors: Each speaks to an upstream of its own.
        guard: Decides which URLs may be called, for the formats in schemas.

    Raises:
        LimitsError: The limits of an upstream are nonsense.
    """

    def __init__(self, connectors: Sequence[Connector], guard: AddressGuard) -> None:
        for connector in connectors:
            limits.check(connector.upstream)
        self._connectors = {connector.upstream.name: connector for connector in connectors}
        checks: dict[str, Callable[[str], bool]] = {name: each.accepts for name, each in formats(guard).items()}
        self._validators = {
            (connector.upstream.name, method.name): jsonschema_rs.Draft202012Validator(
                dict(method.params_schema), formats=checks, validate_formats=True, offline=True
            )
            for connector in connectors
            for method in _judged(connector.upstream)
        }

    def __iter__(self) -> Iterator[Connector]:
        """Every connector."""
        return iter(self._connectors.values())

    def upstreams(self) -> list[Upstream]:
        """Every upstream, in the order of their names."""
        return [self._connectors[name].upstream for name in sorted(self._connectors)]

    def upstream(self, name: str) -> Upstream:
        """The upstream of this name.

        Raises:
            UpstreamNotFound: There is none.
        """
        connector = self._connectors.get(name)
        if connector is None:
            shown = name[:_SHOWN_CHARACTERS]
            raise UpstreamNotFound(
                f"there is no upstream {shown!r}; there are: {', '.join(sorted(self._connectors))}",
                metadata={"upstream": shown},
            )
        return connector.upstream

    def fault(self, upstream: str, method: str, params: Any) -> str | None:
        """What is wrong with the params of a call to a method that there is, or None."""
        validator = self._validators.get((upstream, method)) or self._validators[upstream, _OTHERS]
        try:
            validator.validate(params)
        except jsonschema_rs.ValidationError as error:
            path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.instance_path)
            return f"params{path} does not keep to the method's schema ({error.kind.name})"
        return None


def _judged(upstream: Upstream) -> Iterator[Method]:
    """Every method that has a schema of its own."""
    yield from upstream.methods
    if upstream.other_methods is not None:
        yield replace(upstream.other_methods.template, name=_OTHERS)
