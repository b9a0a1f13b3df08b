from __future__ import annotations

import pycurl
import pytest

from module.network.address import Address
from module.network.faults import fault

CODES = sorted({value for name, value in vars(pycurl).items() if name.startswith("E_") and 0 < value < 100})


@pytest.mark.parametrize("code", CODES)
def test_every_error_says_in_words_what_happened(code: int) -> None:
    """Also one that libcurl ends a call with and says nothing of."""
    said = str(fault(Address("cloud.example", 443), code, ""))
    assert str(code) not in said.replace("cloud.example:443", "").replace("HTTP2", "").split()
    assert not said.rstrip().endswith((":", f": {code}"))
    assert len(said.split()) > 5


def test_a_connection_that_ends_before_the_answer_is_no_matter_of_rewinding() -> None:
    said = str(fault(Address("127.0.0.1", 80), pycurl.E_SEND_FAIL_REWIND, "seek callback returned error 2"))
    assert said == "the connection to 127.0.0.1:80 broke: it ended before the answer"
