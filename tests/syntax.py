"""Reads sources for the tests of what stands in them."""

from __future__ import annotations

import ast
import gc


def tree_of(source: str) -> ast.Module:
    """Return the syntax tree of a source."""
    # Python 3.11 has one count of depth for the whole process. If the collector runs a finalizer meanwhile that prints
    # a traceback, which parses source too, the count is wrong, and ast raises SystemError.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(source)
    finally:
        if was_enabled:
            gc.enable()
