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
        self.to_proxy = self._to_upstream = ssl_context(settings.ca_bundle, settings.trust_env)
        self._cert, self._key = settings.client_cert, settings.client_key
        if self._cert is not None:
            self._to_upstream = ssl_context(
                settings.ca_bundle, settings.trust_env, self._cert, self._key
            )
            load_client_certificate(self._to_upstream, self._cert, self._key)
        self._loaded = self._versions()
        self._warned = False

    def to_upstream(self) -> ssl.SSLContext:
        """Return the configuration for a new connection; read the certificate again if changed."""
        if self._cert is not None and (versions := self._versions()) != self._loaded:
            try:
                # The first one is thrown away: files that do not match leave the second unchanged.
                for context in (ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), self._to_upstream):
                    load_client_certificate(context, self._cert, self._key)
            except OSError as error:
                if not self._warned:
                    fields = {"file": str(self._cert), "reason": error.strerror}
                    log.warning("CLIENT_CERT is not usable; the previous one stays", extra=fields)
                self._warned = True
            else:
                log.info("client certificate reloaded", extra={"file": str(self._cert)})
                self._loaded, self._warned = versions, False
        return self._to_upstream

    def _versions(self) -> list[tuple[int, int, int] | None]:
        return [_version(file) for file in (self._cert, self._key) if file is not None]


def _version(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
