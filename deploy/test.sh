#!/usr/bin/env bash
# Runs every test, and counts what of services and shared was covered. They run in lanes beside each other, each with
# servers of its own, since every lane waits most of its time. What the others print is shown when they have ended.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The lanes beside the first, which takes what is in none of these.
readonly LANES=(
  "tests/integration/scheduler tests/integration/shared tests/integration/upstream"
  "tests/integration/access tests/integration/auth tests/integration/deploy tests/integration/history"
  "tests/integration/gateway tests/integration/intake tests/integration/webhooks"
  "tests/e2e"
)
# A lane that hangs after its last test is ended too, and says where each of its threads stood.
export PYTHONFAULTHANDLER=1
# Tracebacks as Python prints them: pytest's own parse the source, which Python before 3.11.8 breaks off with an error when
# a collection of garbage comes in between (cpython#106905), and the run with it.
readonly PYTEST=(timeout --signal=ABRT --kill-after=10 25m coverage run -m pytest --tb=native)
readonly FIRST=(tests/unit tests/contract tests/integration tests/test_repo.py)

printed=$(mktemp -d)
lanes=()
trap 'kill "${lanes[@]}" 2>/dev/null; rm -rf "$printed"' EXIT

coverage erase
for lane in "${LANES[@]}"; do
  # shellcheck disable=SC2086  folders, of which none has a space
  "${PYTEST[@]}" $lane >"$printed/${#lanes[@]}" 2>&1 &
  lanes+=($!)
done
failed=0
# shellcheck disable=SC2046,SC2048  the same
"${PYTEST[@]}" "${FIRST[@]}" $(printf -- '--ignore=%s ' ${LANES[*]}) || failed=1
for number in "${!lanes[@]}"; do
  wait "${lanes[$number]}" || failed=1
  cat "$printed/$number"
done
trap 'rm -rf "$printed"' EXIT
[ "$failed" = 0 ] || exit 1
coverage combine --quiet && coverage report --fail-under=90
