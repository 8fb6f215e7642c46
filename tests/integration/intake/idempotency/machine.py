"""Whatever may happen on the way of a submit, in any order."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shared import errors
from tests.integration.intake.idempotency.bench import Bench, Crashed, Kept
from tests.integration.intake.idempotency.ledger import LAST, MINUTE, SECOND, Asked, Ledger, Verdict
from tests.integration.intake.idempotency.way import Fate, Way
from tests.integration.intake.idempotency.witness import Witness

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from tests.integration.intake.idempotency.bench import Replica
    from tests.integration.intake.idempotency.hand import Hand
    from tests.integration.intake.idempotency.log import Log

START_MS = 1_800_000_000_000
CAP = 8
TENANTS, KEYS, BODIES, JOBS = ("acme", "globex"), ("k", "l"), (0, 1, 2), (0, 2, 3)
#: Time passes in multiples of it, so that no window, claim or record ends within seconds of a step: where Redis removes
#: something, it goes by a clock of its own.
TICK = 70 * SECOND
#: Till a claim has lapsed; what was never shown has stopped counting, and its record is gone; and most of a window.
TICKS = [1, 1, 1, 3, 9, 52, 1183]
#: A submit is at it for a minute at most.
LONGEST_HELD = TICK
#: A message may lie about in a connection that is lost, or be acknowledged too late, for as long as that.
LONGEST_ON_THE_WAY = 10 * MINUTE
CHOICES = st.integers(0, 2**32 - 1).map(random.Random)


@dataclass
class Held:
    """A submit whose publish hangs."""

    asked: Asked
    made: str
    way: Way
    call: asyncio.Task[Any]


class IntakeMachine(RuleBasedStateMachine):
    """Drives intake before a witness."""

    redis_url = nats_url = ""
    hand: Hand

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.hand.set(START_MS)
        self.bench: Bench = self.run(Bench.open(self.redis_url, self.nats_url, self.hand, CAP))
        self.bench.late_from = START_MS + 200 * SECOND
        self.witness = Witness(self.bench)
        self.held: list[Held] = []
        self.kept: tuple[Kept, Ledger] | None = None
        #: Whether Redis has all that the log tells.
        self.whole = True
        #: Whether every check of the newest step has held.
        self.sound = False

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(coroutine)

    @property
    def log(self) -> Log:
        return self.bench.log

    @property
    def now(self) -> int:
        return self.hand.now_ms

    def an_asked(self, chance: random.Random, *, keyed: bool = False) -> Asked:
        """Mostly the same one, so that steps meet."""
        [tenant] = chance.choices(TENANTS, [4, 1])
        [key] = chance.choices((*KEYS, ""), [6, 1, 0 if keyed else 1])
        [body] = chance.choices(BODIES, [1, 4, 2])
        [jobs] = chance.choices(JOBS, [3, 3, 1])
        return Asked(tenant=tenant, key=key, body=body, jobs=jobs)

    def some_askeds(self, chance: random.Random, count: int) -> list[Asked]:
        """Duplicates, and under the same key some with another body, or a batch beside a job."""
        asked = self.an_asked(chance, keyed=True)
        both = [asked, asked, replace(asked, body=chance.choice(BODIES)), replace(asked, jobs=chance.choice(JOBS))]
        return chance.choices(both, k=count)

    def a_fate(self, chance: random.Random) -> Fate:
        return chance.choice(list(Fate)) if chance.random() < 0.6 else Fate.ARRIVES

    def a_replica(self, chance: random.Random) -> Replica:
        return chance.choice(self.bench.replicas)

    def some_failures(self, chance: random.Random) -> dict[str, bool]:
        """Calls of the store whose answers are lost, having taken effect or not."""
        if chance.random() < 0.7:
            return {}
        return {name: chance.random() < 0.5 for name in ("admit", "accept", "release") if chance.random() < 0.4}

    def knows_server(self, replica: Replica) -> bool:
        return self.run(replica.knows_server())

    async def answer_of(self, call: Any) -> Any:
        try:
            return await call
        except (errors.PenstockError, Crashed) as error:
            return error

    @initialize(chance=CHOICES)
    def start(self, chance: random.Random) -> None:
        self.submit(chance)

    @rule(chance=CHOICES)
    def submit(self, chance: random.Random) -> None:
        self.send(self.an_asked(chance), self.a_fate(chance), self.a_replica(chance), self.some_failures(chance))

    @rule(chance=CHOICES)
    def repeat(self, chance: random.Random) -> None:
        """As a client does that has no answer: the same again, until it is told."""
        asked = self.an_asked(chance)
        for _ in range(chance.randint(2, 4)):
            self.send(asked, self.a_fate(chance), self.a_replica(chance), self.some_failures(chance))

    def send(self, asked: Asked, fate: Fate, replica: Replica, failing: dict[str, bool]) -> None:
        """One submit, to its end."""
        witness = self.witness
        verdict, made = witness.verdict(asked, known=self.knows_server(replica))
        way = Way(self.log, fate)
        answer = self.run(self.answer_of(replica.submit(asked, way, failing=failing)))
        unheard = failing.get("admit") if not witness.is_late(asked) else None
        if unheard is False or (unheard and verdict is not Verdict.REBUILDING):
            witness.admission_unanswered(asked, verdict, answer, takes_effect=unheard)
        elif verdict in {Verdict.NEW, Verdict.TAKEN_UP}:
            made = made or self.hand.minted
            witness.ledger.admit(asked, made, self.now)
            witness.published(asked, made, fate, failing, answer)
        else:
            assert not way.messages
            witness.answered(verdict, asked, made, answer)

    @rule(chance=CHOICES)
    def submit_and_hang(self, chance: random.Random) -> None:
        asked, replica = self.an_asked(chance), self.a_replica(chance)
        verdict, made = self.witness.verdict(asked, known=self.knows_server(replica))
        if verdict not in {Verdict.NEW, Verdict.TAKEN_UP}:
            return
        way = Way(self.log, Fate.ARRIVES, gate=asyncio.Event())

        async def begin() -> asyncio.Task[Any]:
            call = asyncio.create_task(replica.submit(asked, way))
            await asyncio.wait({call, asyncio.ensure_future(way.reached.wait())}, return_when="FIRST_COMPLETED")
            return call

        call = self.run(begin())
        assert way.messages
        made = made or self.hand.minted
        self.witness.ledger.admit(asked, made, self.now)
        self.held.append(Held(asked, made, way, call))

    @precondition(lambda self: self.held)
    @rule(chance=CHOICES)
    def go_on(self, chance: random.Random) -> None:
        self.let_go(self.held.pop(chance.randrange(len(self.held))), self.a_fate(chance))

    def let_go(self, held: Held, fate: Fate) -> None:
        held.way.let_go(fate)
        answer = self.run(self.answer_of(held.call))
        self.witness.published(held.asked, held.made, fate, {}, answer)

    @precondition(lambda self: self.log.on_the_way)
    @rule(chance=CHOICES)
    def arrive_late(self, chance: random.Random) -> None:
        waiting = self.log.on_the_way
        self.run(self.log.put(waiting.pop(chance.randrange(len(waiting)))))

    @rule(chance=CHOICES)
    def submit_at_once(self, chance: random.Random) -> None:
        """Duplicates at the same time, on both replicas."""
        askeds = self.some_askeds(chance, chance.randint(2, 12))
        replicas = [self.a_replica(chance) for _ in askeds]
        known = [self.knows_server(replica) for replica in replicas]

        async def all_at_once() -> list[Any]:
            calls = [
                self.answer_of(replica.submit(asked, Way(self.log, Fate.ARRIVES)))
                for asked, replica in zip(askeds, replicas, strict=True)
            ]
            return await asyncio.gather(*calls)

        self.witness.answered_at_once(list(zip(askeds, known, self.run(all_at_once()), strict=True)))

    @precondition(lambda self: self.log.told)
    @rule(chance=CHOICES)
    def happen(self, chance: random.Random) -> None:
        """What the scheduler says of jobs that it has."""
        newest: dict[str, int] = {}
        for told in self.log.told:
            newest[told.job_id] = max(newest.get(told.job_id, 0), told.revision)
        for job_id in chance.sample(list(newest), min(2, len(newest))):
            if newest[job_id] < LAST:
                self.run(self.log.happen(job_id, chance.randint(newest[job_id] + 1, LAST)))

    @precondition(lambda self: self.log.open)
    @rule(chance=CHOICES)
    def project(self, chance: random.Random) -> None:
        """Some of the log is applied, in any order; not all of that is acknowledged, and comes again."""
        sequences = [sequence for sequence in self.log.open if chance.random() < 0.7]
        chance.shuffle(sequences)
        again = [sequence for sequence in sequences if chance.random() < 0.2]
        self.apply(sequences, self.a_replica(chance), again=again)

    def apply(self, sequences: Sequence[int], replica: Replica, *, again: Sequence[int] = ()) -> None:
        messages = [self.log.open[sequence] for sequence in sequences]
        self.run(replica.projection.handle(messages))
        for message in messages:
            told = self.log.read(message.payload)
            self.witness.ledger.show(told, self.now)
            self.witness.ledger.note(told, self.now)
            if message.sequence not in again:
                del self.log.open[message.sequence]

    @rule(chance=CHOICES)
    def keep(self, chance: random.Random) -> None:
        """What Redis holds now is what it will be left with when it loses its last writes."""
        replica = self.a_replica(chance)
        self.run(replica.floor.note(self.log.acknowledged(), known=replica.servers.text))
        if chance.random() < 0.7:
            self.kept = self.run(self.bench.keep()), self.witness.ledger.copy()

    @rule(chance=CHOICES)
    def lose(self, chance: random.Random) -> None:
        kept, ledger = self.kept if self.kept is not None and chance.random() < 0.7 else (None, Ledger(CAP))
        self.lose_all_but(kept, ledger)
        if chance.random() < 0.5:
            self.rebuild(chance)

    def lose_all_but(self, kept: Kept | None, left: Ledger) -> None:
        self.run(self.bench.lose(kept))
        on_the_way = {held.made for held in self.held}
        on_the_way |= {self.log.made_by(messages) for messages in self.log.on_the_way}
        self.witness.lost(left, on_the_way)
        self.kept, self.whole = None, False

    @precondition(lambda self: not self.whole)
    @rule(chance=CHOICES)
    def rebuild(self, chance: random.Random) -> None:
        for replica in chance.sample(self.bench.replicas, chance.randint(1, 2)):
            if chance.random() < 0.2:
                self.die_rebuilding(replica, after_all=chance.random() < 0.5)
            else:
                self.rebuild_by(replica)

    def rebuild_by(self, replica: Replica) -> None:
        """The first one rebuilds; the others learn of it."""
        self.run(replica.rebuilder._settle())
        if not self.whole:
            self.witness.ledger.rebuild(self.log.told, self.now)
        self.whole = True

    def die_rebuilding(self, replica: Replica, *, after_all: bool) -> None:
        """Before it has applied anything, or after all of it and before it could say so."""
        if self.whole:
            return
        replica.failing["apply"] = after_all
        died = isinstance(self.run(self.answer_of(replica.rebuilder._settle())), errors.Unavailable)
        replica.failing.clear()
        self.whole = not died  # there was nothing to apply
        if after_all:
            self.witness.ledger.rebuild(self.log.told, self.now, noting=not died)

    @rule(chance=CHOICES)
    def rebuild_while_clients_wait(self, chance: random.Random) -> None:
        """Clients repeat their call for as long as they are told that all is being rebuilt."""
        replica, askeds = self.a_replica(chance), self.some_askeds(chance, chance.randint(1, 6))

        async def patient(asked: Asked) -> Any:
            while True:
                answer = await self.answer_of(replica.submit(asked, Way(self.log, Fate.ARRIVES)))
                if not (isinstance(answer, errors.Unavailable) and "state" in answer.metadata):
                    return answer
                await asyncio.sleep(0)

        async def all_at_once() -> list[Any]:
            rebuilt = asyncio.create_task(replica.rebuilder._settle())
            answers = await asyncio.gather(*map(patient, askeds))
            await rebuilt
            return answers

        told = list(self.log.told)
        answers = self.run(all_at_once())
        if not self.whole:
            self.witness.ledger.rebuild(told, self.now)
        self.whole = True
        self.witness.answered_at_once([(asked, True, answer) for asked, answer in zip(askeds, answers, strict=True)])

    @rule(chance=CHOICES)
    def time_passes(self, chance: random.Random) -> None:
        ticks = chance.choice(TICKS)
        ends = [known.ends for known in self.witness.ledger.keys.values() if known.ends > self.now]
        if ends and chance.random() < 0.3:  # to either side of the end of a window
            ticks = max(1, (chance.choice(ends) - self.now) // TICK + chance.randint(0, 1))
        self.pass_time(ticks)

    def pass_time(self, ticks: int) -> None:
        """Nothing takes longer than it may: a submit its minute, a message its minutes, a loss what was not copied."""
        if ticks * TICK > LONGEST_HELD:
            for held in self.held:
                self.let_go(held, Fate.TIMES_OUT)
            self.held = []
        if ticks * TICK > LONGEST_ON_THE_WAY:
            self.log.on_the_way.clear()
            self.kept = None
            self.apply(list(self.log.open), self.bench.replicas[0])
        self.run(self.bench.pass_time(ticks * TICK))

    @invariant()
    def all_is_as_the_witness_says(self) -> None:
        self.witness.check_log()
        for tenant in TENANTS:
            assert self.run(self.bench.pending(tenant)) == self.witness.ledger.pending(tenant, self.now)
        self.sound = True

    def teardown(self) -> None:
        if self.sound:
            self.wind_up()
        self.run(self.bench.close())
        self.runner.close()

    def wind_up(self) -> None:
        """Everything comes to rest; then each key still answers as it must, also when Redis is lost whole."""
        for held in self.held:
            self.let_go(held, Fate.ARRIVES)
        for messages in self.log.on_the_way:
            self.run(self.log.put(messages))
        self.ask_every_key()
        self.lose_all_but(None, Ledger(CAP))
        self.ask_every_key()

    def ask_every_key(self) -> None:
        for replica in self.bench.replicas:
            self.rebuild_by(replica)
        self.apply(list(self.log.open), self.bench.replicas[0])
        self.all_is_as_the_witness_says()
        for (tenant, key), known in list(self.witness.ledger.keys.items()):
            for body, jobs in product(BODIES, JOBS) if known.ends > self.now else ():
                asked = Asked(tenant=tenant, key=key, body=body, jobs=jobs)
                self.send(asked, Fate.ARRIVES, self.bench.replicas[1], {})
        self.all_is_as_the_witness_says()
