#!/bin/sh
# Starts the module: the program beside it where there is one, as in the registry's archive; else, from source, in a
# virtual environment of its own, which the first start makes and later starts only check.
#
# The environment counts as whole when it holds the stamp that is written last: the sum of requirements.txt, the place
# it was made for and the Python that was asked for. Anything different is removed and made again. It is made with the real
# file behind `python3` (python3.11, say), so that a system that moves on to another Python leaves a broken link, which
# shows without starting Python.
set -eu

# Where to say what is no error. viam-server logs standard error as errors, and what `convert` prints is a document.
notes=1
[ "${1:-}" != convert ] || notes=2

note() {
    printf 'run.sh: %s\n' "$*" >&"$notes"
}

die() {
    printf 'run.sh: %s\n' "$*" >&2
    exit 1
}

usage() {
    cat <<'USAGE'
usage: run.sh SOCKET [--log-level=LEVEL]   serve the module on a unix socket, as viam-server starts it
       run.sh demo [OPTION...]             show it at work on this machine, without a Viam account
       run.sh convert FILE [OPTION...]     put the uploader in place of the data manager in a machine config
       run.sh help                         print this; demo --help and convert --help print their options
       run.sh --version                    print the module's version
USAGE
}

# Prints the command that $1 is within two letters of, if there is one.
nearest() {
    awk -v given="$1" '
        function least(a, b) { return a < b ? a : b }
        function distance(a, b, i, j, d) {
            for (i = 0; i <= length(a); i++) d[i, 0] = i
            for (j = 0; j <= length(b); j++) d[0, j] = j
            for (i = 1; i <= length(a); i++)
                for (j = 1; j <= length(b); j++)
                    d[i, j] = least(d[i - 1, j - 1] + (substr(a, i, 1) != substr(b, j, 1)), 1 + least(d[i - 1, j], d[i, j - 1]))
            return d[length(a), length(b)]
        }
        BEGIN {
            best = 3
            count = split("demo convert help --help --version", commands, " ")
            for (k = 1; k <= count; k++)
                if ((found = distance(given, commands[k])) < best) { best = found; command = commands[k] }
            print command
        }'
}

# Prints "ok FILE", "old VERSION", "pre VERSION" or "bare VERSION"; also understood by the Pythons that are too old.
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
elif sys.version_info[3] != "final":
    print("pre " + version + {"alpha": "a", "beta": "b"}.get(sys.version_info[3], "rc") + str(sys.version_info[4]))
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
    print("run.sh: waiting for another start that makes the virtual environment", flush=True)
    fcntl.flock(9, fcntl.LOCK_EX)
'

# Sets python, or ends with what to do about it.
find_python() {
    python=
    bare=
    pre=
    old=
    if [ -n "${COURIER_PYTHON:-}" ]; then
        set -- "$COURIER_PYTHON"
    else
        set -- python3.14 python3.13 python3.12 python3.11 python3
    fi
    for name in "$@"; do
        # A name that does not start is passed over: pyenv, for one, has such names on the PATH.
        found=$("$name" -c "$probe" 2>/dev/null) || continue
        version=${found#* }
        case $found in
            "ok "*)
                python=$version
                return
                ;;
            "pre "*)
                # pip takes 3.11.0rc1 for older than 3.11, and leaves out what the lock file has for that.
                note "$name is Python $version, a pre-release, and is passed over"
                pre=${pre:-"$name is Python $version, a pre-release"}
                ;;
            "bare "*) bare=${bare:-"$name ($version) lacks venv: install it (Debian, Ubuntu: apt-get install python${version%.*}-venv)"} ;;
            "old "*) old=${old:-"$name is Python $version"} ;;
        esac
    done
    if [ -n "$bare" ]; then
        die "$bare"
    elif [ -n "$pre$old" ]; then
        die "${pre:-$old}, and a release of 3.11 or newer is needed: install one, or name one in COURIER_PYTHON"
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
    "$python" -c "$lock" >&"$notes" || die "cannot lock ${venv%/*}"
    if [ -n "${former:-}" ] && is_whole "$former" && move_here; then
        note "moved $former to $venv, where viam-server deletes nothing"
    fi
    if ! is_whole "$venv"; then
        note "installing what the module needs into $venv; later starts do without"
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

# Becomes the program that the registry's archive holds: the module with all that it needs, which looks for no Python.
run_program() {
    # A library that most systems have, and that the program brings for the others; theirs fits their glibc.
    for library in /usr/lib*/libexpat.so.1 /usr/lib/*/libexpat.so.1 /lib*/libexpat.so.1 /lib/*/libexpat.so.1; do
        [ ! -e "$library" ] || break
    done
    if [ ! -e "$library" ] && [ -d "$here/program/_internal/spare" ]; then
        export LD_LIBRARY_PATH="$here/program/_internal/spare${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
    fi
    exec "$here/program/capture-courier" "$@"
}

case ${1:-} in
    demo | convert) [ "${2:-}" != help ] || set -- "$1" --help ;;
    help)
        usage
        exit
        ;;
    "")
        usage >&2
        exit 2
        ;;
    *)
        socket=
        for argument in "$@"; do
            case $argument in
                -h | --help)
                    usage
                    exit
                    ;;
                --version)
                    [ ! -x "$here/program/capture-courier" ] || run_program --version
                    sed -n 's/^__version__ = "\(.*\)"$/capture-courier \1/p' "$here/module/__init__.py"
                    exit
                    ;;
                -*) ;;
                *) socket=${socket:-$argument} ;;
            esac
        done
        case $socket in
            */* | *:*) ;;
            *)
                mistyped=${socket:-$1}
                meant=$(nearest "$mistyped")
                printf 'run.sh: %s is no command, and no path or address of a socket%s\n' "$mistyped" \
                    "${meant:+; did you mean $meant?}" >&2
                usage >&2
                exit 2
                ;;
        esac
        ;;
esac

if [ -x "$here/program/capture-courier" ]; then
    run_program "$@"
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
