"""What can be captured: the methods of each API, what each returns, and its parameters in ``extra``.

Names and keys are those of viam-server's data manager (rdk, ``components/*/collectors.go``,
``services/*/collectors.go``). ``module.collection.apis`` has the calls.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

CAMERA = "rdk:component:camera"
VISION = "rdk:service:vision"
SLAM = "rdk:service:slam"
AUDIO_IN = "rdk:component:audio_in"
ARM = "rdk:component:arm"
BOARD = "rdk:component:board"
ENCODER = "rdk:component:encoder"
GANTRY = "rdk:component:gantry"
MOTOR = "rdk:component:motor"
MOVEMENT_SENSOR = "rdk:component:movement_sensor"
POWER_SENSOR = "rdk:component:power_sensor"
SENSOR = "rdk:component:sensor"
SERVO = "rdk:component:servo"

GETS_IMAGES = "GetImages"
READS = "Readings"
PLACED = "GetWorldPose"
_AUDIO_S = 1.0


class Returns(enum.Enum):
    """The kind of a method's answer."""

    ROW = enum.auto()
    """One row of values."""

    IMAGES = enum.auto()
    """Images, which can be cropped, scaled and encoded."""

    BYTES = enum.auto()
    """Other bytes, which are sent unchanged."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a method; ``extra`` has it under any one of these keys."""

    keys: tuple[str, ...]
    kind: str
    """The kind of the value in words, e.g. "a text"."""
    fits: Callable[[Any], bool]
    required: bool = True
    sent_as: str = ""
    """Its name in viam-server (``additional_params``), if that is not the first key."""

    def value_in(self, extra: Mapping[str, Any], default: Any = None) -> Any:
        """The value in ``extra``; ``default`` if there is none."""
        return next((extra[key] for key in self.keys if key in extra), default)

    def is_valid_in(self, extra: Mapping[str, Any]) -> bool:
        """Whether ``extra`` has a valid value, or has none and none is required."""
        given = [extra[key] for key in self.keys if key in extra]
        return all(map(self.fits, given)) and bool(given or not self.required)

    def __str__(self) -> str:
        return f"{' or '.join(self.keys)} ({self.kind})"


