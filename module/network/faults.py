"""Turns libcurl's errors into sentences for the reader of a log. Only this file knows libcurl's codes."""

from __future__ import annotations

import pycurl

from module.errors import NetworkError
from module.network.address import Address
from module.network.tls import meaning

_E_PROXY = 97
"""CURLE_PROXY, which pycurl has no name for."""
_QUOTES_PROXY = ("Unsupported proxy syntax", "Unsupported proxy scheme")


def fault(address: Address, code: int, words: str) -> NetworkError:
    """Return the error of a call that ended without an answer; ``words`` is libcurl's text, if there is one."""
    words = words or pycurl.easy_strerror(code)
    if words.startswith(_QUOTES_PROXY):
        # The quote has the proxy's password.
        words = words.partition("'")[0] + "its address"
    if code == pycurl.E_COULDNT_RESOLVE_HOST:
        return NetworkError(f"the name {address.host} does not resolve: {words}")
    if code == pycurl.E_OPERATION_TIMEDOUT:
        return NetworkError(f"{address} did not accept a connection in time: {words}")
    if code == pycurl.E_COULDNT_CONNECT:
        return NetworkError(f"{address} cannot be reached: {words}")
    if code in (pycurl.E_COULDNT_RESOLVE_PROXY, _E_PROXY):
        return NetworkError(f"the proxy does not connect to {address}: {words}")
    if code == pycurl.E_PEER_FAILED_VERIFICATION:
        return NetworkError(meaning(address.host, words))
    if code == pycurl.E_SEND_FAIL_REWIND:
        # libcurl's text is about repeating the call, which is not allowed here.
        words = "it ended before the answer"
    return NetworkError(f"the connection to {address} broke: {words}")
