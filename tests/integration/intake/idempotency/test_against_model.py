"""Submits under idempotency keys beside their model, through whatever may happen: never two jobs, never a wrong answer.

One thing is not made good, and the model knows it: where Redis loses an admission while its job is on the way to the
log, a retry before the log shows that job makes a second one (`services/intake/rebuild.py`).
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from services.intake import acceptance, apply_script, rebuild
from shared import ids
from shared.retry import Backoff
from tests.integration.intake.idempotency.hand import Hand
from tests.integration.intake.idempotency.machine import IntakeMachine

if TYPE_CHECKING:
    from shared.bus import Bus


@pytest.mark.usefixtures("uncounted")
@pytest.mark.timeout(900)  # half a minute of a processor, of which a busy machine gives it a tenth
def test_never_two_jobs_and_never_a_wrong_answer(
    redis_url: str, nats_url: str, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand = Hand()
    monkeypatch.setattr(ids, "new_job_id", hand.new_job_id)
    monkeypatch.setattr(ids, "new_batch_id", hand.new_batch_id)
    for module in (apply_script, rebuild):
        monkeypatch.setattr(module, "datetime", hand.datetime())
    monkeypatch.setattr(acceptance, "_PUBLISH_BACKOFF", Backoff(initial=timedelta(0)))
    machine = type("Machine", (IntakeMachine,), {"redis_url": redis_url, "nats_url": nats_url, "hand": hand})
    by_hand = "IDEMPOTENCY_EXAMPLES" in os.environ
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=int(os.environ.get("IDEMPOTENCY_EXAMPLES", "25")),
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=not by_hand,  # the same run for everyone, but where more is asked for
            database=None,
            phases=[Phase.generate],  # as it happened
        ),
    )
