"""Two queues' answers to the same question, held against each other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from services.scheduler.domain import MAX_BATCH, Begun, Fact, Late


def plain(answer: Any) -> Any:
    """An answer without what the two may say differently.

    That is how a fact stands in the outbox, what has no order, and `room`, which may be said once too often.
    """
    match answer:
        case Fact():
            return replace(answer, posted="posted" if answer.posted else "")
        case tuple() | list():
            return [plain(each) for each in answer]
        case Begun() | Late() | None:
            return answer
        case float():
            return round(answer, 9)  # it comes as text
        case _ if hasattr(answer, "__dataclass_fields__"):
            names = [name for name in answer.__dataclass_fields__ if name != "room"]
            fields: dict[str, Any] = {name: plain(getattr(answer, name)) for name in names}
            for name in ("pauses", "suspensions", "canceling"):
                if name in fields:
                    fields[name].sort(key=str)
            if "unpublished" in fields:
                # with more of them than one sweep finds, which ones it finds among those of one moment is left open
                few = len(fields["unpublished"]) < MAX_BATCH
                fields["unpublished"].sort(key=str)
                fields["unpublished"] = fields["unpublished"] if few else "many"
            return fields
        case _:
            return answer


def differences(real: Any, model: Any, where: str = "") -> list[str]:
    """Where two answers differ."""
    if isinstance(real, dict) and isinstance(model, dict):
        return [line for name in real for line in differences(real[name], model[name], f"{where}.{name}")]
    if isinstance(real, list) and isinstance(model, list) and len(real) == len(model):
        pairs = enumerate(zip(real, model, strict=True))
        return [line for index, (one, other) in pairs for line in differences(one, other, f"{where}[{index}]")]
    return [] if real == model else [f"{where}: {real!r} in Redis, {model!r} in the model"]
