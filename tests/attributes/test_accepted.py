"""What validated in one version validates in the next: every example, and every case that a test ever accepted.

``accepted.jsonl`` only grows: a case a line, with the model and the name of the resource that bears the attributes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from viam.components.sensor import Sensor
from viam.proto.app.robot import ComponentConfig
from viam.resource.types import API
from viam.services.discovery import Discovery
from viam.services.generic import Generic
from viam.utils import dict_to_struct

from module import UPLOADER_MODEL
from module.discovery.service import Discoverer
from module.health.sensor import Health
from module.service import Uploader
from tests.test_examples import WHOLE, whole

CASES: list[dict[str, Any]] = [
    json.loads(line) for line in (Path(__file__).parent / "accepted.jsonl").read_text().splitlines()
]
MACHINE = {
    "VIAM_HOME": "/var/viam",
    "VIAM_MODULE_DATA": "/var/viam/module-data/machine/courier_capture",
    "VIAM_MACHINE_PART_ID": "part-1",
    "VIAM_API_KEY_ID": "key-id-1",
    "VIAM_API_KEY": "key-1",
}
MODELS: dict[str, tuple[Any, API]] = {
    "uploader": (Uploader, Generic.API),
    "health": (Health, Sensor.API),
    "discovery": (Discoverer, Discovery.API),
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['from']}: {json.dumps(case['attributes'])[:60]}")
def test_what_validated_before_validates(case: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """As viam-server has it validated: in a struct, whose numbers are floats."""
    for name, value in MACHINE.items():
        monkeypatch.setenv(name, value)
    model, api = MODELS[case["model"]]
    config = ComponentConfig(name=case["service"], api=str(api), attributes=dict_to_struct(case["attributes"]))
    model.validate_config(config)


def test_every_example_of_today_is_held() -> None:
    """Whoever changes an example adds a line, and leaves the line that was there."""
    held = [case["attributes"] for case in CASES if case["from"].startswith("examples/")]
    services = [service for name in WHOLE for service in whole(name)["services"]]
    today = [service["attributes"] for service in services if service["model"] == UPLOADER_MODEL]
    assert [attributes for attributes in today if attributes not in held] == []
