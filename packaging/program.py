# noqa: INP001 - a script
"""The program that the archive holds: the module, told where this machine keeps its certificates."""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping
from pathlib import Path

BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, older RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # RHEL
    "/etc/ssl/cert.pem",  # macOS
)
"""Where systems keep the certificates that they trust, among the places where Go's crypto/x509 looks for them."""


def trust(environ: MutableMapping[str, str], bundles: tuple[str, ...] = BUNDLES) -> None:
    """Set ``SSL_CERT_FILE`` to the first of these files that exists; what the user has set stands.

    The OpenSSL of the archive would otherwise look only where the system that built it keeps them.
    """
    if environ.get("SSL_CERT_FILE") or environ.get("SSL_CERT_DIR"):
        return
    found = next((bundle for bundle in bundles if Path(bundle).is_file()), None)
    if found is not None:
        environ["SSL_CERT_FILE"] = found


def main() -> None:
    """Run what the command line asks for; the demo's local cloud is not packed."""
    if sys.argv[1:2] == ["demo"]:
        sys.exit("run.sh: the archive leaves the demo out; run it from the source: ./run.sh demo")
    trust(os.environ)
    from module.__main__ import main as run  # noqa: PLC0415 - the certificates come first

    run()


if __name__ == "__main__":
    main()
