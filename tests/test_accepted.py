"""What validated in one version validates in the next: every example, and every case that a test ever accepted.

``accepted.jsonl`` only grows: a case a line, with the model and the name of the resource that bears the attributes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from module import UPLOADER_MODEL
from module.config import parse
from module.discovery import DiscoveryConfig
from module.health import HealthConfig
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
VALIDATE: dict[str, Callable[[dict[str, Any], str], object]] = {
    "uploader": lambda attributes, name: parse(attributes, service=name, environ=MACHINE),
    "health": lambda attributes, _name: HealthConfig.model_validate(attributes),
    "discovery": lambda attributes, _name: DiscoveryConfig.model_validate(attributes),
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['from']}: {json.dumps(case['attributes'])[:60]}")
def test_what_validated_before_validates(case: dict[str, Any]) -> None:
    VALIDATE[case["model"]](case["attributes"], case["service"])


def test_every_example_of_today_is_held() -> None:
    """Whoever changes an example adds a line, and leaves the line that was there."""
    held = [case["attributes"] for case in CASES if case["from"].startswith("examples/")]
    services = [service for name in WHOLE for service in whole(name)["services"]]
    today = [service["attributes"] for service in services if service["model"] == UPLOADER_MODEL]
    assert [attributes for attributes in today if attributes not in held] == []
