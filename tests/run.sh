#!/bin/sh
# Runs the checks: ruff, mypy and the quick tests. All of them run; one failure fails the whole.
# `tests/run.sh ARGUMENTS` runs ruff, mypy, and pytest with these arguments: the tests that they name, quick or slow.
# `tests/run.sh all [ARGUMENTS]` runs every check: the slow tests too (the archive, the demo, faults), then `pythons`.
# `tests/run.sh faults [ARGUMENTS]` breaks the module for minutes instead, and writes docs/reliability.md (see --help).
# `tests/run.sh pythons` runs the demo and the tests of the module's life under each Python that this computer has.
# Needs Python 3.11 or newer with venv: what else it needs it installs into .venv-dev, on first use; what the
# archive of tests/packaging is made with, build.sh installs into .venv-build.
set -eu
cd "$(dirname "$0")/.."
venv=$PWD/.venv-dev
key="$(cksum <requirements-dev.txt) ${COURIER_PYTHON:-} $venv"
unset PYTHONPATH PYTHONHOME

stamp=
if [ -x "$venv/bin/python" ] && [ -r "$venv/courier.stamp" ]; then
    IFS= read -r stamp <"$venv/courier.stamp" || :
fi
if [ "$stamp" != "$key" ]; then
    python=
    for name in ${COURIER_PYTHON:+"$COURIER_PYTHON"} python3.14 python3.13 python3.12 python3.11 python3; do
        if python=$("$name" -c 'import ensurepip, os, sys
sys.exit(sys.version_info < (3, 11) or sys.version_info.releaselevel != "final" or print(os.path.realpath(sys.executable)))' 2>/dev/null); then
            break
        fi
        python=
    done
    if [ -z "$python" ]; then
        echo "tests/run.sh: a release of Python 3.11 or newer with venv is needed (Debian, Ubuntu: python3 and python3-venv)" >&2
        exit 1
    fi
    echo "tests/run.sh: installing what the tests need into $venv" >&2
    rm -rf "$venv"
    "$python" -I -m venv "$venv"
    "$venv/bin/python" -I -m pip --disable-pip-version-check --no-input --quiet install \
        --require-hashes --only-binary=:all: --requirement requirements-dev.txt
    printf '%s\n' "$key" >"$venv/courier.stamp.new"
    mv -f "$venv/courier.stamp.new" "$venv/courier.stamp"
fi

export PYTHONPATH="$PWD"
if [ "${1:-}" = faults ]; then
    shift
    exec "$venv/bin/python" -m tests.faults.run "$@"
fi
if [ "${1:-}" = pythons ]; then
    exec "$venv/bin/python" -m tests.pythons
fi
all=
if [ "${1:-}" = all ]; then
    shift
    all=yes
    # The accessibility check of the demo's page is JavaScript; its test is skipped without it.
    if command -v npm >/dev/null && [ ! -e tests/demo/node_modules/axe-core ]; then
        npm ci --prefix tests/demo --silent || echo "tests/run.sh: npm could not install axe-core" >&2
    fi
elif [ $# = 0 ]; then
    set -- -m "not slow"
fi

# Most tests wait for most of their time, so twice as many run at once as there are processors.
workers=$("$venv/bin/python" -c 'import os; print(2 * len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4)')
# Files of tests are synced again and again, and need not outlive the computer: in memory, if that has the room.
temporary=$(mktemp -d)
if [ "$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 { print ($4 > 4000000) }')" = 1 ]; then
    rmdir "$temporary"
    temporary=$(TMPDIR=/dev/shm mktemp -d)
fi

status=0
"$venv/bin/python" -m ruff check . || status=1
"$venv/bin/python" -m ruff format --check . || status=1
"$venv/bin/python" -m mypy >"$temporary/mypy" 2>&1 &
mypy=$!
"$venv/bin/python" -m pytest -n "$workers" --dist worksteal --basetemp="$temporary/tests" "$@" || status=1
wait "$mypy" || status=1
cat "$temporary/mypy"
if [ "$status" = 0 ]; then
    rm -rf "$temporary"
else
    echo "tests/run.sh: what the tests wrote is in $temporary" >&2
fi
if [ -n "$all" ]; then
    "$venv/bin/python" -m tests.pythons || status=1
fi
exit "$status"
