#!/bin/sh
# Starts the module: the program beside it where there is one, as in the registry's archive; else, from source, in a
# virtual environment of its own, which the first start makes and later starts only check.
#
# The environment counts as whole when it holds the stamp that is written last: the sum of requirements.txt, the place
# it was made for and the Python that was asked for. Everything else is removed and made anew. It is made with the real
# file behind `python3` (python3.11, say), so that a system that moves on to another Python leaves a broken link, which
# shows without starting Python.
set -eu

say() {
    printf 'run.sh: %s\n' "$*" >&2
}

die() {
    say "$@"
    exit 1
}

if [ $# -eq 0 ]; then
    cat >&2 <<'USAGE'
usage: run.sh SOCKET [--log-level=LEVEL]   serve the module on a unix socket, as viam-server starts it
       run.sh demo [OPTION...]             show it at work on this machine, without a Viam account
       run.sh convert FILE [OPTION...]     put the uploader in place of the data manager in a machine config
USAGE
    exit 2
fi

# Prints "ok FILE", "old VERSION" or "bare VERSION"; also understood by the Pythons that are too old.
probe='
import os, sys
version = "%d.%d.%d" % tuple(sys.version_info[:3])
try:
    import ensurepip, venv
    whole = True
except ImportError:
    whole = False
if tuple(sys.version_info[:2]) < (3, 11):
    print("old " + version)
elif not whole:
    print("bare " + version)
else:
    print("ok " + os.path.realpath(sys.executable))
'

# Locks what the shell holds open as 9, for as long as the shell or a child of it lives: the kernel lets go by itself.
# Through Python, because not every system has the flock command.
lock='
import fcntl, sys
try:
    fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.stderr.write("run.sh: waiting for another start that makes the virtual environment\n")
    fcntl.flock(9, fcntl.LOCK_EX)
'

# Sets python, or ends with what to do about it.
find_python() {
    python=
    bare=
    old=
    if [ -n "${COURIER_PYTHON:-}" ]; then
        set -- "$COURIER_PYTHON"
    else
        set -- python3.13 python3.12 python3.11 python3
    fi
    for name in "$@"; do
        # A name that does not start is passed over: pyenv, for one, has such names on the PATH.
        found=$("$name" -c "$probe" 2>/dev/null) || continue
        case $found in
            "ok "*)
                python=${found#ok }
                return
                ;;
            "bare "*) bare=${bare:-"$name (${found#bare })"} ;;
            "old "*) old=${old:-"$name is Python ${found#old }"} ;;
        esac
    done
    if [ -n "$bare" ]; then
        die "$bare lacks venv: install it (Debian, Ubuntu: apt-get install python3-venv)"
    elif [ -n "$old" ]; then
        die "$old, and 3.11 or newer is needed: install one, or name one in COURIER_PYTHON"
    elif [ -n "${COURIER_PYTHON:-}" ]; then
        die "COURIER_PYTHON is $COURIER_PYTHON, which does not start: name a Python of 3.11 or newer"
    fi
    die "no Python found: install 3.11 or newer (Debian, Ubuntu: apt-get install python3 python3-venv)"
}

# Whether the environment in $1 is whole, and made for this lock file, this place and the Python that is asked for.
is_whole() {
    stamp=
    if [ -x "$1/bin/python" ] && [ -r "$1/courier.stamp" ]; then
        IFS= read -r stamp <"$1/courier.stamp" || :
    fi
    [ "$stamp" = "$sum ${COURIER_PYTHON:-} $1" ]
}

# Says that the environment in $venv is whole.
put_stamp() {
    printf '%s\n' "$sum ${COURIER_PYTHON:-} $venv" >"$venv/courier.stamp.new"
    mv -f "$venv/courier.stamp.new" "$venv/courier.stamp"
}

# Moves the environment in $former to $venv, if one rename can: it needs no network then.
move_here() {
    rm -rf "$venv"
    "$python" -I -c 'import os, sys; os.rename(*sys.argv[1:])' "$former" "$venv" 2>/dev/null && put_stamp
}

