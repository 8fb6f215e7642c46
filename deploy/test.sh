#!/usr/bin/env bash
# Runs every test, and counts what most of them cover of services, shared and the Python SDK. They run in lanes beside each
# other, each with servers of its own, since every lane waits most of its time. What the others print is shown when they have
# ended. A few tests that failed beside the other lanes are then run once more, alone on the quiet machine, and that decides.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The lanes beside the first, which takes what is in none of these. What those in UNCOUNTED run of the services the others
# run too, and counting it costs Python as much again: there coverage is left out.
# Of tests/browser those that are told run on the mesh of the end-to-end tests, and after them: who has driven a browser in a
# process runs no event loop there any more.
readonly UNCOUNTED=(
  "tests/contract tests/integration/gateway tests/integration/upstream"
  "tests/e2e $*"
  "tests/docs tests/sdks tests/integration/scheduler"
  "tests/integration/access tests/integration/backup tests/integration/deploy"
)
readonly OTHERS=(
  "tests/integration/auth"
  "tests/integration/history sdks/python/tests"
  "tests/integration/intake tests/integration/webhooks"
  "${UNCOUNTED[@]}"
)
# shellcheck disable=SC2048,SC2086  folders, of which none has a space; so below
readonly FIRST="tests/unit tests/integration tests/test_repo.py $(printf -- '--ignore=%s ' ${OTHERS[*]})"
readonly LANES=("$FIRST" "${OTHERS[@]}")
readonly SDK="sdks/*"
# So many failures at most may be a matter of a busy machine.
readonly FEW=5
# A lane that hangs after its last test is ended too, and says where each of its threads stood.
export PYTHONFAULTHANDLER=1

kept=$(mktemp -d)
running=()
trap 'kill "${running[@]}" 2>/dev/null; rm -rf "$kept"' EXIT

# Becomes the run of a lane's tests; pytest keeps there which of them failed.
lane() {
  local runner=(coverage run) folders
  for folders in "${UNCOUNTED[@]}"; do
    [[ ${LANES[$1]} != "$folders" ]] || runner=(python)
  done
  # Tracebacks as Python prints them: pytest's own parse the source, which Python before 3.11.8 breaks off with an error
  # when a collection of garbage comes in between (cpython#106905), and the run with it.
  # shellcheck disable=SC2086
  exec timeout --signal=ABRT --kill-after=10 25m "${runner[@]}" -m pytest --tb=native -o cache_dir="$kept/$1" \
    ${LANES[$1]} "${@:2}"
}

# Names the tests that failed when these lanes ran last, one a line.
failed_in() {
  (cd "$kept" && python -c '
import json, sys
for lane in sys.argv[1:]:
    with open(f"{lane}/v/cache/lastfailed") as failed:
        print("".join(f"{test}\n" for test in json.load(failed)), end="")
' "$@")
}

coverage erase
# Else each lane, and each process that one starts, compiles what it imports.
python -m compileall -q deploy gateway protos/gen services shared sdks/python/src
for number in "${!LANES[@]}"; do
  lane "$number" >"$kept/$number.txt" 2>&1 &
  running+=($!)
done
tail --pid="${running[0]}" --lines=+1 --follow "$kept/0.txt"
with_failures=()
for number in "${!LANES[@]}"; do
  wait "${running[$number]}"
  ended=$?
  [ "$number" = 0 ] || cat "$kept/$number.txt"
  case $ended in
    0) ;;
    1) with_failures+=("$number") ;;
    *) broken_off=1 ;;
  esac
done
running=()
[ -z "${broken_off:-}" ] || exit 1

if ((${#with_failures[@]})); then
  failed=$(failed_in "${with_failures[@]}")
  if (($(wc -l <<<"$failed") > FEW)); then
    echo "more than $FEW tests failed, which is no matter of a busy machine"
    exit 1
  fi
  for number in "${with_failures[@]}"; do
    if [[ ${LANES[$number]} == *e2e* ]] && grep --quiet '^_* ERROR at teardown of ' "$kept/$number.txt"; then
      echo "the mesh of the end-to-end tests was found with a fault when they were over, which may be of any of them"
      exit 1
    fi
  done
  for number in "${with_failures[@]}"; do
    (lane "$number" --last-failed) || failed_alone=1
  done
  echo "failed beside the other lanes, passed alone:"
  grep --line-regexp --fixed-strings --invert-match --file=<(failed_in "${with_failures[@]}") <<<"$failed" || echo "none"
  [ -z "${failed_alone:-}" ] || exit 1
fi
coverage combine --quiet && coverage report --fail-under=90 --omit="$SDK" &&
  coverage report --fail-under=80 --include="$SDK"
