"""The attributes of the uploader as one frozen Config. It is the only validator; the fields have the defaults.

Begin at ``parse``. The allowed values of an attribute are beside its field. A rule between two attributes is in the
validator of the later one. It sees those earlier ones that were valid, so all refusals come at once.
"""

from __future__ import annotations

import enum
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any, Self

from pydantic import Field, PrivateAttr, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator

from module.attributes import allowed, resource_names
from module.attributes.allowed import Allowed, absent, choice, number, refused, text
from module.attributes.data_home import is_deleted_by_viam_server, spool_places
from module.attributes.gate import Conditional, GateConfig
from module.attributes.part import (
    BYTES,
    COMMENT,
    KEY,
    NAME,
    NOT_NEGATIVE,
    POSITIVE,
    PRIORITY,
    Context,
    Flag,
    Part,
    Texts,
    Windows,
    context_of,
)
from module.attributes.source import SourceConfig
from module.errors import ConfigError

__all__ = [
    "AfterUpload",
    "CloudConfig",
    "Config",
    "FolderConfig",
    "OnlyWhenConfig",
    "SourceConfig",
    "SpoolConfig",
    "Sync",
    "UploadConfig",
    "WhenFull",
    "parse",
]

_ADDRESS_ALLOWED = "https://host[:port], or http:// only for localhost, 127.0.0.0/8 and [::1]"
_ADDRESS = re.compile(
    r"(?:(?P<scheme>https?)://)?"
    r"(?:\[(?P<ipv6>[0-9a-f:.]+)\]|(?P<name>[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?))"
    r"(?::(?P<port>[0-9]{1,5}))?/?",
    re.IGNORECASE | re.ASCII,
)
_LAST_PORT = 65535
_MACHINE = {
    "part_id": ("VIAM_MACHINE_PART_ID", "the id of the machine's part"),
    "api_key_id": ("VIAM_API_KEY_ID", "the id of an API key"),
    "api_key": ("VIAM_API_KEY", "an API key"),
}
"""The variables that viam-server sets for modules of a cloud-managed machine: variable and meaning, by attribute."""


class AfterUpload(enum.StrEnum):
    """What happens to a file once the cloud has it."""

    KEEP = "keep"
    """It stays, and is not sent again while its size and time stay as they are."""

    DELETE = "delete"
    """It is deleted."""

    MOVE = "move"
    """It is moved to ``move_to``."""


class WhenFull(enum.StrEnum):
    """What is dropped when the spool is full; the lowest priority first."""

    DROP_OLDEST = "drop_oldest"
    """The oldest captures."""

    DROP_NEWEST = "drop_newest"
    """The newest captures."""

    THIN = "thin"
    """Every other capture, so that the whole time span stays covered."""


class Sync(enum.StrEnum):
    """When a capture counts as safe."""

    FULL = "full"
    """Once it is on the disk and survives a power cut."""

    NORMAL = "normal"
    """Once the operating system has it: it survives a crash of the module."""


class FolderConfig(Part):
    """A folder whose files are uploaded."""

    path: Annotated[str, allowed.DIRECTORY]
    include: Texts = ("*",)
    exclude: Texts = ()
    recursive: Flag = True
    settle_s: Annotated[float, NOT_NEGATIVE] = 10
    after_upload: Annotated[AfterUpload, choice(AfterUpload)] = AfterUpload.KEEP
    move_to: Annotated[str, allowed.DIRECTORY] | None = Field(default=None, validate_default=True)
    tags: Texts = ()
    dataset_ids: Texts = ()
    priority: Annotated[int, PRIORITY] = 5

    @field_validator("path")
    @classmethod
    def _path_is_unique(cls, path: str, info: ValidationInfo) -> str:
        if path in context_of(info).folders:
            raise refused("a path that no other folder has")
        context_of(info).folders.add(path)
        return path

    @field_validator("move_to")
    @classmethod
    def _moves_out(cls, move_to: str | None, info: ValidationInfo) -> str | None:
        moves = info.data.get("after_upload") is AfterUpload.MOVE
        if "after_upload" in info.data and not moves and move_to is not None:
            raise refused("move_to only beside after_upload: move")
        if moves and move_to is None:
            raise absent("an absolute path, which after_upload: move needs")
        if move_to is not None and "path" in info.data and PurePosixPath(move_to).is_relative_to(info.data["path"]):
            raise refused(f"an absolute path outside {info.data['path']}, otherwise its files would be uploaded again")
        return move_to


