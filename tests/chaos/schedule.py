"""What is done to the mesh, and when: everything that follows from one seed."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deploy.local.programs import Program
    from deploy.local.stack import Stack

#: How long a stopped program stays away.
STOP_S = 5.0
#: Between two strikes: long enough that the next one meets a mesh that is at work again, or still mending itself.
_PAUSE_S = (0.2, 2.0)


class Strike(StrEnum):
    """What is done to a program."""

    #: SIGKILL; the supervisor starts it again at once.
    KILL = "kill"
    #: SIGSTOP, and SIGCONT after 5 s: it is there and does not answer, and goes on with what it thinks is true.
    FREEZE = "freeze"
    #: Stopped by the supervisor, and started again after 5 s.
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Step:
    """One strike at one program, after a pause."""

    program: Program
    strike: Strike
    pause_s: float


def each_once(programs: tuple[Program, ...], seed: int) -> list[Step]:
    """Kills each program once and stops or freezes each once, in an order of the seed's."""
    chance = random.Random(seed)
    pairs = [(program, Strike.KILL) for program in programs]
    pairs += [(program, chance.choice((Strike.FREEZE, Strike.STOP))) for program in programs]
    chance.shuffle(pairs)
    return [Step(program, strike, chance.uniform(*_PAUSE_S)) for program, strike in pairs]


def without_end(programs: tuple[Program, ...], seed: int) -> Iterator[Step]:
    """Strikes at random, for as long as one asks."""
    chance = random.Random(seed)
    while True:
        yield Step(chance.choice(programs), chance.choice(tuple(Strike)), chance.uniform(*_PAUSE_S))


async def carry_out(step: Step, stack: Stack) -> None:
    """Does it, and returns when the program runs again; what it does after that is the mesh's own affair."""
    await asyncio.sleep(step.pause_s)
    if step.strike is Strike.STOP:
        await asyncio.to_thread(stack.supervisor.stop_program, step.program)
        await asyncio.sleep(STOP_S)
        await asyncio.to_thread(stack.supervisor.start_program, step.program)
    elif step.strike is Strike.FREEZE:
        pid = await _pid(stack, step.program)
        os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(STOP_S)
        os.kill(pid, signal.SIGCONT)
    else:
        os.kill(await _pid(stack, step.program), signal.SIGKILL)


async def _pid(stack: Stack, program: Program) -> int:
    """The program's process, once it runs."""

    async def running() -> int:
        statuses = await asyncio.to_thread(stack.supervisor.statuses)
        status = next(status for status in statuses if status.name == program.name)
        return status.pid if status.state == "RUNNING" else 0

    return await eventually(running, within=60, what=f"{program.name} running")
