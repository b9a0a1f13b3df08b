#!/bin/sh
# Measures what the module costs beside other ways to do the same, and writes benchmarks/results.md (see --help).
# Needs Linux and Python 3.11 or newer with venv: what else it needs it installs into benchmarks/.venv, on first use.
set -eu
cd "$(dirname "$0")/.."
venv=$PWD/benchmarks/.venv
key="$(cat requirements-dev.txt benchmarks/requirements.txt | cksum) ${COURIER_PYTHON:-} $venv"
unset PYTHONPATH PYTHONHOME

stamp=
if [ -x "$venv/bin/python" ] && [ -r "$venv/courier.stamp" ]; then
    IFS= read -r stamp <"$venv/courier.stamp" || :
fi
if [ "$stamp" != "$key" ]; then
    python=
    for name in ${COURIER_PYTHON:+"$COURIER_PYTHON"} python3.13 python3.12 python3.11 python3; do
        if python=$("$name" -c 'import ensurepip, os, sys
sys.exit(sys.version_info < (3, 11) or print(os.path.realpath(sys.executable)))' 2>/dev/null); then
            break
        fi
        python=
    done
    if [ -z "$python" ]; then
        echo "benchmarks/run.sh: Python 3.11 or newer with venv is needed (Debian, Ubuntu: python3 and python3-venv)" >&2
        exit 1
    fi
    echo "benchmarks/run.sh: installing what the benchmarks need into $venv" >&2
    rm -rf "$venv"
    "$python" -I -m venv "$venv"
    for list in requirements-dev.txt benchmarks/requirements.txt; do
        "$venv/bin/python" -I -m pip --disable-pip-version-check --no-input --quiet install \
            --require-hashes --only-binary=:all: --requirement "$list"
    done
    printf '%s\n' "$key" >"$venv/courier.stamp.new"
    mv -f "$venv/courier.stamp.new" "$venv/courier.stamp"
fi

export PYTHONPATH="$PWD"
exec "$venv/bin/python" -m benchmarks.main "$@"
