"""The attributes of a source: one method of one resource, polled on one schedule.

The allowed values of an attribute are beside its field. A rule between two attributes is in the validator of the later
one. It sees those earlier ones that were valid, so all refusals come at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import Field, PrivateAttr, ValidationError, ValidationInfo, field_validator, model_validator

from module.attributes import allowed, resource_names
from module.attributes.allowed import absent, choice, number, one_of, refused, text
from module.attributes.api_methods import (
    AUDIO_IN,
    GETS_IMAGES,
    NAMES_OF_OTHERS,
    ApiMethod,
    Returns,
    accepted_methods,
    audio_s,
    method_of,
    methods_of,
)
from module.attributes.gate import GateConfig
from module.attributes.image import ImageConfig
from module.attributes.on_change import OnChangeConfig
from module.attributes.part import (
    COMMENT,
    NAME,
    NOT_NEGATIVE,
    POSITIVE,
    PRIORITY,
    TEXT,
    Context,
    Flag,
    Part,
    Texts,
    Windows,
    context_of,
)
from module.capture import UploadAs

_ROWS = (UploadAs.AUTO, UploadAs.TABULAR, UploadAs.FILE)
_PAYLOADS = (UploadAs.AUTO, UploadAs.BINARY, UploadAs.STREAMING, UploadAs.FILE)
_WAYS = {Returns.ROW: _ROWS, Returns.IMAGES: _PAYLOADS, Returns.BYTES: _PAYLOADS}

_SERVICE = "rdk:service:generic"
"""The API of the uploader itself."""
_API = text("namespace:component:subtype or namespace:service:subtype", r"[\w-]+:(?:component|service):[\w-]+")


class SourceConfig(Part):
    """One method of one resource, polled on one schedule."""

    name: Annotated[str, NAME]
    # Next to the name: pydantic makes no default from earlier attributes if any of them was refused.
    id: Annotated[str, TEXT] = Field(default_factory=lambda data: data["name"], validate_default=True)
    api: Annotated[str, _API] | None = None
    method: Annotated[str, TEXT] | None = Field(default=None, validate_default=True)
    capture_frequency_hz: Annotated[float, number(above=0, at_most=1000)] | None = None
    interval_s: Annotated[float, number(at_least=0.001)] | None = None
    cron: Annotated[str, allowed.CRON] | None = None
    offset_s: Annotated[float, NOT_NEGATIVE] = 0
    timezone: Annotated[str, allowed.TIMEZONE] = "UTC"
    active_hours: Windows = ()
    disabled: Flag = False
    required: Flag = False
    timeout_s: Annotated[float, POSITIVE] = 10
    extra: Annotated[dict[str, Any], allowed.OBJECT] = Field(default_factory=dict, validate_default=True)
    method_parameters: Annotated[dict[str, Any], allowed.OBJECT] = Field(default_factory=dict)
    tags: Texts = ()
    dataset_ids: Texts = ()
    priority: Annotated[int, PRIORITY] = 5
    upload_as: Annotated[UploadAs, choice(UploadAs)] = UploadAs.AUTO
    image: ImageConfig = ImageConfig()
    on_change: OnChangeConfig | None = None
    gate: GateConfig | None = None
    comment: Annotated[str, COMMENT] | None = None
    _is_this_service: bool = PrivateAttr(default=False)

    @property
    def is_this_service(self) -> bool:
        """Whether it names the uploader that would poll it."""
        return self._is_this_service

    @property
    def dependencies(self) -> tuple[str, ...]:
        """The resource as viam-server's dependencies name it; none for this service itself."""
        return () if self.is_this_service else resource_names.asked(self.name, self.api)

    @property
    def waits_for_commands(self) -> bool:
        """Whether it has no schedule."""
        return self.period_s is None and self.cron is None

    @property
    def period_s(self) -> float | None:
        """Seconds from one poll to the next; None for cron, and if it is polled only on command."""
        return _period_s(self.capture_frequency_hz, self.interval_s)

    @model_validator(mode="after")
    def _names_this_service(self, info: ValidationInfo) -> Self:
        self._is_this_service = self.name == context_of(info).service and self.api in (None, _SERVICE)
        return self

    @field_validator("id")
    @classmethod
    def _id_is_unique(cls, name: str, info: ValidationInfo) -> str:
        if name in context_of(info).ids:
            raise refused(
                "an id that no other source has (two sources on one resource need two different values of `id`)"
            )
        context_of(info).ids.add(name)
        return name

    @field_validator("method")
    @classmethod
    def _method_of_api(cls, method: str | None, info: ValidationInfo) -> str | None:
        api = info.data.get("api")
        allowed = _names(methods_of(api)) + (f" for {api}" if api else "")
        if method is None and api and method_of(api, None) is None:
            raise absent(allowed)
        if method is not None and method not in (each.name for each in accepted_methods(api)):
            raise refused(allowed, _method_meant(method, api))
        return method

    @field_validator("interval_s", "cron")
    @classmethod
    def _one_schedule(cls, schedule: Any, info: ValidationInfo) -> Any:
        earlier = (info.data.get("capture_frequency_hz"), info.data.get("interval_s"))
        if schedule is not None and any(other is not None for other in earlier):
            raise refused("at most one of capture_frequency_hz, interval_s, cron")
        return schedule

    @field_validator("offset_s")
    @classmethod
    def _offset_of_period(cls, offset_s: float, info: ValidationInfo) -> float:
        if offset_s and info.data.get("cron") is not None:
            raise refused("an offset_s only beside capture_frequency_hz or interval_s")
        return offset_s

    @field_validator("extra")
    @classmethod
    def _extra_of_method(cls, extra: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        methods = _methods_left(info.data)
        # Without an api, what is polled shows once the machine's resources are there.
        if len(methods) != 1 or "method" not in info.data:
            return extra
        method = methods[0]
        missing = method.missing_parameter(extra)
        if missing is not None:
            raise (refused if extra else absent)(f"an object with {missing} for {method.name}")
        if method in methods_of(AUDIO_IN)[:1]:
            period_s = _period_s(info.data.get("capture_frequency_hz"), info.data.get("interval_s"))
            timeout_s = info.data.get("timeout_s")
            if timeout_s is not None and audio_s(extra, period_s) >= timeout_s:
                raise (refused if extra else absent)(
                    f"a duration_seconds below timeout_s ({timeout_s:g}), or a longer timeout_s, for {method.name}"
                )
        return extra

    @field_validator("upload_as")
    @classmethod
    def _upload_of_method(cls, upload_as: UploadAs, info: ValidationInfo) -> UploadAs:
        methods = _methods_left(info.data)
        ways = [way for way in UploadAs if any(way in _WAYS[each.returns] for each in methods)]
        if upload_as not in ways:
            raise refused(f"{one_of(ways)} for {_names(methods)}")
        return upload_as

    @field_validator("image")
    @classmethod
    def _image_of_camera(cls, image: ImageConfig, info: ValidationInfo) -> ImageConfig:
        methods = _methods_left(info.data)
        # Empty, it says what a source without it says.
        if image.model_fields_set and not any(each.returns is Returns.IMAGES for each in methods):
            raise refused(f"image only with the method {GETS_IMAGES} of a camera, or what a vision service captures")
        if image.names and GETS_IMAGES not in [each.name for each in methods]:
            raise refused(f"names only with the method {GETS_IMAGES} of a camera")
        return image

    @field_validator("on_change")
    @classmethod
    def _change_of_method(cls, on_change: OnChangeConfig | None, info: ValidationInfo) -> OnChangeConfig | None:
        returned = [each.returns for each in _methods_left(info.data)]
        if on_change and on_change.deadband is not None and Returns.ROW not in returned:
            raise refused("deadband for readings, min_difference for images")
        if on_change and on_change.min_difference is not None and Returns.IMAGES not in returned:
            raise refused("min_difference for images, deadband for readings")
        return on_change

    @field_validator("gate")
    @classmethod
    def _vision_sees(cls, gate: GateConfig | None, info: ValidationInfo) -> GateConfig | None:
        names = [each.name for each in _methods_left(info.data)]
        if gate and gate.vision and not gate.camera and GETS_IMAGES not in names:
            raise refused("vision together with camera, as this source captures no images")
        return gate


def unfit(config: SourceConfig, api: str, method: str) -> str | None:
    """Return which attributes do not fit, once the API and the method of the resource are known; None: all fit."""
    attributes = {**config.model_dump(exclude_unset=True), "api": api, "method": method}
    try:
        SourceConfig.model_validate(attributes, context=Context(service="", environ={}, uploads_disabled=True))
    except ValidationError as error:
        return allowed.explain(error, SourceConfig)
    return None


def _methods_left(data: Mapping[str, Any]) -> tuple[ApiMethod, ...]:
    """Return the methods that are still possible, by those attributes of a source that were valid."""
    api, name = data.get("api"), data.get("method")
    if name or api:
        accepted = accepted_methods(api)
        meant = method_of(api, name) if api and accepted == methods_of(api) else None
        return (meant,) if meant else tuple(each for each in accepted if name in (None, each.name))
    return methods_of(None)


def _method_meant(method: str, api: str | None) -> str | None:
    names = [each.name for each in methods_of(api)]
    return allowed.nearest(NAMES_OF_OTHERS.get(method.lower(), method), names)


def _names(methods: Sequence[ApiMethod]) -> str:
    return one_of([each.name for each in methods])


def _period_s(capture_frequency_hz: float | None, interval_s: float | None) -> float | None:
    return interval_s if capture_frequency_hz is None else 1 / capture_frequency_hz
