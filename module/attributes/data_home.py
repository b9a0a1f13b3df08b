"""The default directory of a service's spool; pure.

After each reconfiguration viam-server deletes ``$VIAM_HOME/module-data/<machine>/<module>`` of every module that does
not run then. So the spool has another place in that home: ``capture-courier/<machine>/<service>``.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import NamedTuple
from urllib.parse import quote

_FOLDER = "capture-courier"
_MODULE_DATA = "module-data"
_PARTS_OF_MODULE_DATA = 3
"""``module-data``, the machine's id, the module's name."""


class SpoolPlaces(NamedTuple):
    """The directories of a service's spool."""

    directory: PurePosixPath
    """The default."""
    former: PurePosixPath | None
    """The default of earlier versions, if viam-server may delete it there."""


def spool_places(service: str, environ: Mapping[str, str]) -> SpoolPlaces | None:
    """Return the places of a service's spool; None if ``VIAM_MODULE_DATA`` is not an absolute path.

    If ``VIAM_MODULE_DATA`` is not a path that viam-server would set, a person has set it, and the spool is in it.
    """
    data = environ.get("VIAM_MODULE_DATA", "")
    if not data.startswith("/"):
        return None
    # A service's name is one path segment, whatever it holds: quoted, no two names meet in one directory.
    quoted = quote(service, safe=" ")
    name = quoted if quoted.strip(".") else quoted.replace(".", "%2E")
    # viam-server joins the two without a "..", whatever its home is written like.
    home = PurePosixPath(posixpath.normpath(environ.get("VIAM_HOME", "")))
    machine = _machine_of(PurePosixPath(data), home)
    if machine is None:
        return SpoolPlaces(PurePosixPath(data, name), None)
    return SpoolPlaces(home / _FOLDER / machine / name, PurePosixPath(data, name))


def is_deleted_by_viam_server(directory: PurePosixPath, environ: Mapping[str, str]) -> bool:
    """Whether a directory is in ``module-data``, from which viam-server deletes modules that do not run."""
    home = PurePosixPath(posixpath.normpath(environ.get("VIAM_HOME", "")))
    return home.is_absolute() and directory.is_relative_to(home / _MODULE_DATA)


def _machine_of(data: PurePosixPath, home: PurePosixPath) -> str | None:
    """Return the machine's id in the path of a module's directory that viam-server made; None for other paths."""
    parts = data.relative_to(home).parts if home.is_absolute() and data.is_relative_to(home) else ()
    return parts[1] if len(parts) == _PARTS_OF_MODULE_DATA and parts[0] == _MODULE_DATA else None
