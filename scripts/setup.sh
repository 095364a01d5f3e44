#!/bin/sh
# Make a virtual environment with the pinned packages and Deedbox itself (editable).
# PYTHON: the interpreter, 3.11 or later. VENV: the directory.
set -eu

say() { echo "setup: $*"; }

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
    say "$PYTHON is not Python 3.11 or later; set PYTHON=/path/to/python3" >&2
    exit 2
}

if ! "$PYTHON" -c 'import ensurepip' 2>/dev/null; then
    # Debian has venv in a package of its own.
    say "installing python3-venv from the system's packages"
    root=""
    [ "$(id -u)" = 0 ] || root="sudo -n"
    { $root apt-get -qq update && $root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y python3-venv >/dev/null; } || {
        say "installing needs apt-get, and root or sudo without a password; run \`apt-get install python3-venv\` as root" >&2
        exit 2
    }
fi

[ -x "$VENV/bin/python" ] || "$PYTHON" -m venv "$VENV"
[ -x "$VENV/bin/uv" ] || "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check uv
export VIRTUAL_ENV="$PWD/$VENV"
"$VENV/bin/uv" pip install --quiet --require-hashes -r requirements.lock
"$VENV/bin/uv" pip install --quiet --no-deps --no-build-isolation -e .
