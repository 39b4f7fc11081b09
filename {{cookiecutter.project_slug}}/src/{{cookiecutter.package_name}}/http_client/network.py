"""What the engines need of the machine: certificates to trust, and proxies."""

import ssl
import urllib.request
from functools import cache
from pathlib import Path

import {{ cookiecutter.__httpx }}


@cache  # about 20 ms each, so once for all upstreams and never while serving
def ssl_context(ca_bundle: Path | None, trust_env: bool) -> ssl.SSLContext:
    """The TLS configuration: the library's own authorities, or those of one file alone."""
    if ca_bundle is None:
        return httpx.create_ssl_context(trust_env=trust_env)
    return ssl.create_default_context(cafile=ca_bundle)


def environment_proxy(url: httpx.URL) -> str | None:
    """The proxy that HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY name for a URL.

    Raises httpx.ProxyError for one that is not spoken to by HTTP.
    """
    host = url.raw_host.decode("ascii")
    proxies = urllib.request.getproxies()
    proxy = proxies.get(url.scheme, proxies.get("all"))
    if proxy is None or urllib.request.proxy_bypass(f"{host}:{url.port}" if url.port else host):
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    if not proxy.startswith(("http://", "https://")):
        raise httpx.ProxyError("the environment names a proxy that is neither http nor https")
    return proxy
