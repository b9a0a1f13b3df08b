"""Values of a JSON document, each with its path, so that every refusal names the path."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from module.attributes.allowed import shown
from module.errors import ConfigError


def is_variable(value: Any) -> bool:
    """Whether this is a variable of a fragment, ``{"$variable": {"name": …}}``, whose value each machine sets."""
    return isinstance(value, dict) and "$variable" in value


@dataclass(frozen=True, slots=True)
class Place:
    """A value and its path, e.g. ``components[0].service_configs[1]``.

    The methods return the value if it has the type that they ask for, or if it is a variable of a fragment. Otherwise
    they raise ConfigError, which says what was given and what is allowed.
    """

    path: str
    value: Any

    def refused(self, allowed: str) -> ConfigError:
        """Return the error that refuses this value."""
        return ConfigError(f"{self.path or 'the config'}: {shown(self.value)} given; allowed is {allowed}")

    def object(self) -> dict[str, Any]:
        """Return an object."""
        if not isinstance(self.value, dict):
            raise self.refused("an object")
        return self.value

    def get(self, key: str) -> Place | None:
        """Return the value of a key of an object; None if it is missing or null."""
        value = self.object().get(key)
        return None if value is None else self._below(key, value)

    def need(self, key: str) -> Place:
        """Return the value of a required key of an object."""
        found = self.get(key)
        if found is None:
            raise ConfigError(f"{self._below(key, None).path}: nothing given; it is required")
        return found

    def members(self) -> Iterator[Place]:
        """Return each value of an object that is not null."""
        return (self._below(key, value) for key, value in self.object().items() if value is not None)

    def each(self, key: str) -> list[Place]:
        """Return the entries of a list under a key of an object; none if there is no list."""
        found = self.get(key)
        if found is None:
            return []
        if not isinstance(found.value, list):
            raise found.refused("a list")
        return [Place(f"{found.path}[{index}]", value) for index, value in enumerate(found.value)]

    @property
    def key(self) -> str:
        """The last name of the path."""
        return self.path.rpartition(".")[2]

    def text(self) -> Any:
        """Return a text that is not empty."""
        if not is_variable(self.value) and not (isinstance(self.value, str) and self.value.strip()):
            raise self.refused("a non-empty text")
        return self.value

    def number(self) -> Any:
        """Return a number of at least 0."""
        is_number = isinstance(self.value, int | float) and not isinstance(self.value, bool)
        if not is_variable(self.value) and not (is_number and self.value >= 0):
            raise self.refused("a number of at least 0")
        return self.value

    def flag(self) -> Any:
        """Return true or false."""
        if not is_variable(self.value) and not isinstance(self.value, bool):
            raise self.refused("true or false")
        return self.value

    def texts(self) -> Any:
        """Return a list of texts."""
        if not is_variable(self.value):
            if not isinstance(self.value, list):
                raise self.refused("a list")
            for index, value in enumerate(self.value):
                Place(f"{self.path}[{index}]", value).text()
        return self.value

    def _below(self, key: str, value: Any) -> Place:
        return Place(f"{self.path}.{key}" if self.path else key, value)
