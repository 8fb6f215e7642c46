"""Whatever happens, and whoever dies: attempts are counted, events reach their endpoints, lines and batches hold."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from services.webhooks.deliveries.domain import State
from services.webhooks.endpoints.domain import Batching, Order
from tests.unit.webhooks.histories.far_side import Mood
from tests.unit.webhooks.histories.world import MOST_ATTEMPTS, World, new_connections

CONNECTIONS = new_connections(3)
MOST_REPLICAS = 3
BATCHINGS = (None, Batching(max_events=3, max_wait=timedelta(seconds=1)))


class Histories(RuleBasedStateMachine):
    """What may happen, in any order."""

    @initialize(seed=st.integers(0, 2**32), orders=st.lists(st.sampled_from(Order), min_size=1, max_size=3))
    def begin(self, seed: int, orders: list[Order]) -> None:
        self.world = World(seed)
        self.of = [
            self.world.add_endpoint(order=order, batching=self.world.chance.choice(BATCHINGS), connections=())
            for order in orders
        ]
        self.world.start()

    @rule(order=st.sampled_from(Order), batching=st.sampled_from(BATCHINGS), connection=st.sampled_from(CONNECTIONS))
    @precondition(lambda self: len(self.of) < 5)
    def an_endpoint_is_made_for_one_connection(self, order: Order, batching: Batching | None, connection: str) -> None:
        self.of.append(self.world.add_endpoint(order=order, batching=batching, connections=[connection]))

    @rule(connections=st.lists(st.sampled_from([*CONNECTIONS, ""]), min_size=1, max_size=8))
    def jobs_end(self, connections: list[str]) -> None:
        for connection in connections:
            self.world.publish(connection)

    @rule(index=st.integers(0, 4), mood=st.sampled_from(Mood))
    def a_receiver_changes_its_mood(self, index: int, mood: Mood) -> None:
        self.world.far_side.moods[self.of[index % len(self.of)]] = mood

    @rule(index=st.integers(0, 4))
    def an_endpoint_is_turned_on_or_off(self, index: int) -> None:
        endpoint_id = self.of[index % len(self.of)]
        self.world.turn(endpoint_id, on=not self.world.endpoints.by_id[endpoint_id].enabled)

    @rule(choice=st.integers(0, 1000))
    def a_delivery_is_replayed(self, choice: int) -> None:
        ended = [each for each in self.world.deliveries.by_id.values() if each.state is not State.PENDING]
        if ended:
            self.world.replay(ended[choice % len(ended)].id)

    @rule()
    @precondition(lambda self: sum(not life.dead for life in self.world.lives) < MOST_REPLICAS)
    def a_replica_starts(self) -> None:
        self.world.start()

    @rule(index=st.integers(0, MOST_REPLICAS - 1), steps=st.integers(0, 40))
    def a_replica_is_killed_soon(self, index: int, steps: int) -> None:
        alive = [life for life in self.world.lives if not life.dead]
        if alive:
            alive[index % len(alive)].end_after(steps)

    @rule(seconds=st.sampled_from((0.01, 0.1, 1.0, 5.0, 30.0)))
    def time_passes(self, seconds: float) -> None:
        self.world.pass_time(timedelta(seconds=seconds))

    @rule(seconds=st.sampled_from((0.1, 3.0)))
    def the_stores_are_away_for_a_while(self, seconds: float) -> None:
        self.world.set_away(away=True)
        self.world.pass_time(timedelta(seconds=seconds))
        self.world.set_away(away=False)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            try:
                self.world.come_to_rest()
            finally:
                self.world.end()


@pytest.mark.parametrize("seed", range(8))
def test_what_comes_due_between_two_looks_is_not_forgotten(seed: int) -> None:
    world = World(seed)
    endpoint_id = world.add_endpoint(order=Order.NONE, batching=None, connections=())
    world.start()
    world.pass_time(timedelta(seconds=1))
    world.far_side.moods[endpoint_id] = Mood.FAILING
    world.publish("")
    world.come_to_rest()
    world.end()
    assert [each.taken for each in world.far_side.sent] == [False] * MOST_ATTEMPTS


TestHistories = pytest.mark.usefixtures("uncounted")(Histories.TestCase)
TestHistories.settings = settings(
    max_examples=60,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    # not `explain`, which traces every line that runs, and histories run millions
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
