"""The errors of this module. The text of each is one sentence for the reader of a log.

Exceptions of libraries are translated into these in the file that calls the library, with ``raise … from`` the cause.
No text ever holds an API key or a token.
"""

from __future__ import annotations

CLOSING = "the service is closing"
"""The reason that is shown once a service has begun to close."""


class CourierError(Exception):
    """The root of every exception that this module raises on purpose."""


class ConfigError(CourierError):
    """The attributes do not validate; the text names each path, what was given, and what is allowed."""


class CommandError(CourierError):
    """A command was refused because of its verb or an argument; the text says what is allowed."""


class OutsideFolder(CommandError):
    """A path leads out of the folders that were configured."""


class Unavailable(CourierError):
    """A command cannot be carried out now (the spool is not open yet, or the service is closing)."""


class NetworkError(CourierError, ConnectionError):
    """The other side cannot be reached, or its answer is not that of a gRPC server; the text says how."""


class PollError(CourierError):
    """A resource did not return what it was polled for; the text names the resource and its answer."""


class Defect(CourierError):
    """Something failed that nobody foresaw; the text names the error, and its cause has the traceback."""


class NothingToCapture(CourierError):
    """The resource itself held this poll back: "no capture from filter module" of Viam's filter modules."""


class EncodeError(CourierError):
    """A reading or an image could not be encoded; the text says why."""


class SpoolError(CourierError):
    """The spool could not do its work; the text names the file and the cause."""


class SpoolFull(SpoolError):
    """There is no room for a capture, and the retention policy could not make any."""


class SpoolClosed(SpoolError):
    """The spool has been closed; what was appended before is safe."""


class Damaged(SpoolError):
    """The spool's file is a database, but not a complete spool."""


class FileChanged(CourierError):
    """A file was changed while it was being sent."""


class FileUnavailable(CourierError):
    """A file cannot be read for now; the text names what is at fault. Trying it again later may work."""


class FileUnusable(CourierError):
    """A file that was to be sent cannot be read any more; the text names it and says why."""


class Rejected(CourierError):
    """The cloud will not take a capture that somebody waits for; the text is what it said."""


_MOST_SAID = 4000
"""Characters of an error's text. It travels in a header, and a header that is too large breaks the whole connection."""


def answer_of(error: CourierError) -> str:
    """Return the text of an error as viam-server gets it: cut if it is very long."""
    text = str(error)
    return text if len(text) <= _MOST_SAID else f"{text[: _MOST_SAID - 1]}…"
