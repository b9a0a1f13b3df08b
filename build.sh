#!/bin/sh
# Builds the registry's archive for this machine's platform: build.sh [ARCHIVE], by default dist/archive.tar.gz.
#
# The archive holds run.sh and, in program/, the module with an interpreter and all that it needs, as PyInstaller's
# one-directory form: nothing is unpacked at a start. Needs Python 3.11 or newer with venv and its shared library, and on
# Linux binutils (Debian, Ubuntu: packaging/setup.sh installs them). What else it needs it installs into .venv-build, from
# a lock file with hashes, on first use.
set -eu
cd "$(dirname "$0")"
umask 022
unset PYTHONPATH PYTHONHOME

die() {
    printf 'build.sh: %s\n' "$*" >&2
    exit 1
}

# Prints the real file of a Python that a program can be made of.
probe='
import ensurepip, os, sys, sysconfig
shared = sysconfig.get_config_var("Py_ENABLE_SHARED") or sysconfig.get_config_var("PYTHONFRAMEWORK")
final = sys.version_info[3] == "final"
sys.exit(sys.version_info < (3, 11) or not final or not shared or print(os.path.realpath(sys.executable)))
'

archive=${1:-dist/archive.tar.gz}
venv=$PWD/.venv-build
key="$(cksum <requirements-build.txt) ${COURIER_PYTHON:-} $venv"
stamp=
if [ -x "$venv/bin/python" ] && [ -r "$venv/courier.stamp" ]; then
    IFS= read -r stamp <"$venv/courier.stamp" || :
fi
if [ "$stamp" != "$key" ]; then
    python=
    for name in ${COURIER_PYTHON:+"$COURIER_PYTHON"} python3.14 python3.13 python3.12 python3.11 python3; do
        python=$("$name" -c "$probe" 2>/dev/null) && break
        python=
    done
    [ -n "$python" ] || die "no release of Python 3.11 or newer with venv and a shared library found: packaging/setup.sh installs it"
    echo "build.sh: installing what the build needs into $venv" >&2
    rm -rf "$venv"
    "$python" -I -m venv "$venv"
    "$venv/bin/python" -I -m pip --disable-pip-version-check --no-input --quiet install \
        --require-hashes --only-binary=:all: --requirement requirements-build.txt
    printf '%s\n' "$key" >"$venv/courier.stamp.new"
    mv -f "$venv/courier.stamp.new" "$venv/courier.stamp"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# Its caches of compiled files, which depend on the interpreter alone, stay out of the user's home.
PYINSTALLER_CONFIG_DIR=$work/cache "$venv/bin/python" -m PyInstaller --noconfirm --log-level=WARN \
    --distpath "$work/archive" --workpath "$work/build" packaging/capture-courier.spec
cp CHANGELOG.md LICENSE README.md meta.json run.sh "$work/archive"

needs=
if [ "$(uname -s)" = Linux ]; then
    internal=$work/archive/program/_internal
    # Debug symbols of the interpreter, where its builder left them: 10 MB of the archive. Wheels come without.
    strip --strip-debug "$internal"/libpython* "$internal"/python3.*/lib-dynload/*.so
    needs=$(find "$work/archive/program" -type f ! -path '*/spare/*' \( -name '*.so*' -o -name capture-courier \) -exec objdump -p {} + |
        sed -n 's/.* GLIBC_\([0-9.]*\)$/\1/p' | sort -u -t. -k1,1n -k2,2n | tail -n 1)
fi

mkdir -p "$(dirname "$archive")"
tar -czf "$archive.new" -C "$work/archive" CHANGELOG.md LICENSE README.md meta.json program run.sh
mv -f "$archive.new" "$archive"
echo "build.sh: $archive for $(uname -s)/$(uname -m), $(($(wc -c <"$archive") / 1000000)) MB${needs:+, needs glibc $needs or newer}"
