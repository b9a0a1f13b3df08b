"""Names of resources: which dependencies a name in a config asks viam-server for, and which resource it means. Pure.

viam-server names a remote's resource by the remote's prefix and the resource's name, e.g. ``far-gauge``. Earlier
servers named it ``far:gauge``, and some configs still do. Such a name means ``gauge``, which is the resource's name in
viam-server if the remote has no prefix.
"""

from __future__ import annotations

from collections.abc import Iterable


def asked(name: str, api: str | None = None) -> tuple[str, ...]:
    """Return the dependencies to ask viam-server for, e.g. ``rdk:component:sensor/gauge``.

    For a name with a colon there are two: the whole name, because a prefix may end in a colon, and the last part. Only
    the last part gets the API: for ``rdk:component:sensor/far:gauge`` viam-server passes a name that it does not serve.
    """
    own = f"{api}/{last_part(name)}" if api else last_part(name)
    return (name, own) if is_remote(name) else (own,)


def is_remote(name: str) -> bool:
    """Whether a name is in the form ``remote:name``."""
    return ":" in name


def last_part(name: str) -> str:
    """Return the name of a resource without its remotes."""
    return name.rpartition(":")[2]


def meant(name: str, passed: Iterable[str]) -> set[str]:
    """Return which of the passed names a name of the config means: the same name, or its last part."""
    known = set(passed)
    return {name} & known or {each for each in known if last_part(each) == last_part(name)}


def missing(name: str, remedy: str = "") -> str:
    """Return the text for a resource that viam-server did not pass; ``remedy``: what to do if two have this name."""
    text = f"this machine has no {name}, or it is not ready"
    if is_remote(name):
        return f"{text}; a remote's resource is named by the remote's prefix and its own name, without a colon"
    return f"{text}; if two resources have this name, {remedy}" if remedy else text
