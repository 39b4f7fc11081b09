"""TLS: the certificate authorities to trust, and the client's own certificate."""

import logging
import ssl
from functools import cache
from pathlib import Path

import {{ cookiecutter.__httpx }}

from ...settings import HTTPSettings, load_client_certificate

log = logging.getLogger(__name__)


@cache  # a context takes about 20 ms, so upstreams share those that are built at the start
def ssl_context(
    ca_bundle: Path | None, trust_env: bool, *client_files: Path | None
) -> ssl.SSLContext:
    """Return the TLS configuration: the library's own authorities, or only those of one file.

    Each client certificate, which the caller loads, has a configuration of its own.
    """
    if ca_bundle is None:
        return httpx.create_ssl_context(trust_env=trust_env)
    return ssl.create_default_context(cafile=ca_bundle)


class TLS:
    """The TLS configuration of one client, which follows its certificate's files."""

    def __init__(self, settings: HTTPSettings) -> None:
        authorities = settings.ca_bundle, settings.trust_env
        pair = settings.client_cert, settings.client_key
        self._files = [file for file in pair if file and settings.client_cert]
        self.to_proxy = ssl_context(*authorities)
        self._to_upstream = ssl_context(*authorities, *self._files)
        self._loaded: list[tuple[int, int, int]] = []
        self._warned = False

    def to_upstream(self) -> ssl.SSLContext:
        """Return the configuration for a new connection; load the certificate if it changed."""
        try:
            found = [file.stat() for file in self._files]
            versions = [(each.st_mtime_ns, each.st_ino, each.st_size) for each in found]
            if versions != self._loaded:
                # The first one is thrown away: files that do not match leave the second unchanged.
                for context in (ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), self._to_upstream):
                    load_client_certificate(context, *self._files)
                log.info("client certificate loaded", extra={"file": str(self._files[0])})
                self._loaded, self._warned = versions, False
        except OSError as error:
            if not self._warned:
                fields = {"file": str(self._files[0]), "reason": error.strerror}
                log.warning("CLIENT_CERT is not usable; the previous one stays", extra=fields)
            self._warned = True
        return self._to_upstream
