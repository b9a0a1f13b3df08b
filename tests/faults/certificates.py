"""An authority and the certificates that it signs, made in the test by the standard library alone.

X.509 v3 as in RFC 5280, ECDSA over P-256 as in FIPS 186-5 and SEC 1. The arithmetic takes its time from the secrets:
fit for keys that live as long as a test, and for nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
_Point = tuple[int, int] | None  # None: the point at infinity

_BOOLEAN, _INTEGER, _BITS, _OCTETS, _OBJECT, _UTF8, _SEQUENCE, _SET = 0x01, 0x02, 0x03, 0x04, 0x06, 0x0C, 0x30, 0x31
_EC_KEY, _P256, _ECDSA_SHA256 = (1, 2, 840, 10045, 2, 1), (1, 2, 840, 10045, 3, 1, 7), (1, 2, 840, 10045, 4, 3, 2)
_COMMON_NAME, _SERVER_AUTH = (2, 5, 4, 3), (1, 3, 6, 1, 5, 5, 7, 3, 1)
_KEY_IDENTIFIER, _KEY_USAGE, _OTHER_NAMES, _CONSTRAINTS, _AUTHORITY_KEY, _EXTENDED_USAGE = (
    (2, 5, 29, number) for number in (14, 15, 17, 19, 35, 37)
)
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, both PEM."""

    pem: str
    key_pem: str


class Authority:
    """A root that signs certificates of servers."""

    def __init__(self, name: str = "Capture Courier's test authority") -> None:
        self._name = name
        self._key = _Key()
        usage = _extension(_KEY_USAGE, _der(_BITS, b"\x01\x06"), critical=True)
        constraints = _extension(_CONSTRAINTS, _seq(_der(_BOOLEAN, b"\xff")), critical=True)
        now = datetime.now(UTC)
        self.certificate = _certificate(
            (name, self._key), (name, self._key), (now - _DAY, now + _DAY), [constraints, usage]
        )

    def issue(self, host: str, *, expired: bool = False, early: bool = False) -> Certificate:
        """A certificate for a server of this name, valid for a day, or until a minute ago, or from tomorrow on."""
        return _server(host, (self._name, self._key), expired=expired, early=early)


def self_signed(host: str) -> Certificate:
    """A certificate for a server of this name that no authority has signed."""
    return _server(host, None, expired=False)


def _server(host: str, issuer: tuple[str, _Key] | None, *, expired: bool, early: bool = False) -> Certificate:
    key, now = _Key(), datetime.now(UTC)
    extensions = [
        _extension(_KEY_USAGE, _der(_BITS, b"\x07\x80"), critical=True),
        _extension(_EXTENDED_USAGE, _seq(_object(_SERVER_AUTH))),
        _extension(_OTHER_NAMES, _seq(_der(0x82, host.encode()))),
    ]
    since = now + _DAY if early else now - 2 * _DAY
    until = now - timedelta(minutes=1) if expired else now + 2 * _DAY
    return _certificate((host, key), issuer or (host, key), (since, until), extensions)


class _Key:
    """A private key, and what follows from it."""

    def __init__(self) -> None:
        self._secret = secrets.randbelow(_N - 1) + 1
        x, y = _times(self._secret, _G) or (0, 0)
        self.point = b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big")
        self.identifier = hashlib.sha1(self.point, usedforsecurity=False).digest()

    def sign(self, data: bytes) -> bytes:
        """ECDSA with SHA-256, as DER."""
        digest = int.from_bytes(hashlib.sha256(data).digest(), "big")
        while True:
            nonce = secrets.randbelow(_N - 1) + 1
            r = (_times(nonce, _G) or (0, 0))[0] % _N
            s = pow(nonce, -1, _N) * (digest + r * self._secret) % _N
            if r and s:
                return _seq(_integer(r), _integer(s))

    def pem(self) -> str:
        """RFC 5915."""
        octets = _der(_OCTETS, self._secret.to_bytes(32, "big"))
        return _pem("EC PRIVATE KEY", _seq(_integer(1), octets, _der(0xA0, _object(_P256))))


def _certificate(
    subject: tuple[str, _Key], issuer: tuple[str, _Key], valid: tuple[datetime, datetime], extensions: list[bytes]
) -> Certificate:
    key, algorithm = subject[1], _seq(_object(_ECDSA_SHA256))
    identifiers = [
        _extension(_KEY_IDENTIFIER, _der(_OCTETS, key.identifier)),
        _extension(_AUTHORITY_KEY, _seq(_der(0x80, issuer[1].identifier))),
    ]
    body = _seq(
        _der(0xA0, _integer(2)),
        _integer(secrets.randbits(120) + 1),
        algorithm,
        _named(issuer[0]),
        _seq(*(_der(0x17, moment.strftime("%y%m%d%H%M%SZ").encode()) for moment in valid)),
        _named(subject[0]),
        _seq(_seq(_object(_EC_KEY), _object(_P256)), _der(_BITS, b"\0" + key.point)),
        _der(0xA3, _seq(*identifiers, *extensions)),
    )
    whole = _seq(body, algorithm, _der(_BITS, b"\0" + issuer[1].sign(body)))
    return Certificate(_pem("CERTIFICATE", whole), key.pem())


# ---------------------------------------------------------------------- DER, X.690


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 128:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def _seq(*parts: bytes) -> bytes:
    return _der(_SEQUENCE, b"".join(parts))


def _integer(value: int) -> bytes:
    return _der(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _object(numbers: tuple[int, ...]) -> bytes:
    content = bytearray()
    for number in (numbers[0] * 40 + numbers[1], *numbers[2:]):
        septets = [number & 0x7F]
        while number := number >> 7:
            septets.append(0x80 | number & 0x7F)
        content += bytes(reversed(septets))
    return _der(_OBJECT, bytes(content))


def _named(name: str) -> bytes:
    return _seq(_der(_SET, _seq(_object(_COMMON_NAME), _der(_UTF8, name.encode()))))


def _extension(kind: tuple[int, ...], value: bytes, *, critical: bool = False) -> bytes:
    return _seq(_object(kind), *([_der(_BOOLEAN, b"\xff")] if critical else []), _der(_OCTETS, value))


def _pem(label: str, der: bytes) -> str:
    text = base64.encodebytes(der).decode()
    return f"-----BEGIN {label}-----\n{text}-----END {label}-----\n"


# ---------------------------------------------------------------------- P-256


def _plus(a: _Point, b: _Point) -> _Point:
    if a is None or b is None:
        return a or b
    if a[0] == b[0]:
        if (a[1] + b[1]) % _P == 0:
            return None
        slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, _P)
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, _P)
    x = (slope * slope - a[0] - b[0]) % _P
    return x, (slope * (a[0] - x) - a[1]) % _P


def _times(factor: int, point: _Point) -> _Point:
    product: _Point = None
    while factor:
        if factor & 1:
            product = _plus(product, point)
        point = _plus(point, point)
        factor >>= 1
    return product
