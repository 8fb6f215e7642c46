"""What Linux says that a process has used."""

from __future__ import annotations

import os
import time

from tests.bench import cpu


def test_both_times_count_whatever_the_process_is_called() -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    rest = f"S 1 2 3 4 5 6 7 8 9 10 {3 * ticks} {2 * ticks} 13"
    assert cpu.parse_used_s(f"42 (nats) {rest}") == 5.0
    assert cpu.parse_used_s(f"42 (a) S (b c) {rest}") == 5.0


def test_this_process_is_found_to_work() -> None:
    before = cpu.used_s(os.getpid())
    until = time.process_time() + 0.05
    while time.process_time() < until:
        pass
    assert cpu.used_s(os.getpid()) > before
