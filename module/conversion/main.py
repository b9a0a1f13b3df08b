"""``run.sh convert FILE``: the converted config on standard output, the report on standard error."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from module import __version__
from module.conversion.findings import report
from module.conversion.machine import convert
from module.errors import ConfigError

_CONVERTED, _REFUSED, _INCOMPLETE = 0, 1, 3


def main(arguments: Sequence[str]) -> int:
    """Convert a file. Exit status: 0 if everything was mapped, 3 if something was not, 1 if nothing is printed."""
    options = _options(arguments)
    try:
        text = sys.stdin.read() if options.file == "-" else _read(options.file)
        conversion = convert(_parsed(text), name=options.name, drain=options.drain)
    except (ConfigError, UnicodeDecodeError) as error:
        sys.stderr.write(f"{options.file}: {error}\n")
        return _REFUSED
    except OSError as error:
        sys.stderr.write(f"{options.file}: cannot be read: {error.strerror or error}\n")
        return _REFUSED
    sys.stdout.write(json.dumps(conversion.config, indent=2, ensure_ascii=False) + "\n")
    sys.stderr.write(report(conversion.findings) + "\n")
    return _CONVERTED if conversion.complete else _INCOMPLETE


def _read(name: str) -> str:
    with open(name, encoding="utf-8") as file:  # noqa: PTH123 - an error then names the file as it was given
        return file.read()


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigError(f"no JSON: {error}") from None


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="run.sh convert",
        description="Print a machine's config with the uploader in place of Viam's data manager; report on stderr.",
    )
    parser.add_argument("file", help="the machine's config, or a fragment's, as JSON; \"-\" reads standard input")
    parser.add_argument("--name", default="uploader", help="of the uploader; default uploader")
    parser.add_argument(
        "--drain", action="store_true", help="let the data manager still sync what it has captured before"
    )
    parser.add_argument("--version", action="version", version=f"capture-courier {__version__}")
    return parser.parse_args(arguments)
