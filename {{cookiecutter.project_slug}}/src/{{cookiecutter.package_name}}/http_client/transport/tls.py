"""TLS: the certificate authorities to trust."""

import ssl
from functools import cache
from pathlib import Path

import {{ cookiecutter.__httpx }}


@cache  # a context takes about 20 ms, so there is one for all upstreams, built at the start
def ssl_context(ca_bundle: Path | None, trust_env: bool) -> ssl.SSLContext:
    """Return the TLS configuration: the library's own authorities, or only those of one file."""
    if ca_bundle is None:
        return httpx.create_ssl_context(trust_env=trust_env)
    return ssl.create_default_context(cafile=ca_bundle)
