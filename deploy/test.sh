#!/usr/bin/env bash
# Runs every test and counts what was covered: those that go through Envoy to a mesh of their own beside all others, since
# either half of them waits half of its time. What the first half prints is shown when it has ended.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Tracebacks as Python prints them: pytest's own parse the source, which Python before 3.11.8 breaks off with an error when
# a collection of garbage comes in between (cpython#106905), and the run with it.
readonly PYTEST=(coverage run -m pytest --tb=native)
readonly THROUGH_ENVOY=(tests/e2e)
readonly OTHERS=(tests/unit tests/contract tests/integration tests/test_repo.py)

coverage erase
printed=$(mktemp)
"${PYTEST[@]}" "${THROUGH_ENVOY[@]}" >"$printed" 2>&1 &
through_envoy=$!
trap 'kill "$through_envoy" 2>/dev/null; rm -f "$printed"' EXIT

failed=0
echo "== ${OTHERS[*]}"
"${PYTEST[@]}" "${OTHERS[@]}" || failed=1
wait "$through_envoy" || failed=1
trap 'rm -f "$printed"' EXIT
echo "== ${THROUGH_ENVOY[*]}"
cat "$printed"
[ "$failed" = 0 ] || exit 1
coverage combine --quiet && coverage report --fail-under=90
