#!/bin/sh
# Installs what build.sh needs on a machine of the registry's cloud build. macOS gets it from meta.json's darwin_deps.
set -eu

if command -v apt-get >/dev/null; then
    sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    $sudo apt-get -qq update
    # The interpreter's shared library comes with libpython3-dev; PyInstaller reads what programs need with objdump.
    $sudo apt-get -qqy install --no-install-recommends python3 python3-venv libpython3-dev binutils
fi