# Sets venv to where the environment lies if the checkout cannot be written to, and former to where earlier versions had
# it. viam-server deletes the data folder that it made for a module which does not run; one that a person chose stays.
find_place() {
    [ -n "${VIAM_MODULE_DATA:-}" ] || die "$here cannot be written to, and VIAM_MODULE_DATA is not set"
    place=$VIAM_MODULE_DATA/.venv
    home=${VIAM_HOME:-}
    home=${home%/}
    # Two checkouts must not make one environment in turns.
    checkout=$(printf '%s' "$here" | cksum)
    case $VIAM_MODULE_DATA in
        "${home:-none}"/module-data/*/*/*) ;;
        "${home:-none}"/module-data/*/*)
            machine=${VIAM_MODULE_DATA#"$home/module-data/"}
            place=$home/capture-courier/${machine%%/*}/.venv-${checkout%% *}
            former=$(CDPATH='' cd -P "$VIAM_MODULE_DATA" 2>/dev/null && pwd -P || :)/.venv
            ;;
    esac
    (umask 077 && mkdir -p "${place%/*}") || die "cannot make ${place%/*}"
    venv=$(CDPATH='' cd -P "${place%/*}" && pwd -P)/${place##*/}
}

# Makes the environment in $venv, unless another start has done so by the time that the lock is ours.
make() {
    find_python
    exec 9<"${venv%/*}"
    "$python" -c "$lock" || die "cannot lock ${venv%/*}"
    if [ -n "${former:-}" ] && is_whole "$former" && move_here; then
        say "moved $former to $venv, where viam-server deletes nothing"
    fi
    if ! is_whole "$venv"; then
        say "installing what the module needs into $venv; later starts do without"
        rm -rf "$venv"
        "$python" -I -m venv "$venv" >&2 || die "cannot make $venv: the reason stands above"
        "$venv/bin/python" -I -m pip --disable-pip-version-check --no-input --quiet install \
            --require-hashes --only-binary=:all: --requirement "$here/requirements.txt" >&2 ||
            die "cannot install into $venv: the reason stands above; the next start tries again"
        # A power cut must not leave the stamp on the disk without the files that it vouches for.
        sync
        put_stamp
    fi
    exec 9<&-
}

self=$0
while
    case $self in
        */*) ;;
        *) self=./$self ;;
    esac
    [ -L "$self" ]
do
    link=$(readlink "$self")
    case $link in
        /*) self=$link ;;
        *) self=${self%/*}/$link ;;
    esac
done
here=$(CDPATH='' cd -P "${self%/*}/" && pwd -P)

# The registry's archive holds the module as a program with all that it needs, which looks for no Python.
if [ -x "$here/program/capture-courier" ]; then
    # A library that most systems have, and that the program brings for the others; theirs fits their glibc.
    for library in /usr/lib*/libexpat.so.1 /usr/lib/*/libexpat.so.1 /lib*/libexpat.so.1 /lib/*/libexpat.so.1; do
        [ ! -e "$library" ] || break
    done
    if [ ! -e "$library" ] && [ -d "$here/program/_internal/spare" ]; then
        export LD_LIBRARY_PATH="$here/program/_internal/spare${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
    fi
    exec "$here/program/capture-courier" "$@"
fi

sum=$(cksum <"$here/requirements.txt")

# Packages of another Python (a sourced ROS, say) must neither hide what is locked nor pass for it.
unset PYTHONPATH PYTHONHOME

venv=$here/.venv
if ! is_whole "$venv"; then
    if [ ! -w "$here" ]; then
        find_place
    fi
    is_whole "$venv" || make
fi

# -P: the folder of the caller, which relative arguments are meant for, is no place to import from.
export PYTHONPATH="$here" PYTHONUNBUFFERED=1
exec "$venv/bin/python" -P -m module "$@"