@dataclass(frozen=True, slots=True)
class ApiMethod:
    """One method that can be captured."""

    name: str
    returns: Returns = Returns.ROW
    parameters: tuple[Parameter, ...] = ()

    def missing_parameter(self, extra: Mapping[str, Any]) -> str | None:
        """The first parameter missing or invalid in ``extra``, as "pin_name or pin (a text)"; None: all are right."""
        return next((str(each) for each in self.parameters if not each.is_valid_in(extra)), None)

    def parameter_values(self, extra: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters' values in ``extra``, by the names under which viam-server sends them with each capture."""
        values = {each.sent_as or each.keys[0]: each.value_in(extra) for each in self.parameters}
        return {name: value for name, value in values.items() if value is not None}

    def without_parameters(self, extra: Mapping[str, Any]) -> dict[str, Any]:
        """``extra`` without the method's parameters: what is passed to the resource itself."""
        keys = {key for each in self.parameters for key in each.keys}
        return {key: value for key, value in extra.items() if key not in keys}


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


ANALOG_READER = Parameter(("reader_name", "pin"), "a text", _is_text)
GPIO_PIN = Parameter(("pin_name", "pin"), "a text", _is_text)
CAMERA_NAME = Parameter(("camera_name",), "a text", _is_text)
MIN_CONFIDENCE = Parameter(
    ("min_confidence_score",),
    "a number from 0 to 1",
    lambda value: _is_number(value) and 0 <= value <= 1,
    required=False,
)
CODEC = Parameter(("codec",), "a text", _is_text, required=False)
SECONDS = Parameter(
    ("duration_seconds",), "a number above 0", lambda value: _is_number(value) and value > 0, required=False
)
COMMAND = Parameter(
    ("command", "docommand_input"),
    "an object",
    lambda value: isinstance(value, Mapping),
    sent_as="docommand_input",
)

_READINGS = ApiMethod(READS)
_POSITION = ApiMethod("Position")
_WORLD_POSE = ApiMethod(PLACED)
_DO_COMMAND = ApiMethod("DoCommand", parameters=(COMMAND,))
_GET_AUDIO = ApiMethod("GetAudio", Returns.BYTES, (CODEC, SECONDS))

_LATER_KNOWN = (
    "rdk:service:base_remote_control",
    "rdk:service:data_manager",
    "rdk:service:mlmodel",
    "rdk:service:shell",
    "rdk:service:video",
    "rdk:service:world_state_store",
)
"""The first versions accepted the method ``Readings`` for these, as for APIs that are not known."""
_WITHOUT_OWN = (
    "rdk:component:audio_out",
    "rdk:component:base",
    "rdk:component:button",
    "rdk:component:generic",
    "rdk:component:gripper",
    "rdk:component:input_controller",
    "rdk:component:pose_tracker",
    "rdk:component:switch",
    "rdk:service:discovery",
    "rdk:service:generic",
    "rdk:service:motion",
    "rdk:service:navigation",
    *_LATER_KNOWN,
)
"""APIs that have only the methods that all APIs have."""
_OF_API = {
    **dict.fromkeys(_WITHOUT_OWN, ()),
    ARM: (ApiMethod("EndPosition"), ApiMethod("JointPositions")),
    AUDIO_IN: (_GET_AUDIO,),
    BOARD: (ApiMethod("Analogs", parameters=(ANALOG_READER,)), ApiMethod("Gpios", parameters=(GPIO_PIN,))),
    CAMERA: (ApiMethod(GETS_IMAGES, Returns.IMAGES), ApiMethod("NextPointCloud", Returns.BYTES)),
    ENCODER: (ApiMethod("TicksCount"),),
    GANTRY: (_POSITION, ApiMethod("Lengths")),
    MOTOR: (_POSITION, ApiMethod("IsPowered")),
    MOVEMENT_SENSOR: (
        _READINGS,
        _POSITION,
        ApiMethod("LinearVelocity"),
        ApiMethod("AngularVelocity"),
        ApiMethod("LinearAcceleration"),
        ApiMethod("CompassHeading"),
        ApiMethod("Orientation"),
    ),
    POWER_SENSOR: (_READINGS, ApiMethod("Voltage"), ApiMethod("Current"), ApiMethod("Power")),
    SENSOR: (_READINGS,),
    SERVO: (_POSITION,),
    SLAM: (_POSITION, ApiMethod("PointCloudMap", Returns.BYTES)),
    VISION: (ApiMethod("CaptureAllFromCamera", Returns.IMAGES, (CAMERA_NAME, MIN_CONFIDENCE)),),
}
_PREFERRED = {CAMERA: GETS_IMAGES, SLAM: "Position", MOVEMENT_SENSOR: READS, POWER_SENSOR: READS}
"""The method of a source that names none, if its API has several."""

NAMES_OF_OTHERS = {
    "readimage": GETS_IMAGES,
    "image": GETS_IMAGES,
    "images": GETS_IMAGES,
    "getreadings": READS,
    "getpointcloud": "NextPointCloud",
}
"""Names of methods in earlier versions of viam-server, and in the SDKs; in small letters."""


def methods_of(api: str | None) -> tuple[ApiMethod, ...]:
    """The methods of an API: its own, a component's ``GetWorldPose``, and ``DoCommand``; all methods without an API."""
    if api:
        return (*_own(api), *([_WORLD_POSE] if _is_component(api) else []), _DO_COMMAND)
    own = dict.fromkeys(method for methods in _OF_API.values() for method in methods)
    return tuple(dict.fromkeys((_READINGS, *own, _WORLD_POSE, _DO_COMMAND)))


def _own(api: str) -> tuple[ApiMethod, ...]:
    """The methods that only this API has; an API that is not known has ``Readings``."""
    return _OF_API.get(api, (_READINGS,))


def _is_component(api: str) -> bool:
    """Whether viam-server registers ``GetWorldPose`` for it, as it does for each API of a component that it has."""
    return api in _OF_API and api.startswith("rdk:component:")


def accepted_methods(api: str | None) -> tuple[ApiMethod, ...]:
    """The methods that a config may name: those of the API, and ``Readings`` if earlier versions accepted it."""
    return (*methods_of(api), _READINGS) if api in _LATER_KNOWN else methods_of(api)


def method_of(api: str, name: str | None) -> ApiMethod | None:
    """The method of an API by its name; without a name the default of the API. None: there is none."""
    if name is None:
        own = _own(api) or (_DO_COMMAND,)
        name = own[0].name if len(own) == 1 else _PREFERRED.get(api)
    return next((each for each in methods_of(api) if each.name == name), None)


def audio_s(extra: Mapping[str, Any], period_s: float | None) -> float:
    """For how many seconds ``GetAudio`` records: as set in ``extra``, otherwise for one period, otherwise 1."""
    return float(SECONDS.value_in(extra, period_s or _AUDIO_S))