class SpoolConfig(Part):
    """The durable queue on disk."""

    directory: Annotated[str, allowed.DIRECTORY] = Field(default="", validate_default=True)
    _former: str | None = PrivateAttr(default=None)
    _is_at_risk: bool = PrivateAttr(default=False)
    max_bytes: Annotated[int, BYTES] = 8 * 1024**3
    min_free_bytes: Annotated[int, allowed.size(at_least=0)] = 512 * 1024**2
    when_full: Annotated[WhenFull, choice(WhenFull)] = WhenFull.DROP_OLDEST
    group_s: Annotated[float, number(at_least=0, at_most=10)] = 0.2
    sync: Annotated[Sync, choice(Sync)] = Sync.FULL

    @field_validator("directory", mode="before")
    @classmethod
    def _directory_of_module(cls, directory: Any, info: ValidationInfo) -> Any:
        if directory not in ("", None):
            return directory
        context = context_of(info)
        places = spool_places(context.service, context.environ)
        if places is None:
            raise absent("an absolute path in spool.directory, or one in the variable VIAM_MODULE_DATA")
        # What validated while spools lay at the former place goes on to.
        if places.former is not None and _folder_around(places.directory, context.folders):
            return str(places.former)
        return str(places.directory)

    @field_validator("directory")
    @classmethod
    def _directory_is_in_no_folder(cls, directory: str, info: ValidationInfo) -> str:
        folder = _folder_around(PurePosixPath(directory), context_of(info).folders)
        if folder is not None:
            raise refused(f"a directory outside {folder}, whose files are uploaded: the spool's are not")
        return directory

    @model_validator(mode="after")
    def _look_around(self, info: ValidationInfo) -> Self:
        context = context_of(info)
        places = spool_places(context.service, context.environ)
        if places is not None and self.directory == str(places.directory):
            self._former = None if places.former is None else str(places.former)
        self._is_at_risk = is_deleted_by_viam_server(PurePosixPath(self.directory), context.environ)
        return self

    @property
    def former(self) -> str | None:
        """The directory of earlier versions; a spool there is moved if ``directory`` has none yet."""
        return self._former

    @property
    def is_at_risk(self) -> bool:
        """Whether ``directory`` is in ``module-data``, from which viam-server deletes modules that do not run."""
        return self._is_at_risk


def _folder_around(directory: PurePosixPath, folders: set[str]) -> str | None:
    return next((folder for folder in sorted(folders) if directory.is_relative_to(folder)), None)


class OnlyWhenConfig(Conditional):
    """Uploads run only while this holds."""

    sensor: Annotated[str, NAME]
    key: Annotated[str, KEY]


class UploadConfig(Part):
    """How and when the spool is sent."""

    disabled: Flag = False
    concurrency: Annotated[int, number(at_least=1, at_most=100, whole=True)] = 8
    batch_rows: Annotated[int, number(at_least=1, at_most=5000, whole=True)] = 500
    batch_wait_s: Annotated[float, number(at_least=0, at_most=3600)] = 1.0
    stream_over_bytes: Annotated[int, BYTES] = 1_000_000
    chunk_bytes: Annotated[int, allowed.size(at_least=1024, at_most=3 * 1024**2, example="256 KiB")] = 256 * 1024
    max_bytes_per_s: Annotated[int, allowed.size(at_least=1, example="100 kB/s")] | None = None
    active_hours: Windows = ()
    timezone: Annotated[str, allowed.TIMEZONE] = "UTC"
    clock_wait_s: Annotated[float, number(at_least=0, at_most=3600)] = 60
    only_when: OnlyWhenConfig | None = None
    timeout_s: Annotated[float, POSITIVE] = 60
    retry_initial_s: Annotated[float, POSITIVE] = 0.5
    retry_max_s: Annotated[float, POSITIVE] = Field(default=300, validate_default=True)

    @field_validator("retry_max_s")
    @classmethod
    def _retries_slow_down(cls, retry_max_s: float, info: ValidationInfo) -> float:
        initial = info.data.get("retry_initial_s", retry_max_s)
        if retry_max_s < initial:
            raise refused(f"a number of at least retry_initial_s, {allowed.shown(initial)}")
        return retry_max_s


@dataclass(frozen=True, slots=True)
class _Address:
    host: str
    port: int
    tls: bool
    normal: str
    """With its scheme, and without a slash at the end."""


