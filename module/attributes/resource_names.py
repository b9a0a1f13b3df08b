"""Names of resources: what viam-server is asked for by the name in a config, and which resource that is. Pure.

viam-server names a remote's resource by the remote's prefix and the resource's own name, e.g. ``far-gauge``. Earlier
servers named it ``far:gauge``, and configs still do: such a name means ``gauge``, which viam-server knows if the remote
has no prefix.
"""

from __future__ import annotations

from collections.abc import Iterable


def asked(name: str, api: str | None = None) -> tuple[str, ...]:
    """Return the names of dependencies that viam-server may know a resource by, e.g. ``rdk:component:sensor/gauge``.

    A name with a colon is asked for twice: whole, as a prefix may end in a colon, and by its last part. Its API stands
    only before the last part: of ``rdk:component:sensor/far:gauge`` viam-server passes a name that it does not serve.
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
    """Return which of the names that viam-server passed a config means by a name: the same one, or its last part."""
    known = set(passed)
    return {name} & known or {each for each in known if last_part(each) == last_part(name)}


def missing(name: str, remedy: str = "") -> str:
    """Return why viam-server may have passed no resource of a name; ``remedy``: what to do if two resources have it."""
    text = f"this machine has no {name}, or it is not ready"
    if is_remote(name):
        return f"{text}; a remote's resource is named by the remote's prefix and its own name, without a colon"
    return f"{text}; if two resources have this name, {remedy}" if remedy else text
