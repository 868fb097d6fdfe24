#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Create .venv with the harness and tox, and install the system packages they need.
# Runs as root or as a user with sudo; running it again repairs or updates the installation.
#
#   ./setup.sh                      with the system's Python
#   PYTHON=python3.13 ./setup.sh    with an interpreter of your choice (3.11 or newer)

set -eu
CDPATH='' cd -- "$(dirname -- "$0")"

fits() { # is the interpreter new enough, and can it create virtual environments?
    "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    for python in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        fits "$python" && return 0
    done
    return 1
}

as_root() {
    [ "$(id -u)" -eq 0 ] || set -- sudo "$@"
    echo "\$ $*" >&2
    "$@"
}

# The only packages listed outside harness/doctor/needs.py, which can only be read with Python.
install_python() {
    if command -v apt-get >/dev/null; then
        as_root apt-get update || true # a single bad source is not fatal
        as_root apt-get install -o DPkg::Lock::Timeout=120 -y --no-install-recommends python3-venv
    elif command -v dnf >/dev/null; then
        as_root dnf install -y python3
    elif command -v zypper >/dev/null; then
        as_root zypper --non-interactive install python313
    elif command -v pacman >/dev/null; then
        as_root pacman -Sy --needed --noconfirm python
    fi >&2
}

if ! find_python; then
    [ -n "${PYTHON:-}" ] || install_python || true
    if ! find_python; then
        echo "setup.sh: ${PYTHON:-python3} is not Python 3.11 or newer with venv and ensurepip" >&2
        echo "  try: install it, then run PYTHON=/path/to/python3 ./setup.sh" >&2
        exit 128
    fi
fi

# Recreate the environment if its interpreter is missing or too old, or if it was moved.
if ! { fits .venv/bin/python && .venv/bin/pip --version >/dev/null 2>&1; }; then
    "$python" -m venv --clear .venv
fi

# Editable, to use the fragments, series and suites of this clone.  tox runs the tests.
.venv/bin/python -m pip install --quiet --editable . tox
.venv/bin/harness setup --yes
