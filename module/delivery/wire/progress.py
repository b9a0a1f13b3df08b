"""The progress of large uploads, for the status.

The upload methods have the SDK's signatures, which have no argument for it. So an upload finds its record in a context
variable, of which each task has its own.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from module.capture import Item

LARGE_BYTES = 1_000_000
"""Larger uploads are shown one by one."""


@dataclass(slots=True, eq=False)
class LargeUpload:
    """One upload under way."""

    source: str
    name: str
    size: int
    handed_over: Callable[[], int] = int
    """Returns how many bytes the network has taken."""


_UNSEEN = contextlib.nullcontext()
_own: ContextVar[LargeUpload | None] = ContextVar("large_upload", default=None)


class Progress:
    """The large uploads under way, oldest first."""

    def __init__(self) -> None:
        self._uploads: list[LargeUpload] = []

    def of(self, items: Sequence[Item]) -> AbstractContextManager[None]:
        """Return a context for the upload of these captures; while it is open, a large upload is shown."""
        size = sum([item.size for item in items])
        return _UNSEEN if size <= LARGE_BYTES else self._of(items[0], size)

    @contextlib.contextmanager
    def _of(self, item: Item, size: int) -> Iterator[None]:
        upload = LargeUpload(item.origin.source, _name_of(item), size)
        token = _own.set(upload)
        self._uploads.append(upload)
        try:
            yield
        finally:
            self._uploads.remove(upload)
            _own.reset(token)

    def status(self) -> list[dict[str, Any]]:
        """Return source, name, size and bytes sent of each."""
        return [
            # What travels around the payload is counted with it.
            {"source": each.source, "name": each.name, "size": each.size, "sent": min(each.size, each.handed_over())}
            for each in self._uploads
        ]


def report(handed_over: Callable[[], int]) -> None:
    """Set the progress of the upload that runs in this context; does nothing for one that is not shown."""
    upload = _own.get()
    if upload is not None:
        upload.handed_over = handed_over


def _name_of(item: Item) -> str:
    """Return the name of the file, or of the resource."""
    if item.file is not None:
        return os.path.basename(item.file.path)  # noqa: PTH119, a path of any file system, taken as a text
    return item.file_name or item.origin.name