def _address(given: Any) -> _Address:
    """Return the parts of an address; raises ValueError or TypeError if _ADDRESS_ALLOWED does not allow it."""
    found = _ADDRESS.fullmatch(given)
    if found is None:
        raise ValueError
    host = found["name"] or str(ipaddress.IPv6Address(found["ipv6"]))
    tls = (found["scheme"] or "https").lower() == "https"
    port = int(found["port"]) if found["port"] else (443 if tls else 80)
    if not 1 <= port <= _LAST_PORT or not (tls or _is_loopback(host)):
        raise ValueError
    shown_host = f"[{host}]" if found["ipv6"] else host
    shown_port = f":{port}" if found["port"] else ""
    return _Address(host, port, tls, f"{'https' if tls else 'http'}://{shown_host}{shown_port}")


def _is_loopback(host: str) -> bool:
    # A name is never looked up: whoever answers for it could change its mind.
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class CloudConfig(Part):
    """The cloud's address, and the part and key for the uploads."""

    address: Annotated[str, Allowed(_ADDRESS_ALLOWED, lambda value: _address(value).normal)] = "https://app.viam.com"
    part_id: Annotated[str, text("a text", r"(?s).*")] = Field(default="", validate_default=True)
    api_key_id: Annotated[str, text("a text", r"(?s).*")] = Field(default="", validate_default=True)
    api_key: Annotated[SecretStr, allowed.SECRET] = Field(default=SecretStr(""), validate_default=True)
    proxy: Annotated[SecretStr, allowed.PROXY] | None = None

    @field_validator("part_id", "api_key_id", "api_key")
    @classmethod
    def _machine_stands_in(cls, given: str | SecretStr, info: ValidationInfo) -> str | SecretStr:
        context, (variable, meaning) = context_of(info), _MACHINE[str(info.field_name)]
        if given and (not isinstance(given, SecretStr) or given.get_secret_value()):
            return given
        found = context.environ.get(variable, "")
        if not found and not context.uploads_disabled:
            raise absent(f"{meaning}, here or in the variable {variable}")
        return SecretStr(found) if isinstance(given, SecretStr) else found

    @property
    def host(self) -> str:
        """The host's name, or its IP address without brackets."""
        return _address(self.address).host

    @property
    def port(self) -> int:
        """The port, 443 or 80 if the address names none."""
        return _address(self.address).port

    @property
    def tls(self) -> bool:
        """False for an ``http://`` address, which must be loopback."""
        return _address(self.address).tls


class Config(Part):
    """All attributes of the uploader, with defaults filled in, and valid."""

    sources: tuple[SourceConfig, ...] = ()
    folders: tuple[FolderConfig, ...] = ()
    tags: Texts = ()
    dataset_ids: Texts = ()
    spool: SpoolConfig = Field(default_factory=dict, validate_default=True)
    upload: UploadConfig = UploadConfig()
    cloud: CloudConfig = Field(default_factory=dict, validate_default=True)
    comment: Annotated[str, COMMENT] | None = None

    def dependencies(self) -> tuple[list[str], list[str]]:
        """Return the required and the optional resources, none of them twice.

        Each is ``name``, or ``api/name`` if the source has an ``api``. The resource of a disabled source is optional.
        So is a name ``remote:name``, because viam-server may know the resource by another name.
        """
        required = [
            name
            for source in self.sources
            if source.required and not source.disabled and not resource_names.is_remote(source.name)
            for name in source.dependencies
        ]
        optional = [name for source in self.sources for name in source.dependencies]
        asked = [name for gate in self._gates() for name in (gate.sensor, gate.vision, gate.camera)]
        if self.upload.only_when:
            asked.append(self.upload.only_when.sensor)
        optional += [name for each in asked if each for name in resource_names.asked(each)]
        return list(dict.fromkeys(required)), [name for name in dict.fromkeys(optional) if name not in required]

    def _gates(self) -> list[GateConfig]:
        return [source.gate for source in self.sources if source.gate]


def parse(attributes: Mapping[str, Any], *, service: str, environ: Mapping[str, str]) -> Config:
    """Return the Config of a service's attributes; what they leave out comes from the variables in ``environ``.

    Numbers may be floats, as a protobuf ``Struct`` has them. Raises ConfigError. Its text has every refusal, such as
    ``sources[2].interval_s: -1 given; allowed is a number of at least 0.001``, joined by "; ". It never has the value
    of an attribute whose name looks like a secret's.
    """
    upload = attributes.get("upload")
    context = Context(service, environ, isinstance(upload, Mapping) and upload.get("disabled") is True)
    try:
        return Config.model_validate(dict(attributes), context=context)
    except ValidationError as error:
        # Not chained: the library's own text would show the values that this one hides.
        raise ConfigError(allowed.explain(error, Config)) from None
