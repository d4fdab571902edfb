"""TLS of the HTTP front: what the server shows, and what our own commands trust."""

import ssl
from pathlib import Path

TlsContext = ssl.SSLContext


class TlsError(Exception):
    """Certificate or key cannot be used; the text names the settings and the files."""


def server_context(certificate: Path, key: Path) -> TlsContext:
    """Return what a server needs to speak TLS 1.2 or later; TlsError when the files do not serve."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password="")  # nobody is there to be asked for one
    except (OSError, ValueError) as fault:
        raise TlsError(f"http.certificate_file={str(certificate)!r}, http.key_file={str(key)!r}: {fault}") from fault
    return context


def own_context(certificate: Path) -> TlsContext:
    """Return what a client needs that asks the server with this very certificate, whatever name it was issued to."""
    context = ssl.create_default_context(cafile=str(certificate))
    context.check_hostname = False  # commands know the engine by its address; the certificate itself is what they trust
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    return context
