"""The certificates that a TLS connection trusts, and the meaning of a certificate that does not verify.

libcurl's wheel brings an OpenSSL that looks in the places of the system that built it, and no Debian has these. So the
store is set here: ``SSL_CERT_FILE`` as for OpenSSL, otherwise the first of a list that exists; macOS has its own.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pycurl

from module.errors import NetworkError

STORES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine, Arch
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, Red Hat
    "/etc/pki/tls/certs/ca-bundle.crt",  # older ones
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # Alpine, BSD
)
_MEANINGS = (
    ("has expired", "has expired, or this machine's clock, which says {now}, is ahead"),
    ("not yet valid", "is not valid yet: this machine's clock, which says {now}, is not set"),
    ("self-signed", "was not issued by an authority that this machine trusts ({words})"),
    ("self signed", "was not issued by an authority that this machine trusts ({words})"),
    (
        "unable to get",
        "was not issued by an authority that this machine trusts, or the server leaves out a link ({words})",
    ),
    ("does not match", "is for another name ({words})"),
    ("no alternative certificate", "is for another name ({words})"),
)


def verify(curl: pycurl.Curl, environ: Mapping[str, str] = os.environ) -> None:
    """Make a handle use TLS 1.2 or newer, and verify chain and name by the system's store; a proxy's (https://) too.

    Raises NetworkError if this machine has none.
    """
    for version, peer, host in (
        (pycurl.SSLVERSION, pycurl.SSL_VERIFYPEER, pycurl.SSL_VERIFYHOST),
        (pycurl.PROXY_SSLVERSION, pycurl.PROXY_SSL_VERIFYPEER, pycurl.PROXY_SSL_VERIFYHOST),
    ):
        curl.setopt(version, pycurl.SSLVERSION_TLSv1_2)
        curl.setopt(peer, 1)
        curl.setopt(host, 2)
    named = environ.get("SSL_CERT_FILE")
    if not named and sys.platform == "darwin":
        for options in (pycurl.SSL_OPTIONS, pycurl.PROXY_SSL_OPTIONS):
            curl.setopt(options, pycurl.SSLOPT_NATIVE_CA)
        return
    store = named or next((each for each in STORES if Path(each).exists()), None)
    folder = environ.get("SSL_CERT_DIR")
    if store is None and not folder:
        raise NetworkError("this machine has no store of certificates: install ca-certificates or set SSL_CERT_FILE")
    # Both must be set, or the wheel's places would stay.
    for options, path in (
        ((pycurl.CAINFO, pycurl.PROXY_CAINFO), store),
        ((pycurl.CAPATH, pycurl.PROXY_CAPATH), folder),
    ):
        for option in options:
            curl.setopt(option, os.fsencode(path)) if path else curl.unsetopt(option)


def meaning(host: str, words: str) -> str:
    """Return the meaning of libcurl's text about a certificate."""
    now = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    for sign, means in _MEANINGS:
        if sign in words:
            return f"the TLS certificate of {host} {means.format(now=now, words=words)}"
    return f"the TLS certificate of {host} does not verify: {words}"
