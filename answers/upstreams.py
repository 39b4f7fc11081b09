"""The APIs that a service calls, as name=base_url."""

import builtins
import ipaddress
import keyword
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from .names import ascii_words
from .problems import EntryError
from .text import entries

# The line that defines an alias contains its name twice and has at most 100 columns.
UPSTREAM_LIMIT = 20
EXAMPLE_URL = "https://api.example.com"
SPELLINGS = {"github": "GitHub", "gitlab": "GitLab", "openai": "OpenAI"}
# Names that the generated modules import or define themselves.
RESERVED_ALIASES = {"Annotated", "Any", "AsyncClient", "Depends", "HTTPClient", "Request", "State"}


@dataclass(frozen=True)
class Upstream:
    """An API: its key in the settings, the name of its type, and its base URL."""

    name: str
    alias: str
    base_url: str


def parse_upstreams(text: str) -> list[Upstream]:
    """Read a valid answer."""
    pairs = map(_name_and_url, entries(text))
    return [Upstream(name.lower(), _alias(name), url) for name, url in pairs]


def _name_and_url(entry: str) -> tuple[str, str]:
    name, _, url = entry.partition("=")
    return name.strip(" "), url.strip(" ")


def _alias(name: str) -> str:
    return SPELLINGS.get(name) or "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _name_error(name: str) -> str | None:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*", name):
        return "needs a name of ASCII letters and digits, with single underscores between them"
    if len(name) > UPSTREAM_LIMIT:
        return f"has a name of more than {UPSTREAM_LIMIT} characters"
    key, alias = name.lower(), _alias(name)
    if keyword.iskeyword(key) or alias in RESERVED_ALIASES or alias in vars(builtins):
        return f"has a reserved name, as {key} or as {alias}"
    return None


def _url_error(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "has an invalid host or port in its URL"
    errors = {
        "needs a URL that starts with https:// or http://": not re.match("(?i)https?://", url),
        "has credentials in its URL, which belong in the settings": "@" in parts.netloc,
        "has a query or a fragment in its URL": "?" in url or "#" in url,
        "has no host in its URL": not parts.hostname,
        "has an invalid port in its URL": port == 0 or parts.netloc.endswith(":"),
        "has an invalid host in its URL": not _is_host(parts.hostname or ""),
        "has a character in its URL that must be percent-encoded": not re.fullmatch(
            r"\w+://[A-Za-z0-9._:[\]-]+(/([A-Za-z0-9._~/:@+-]|%[0-9A-Fa-f]{2})*)?", url
        ),
    }
    return next((error for error, found in errors.items() if found), None)


def _is_host(host: str) -> bool:
    if ":" in host or host.rpartition(".")[2].isdigit():
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return False
        return True
    label = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
    return re.fullmatch(rf"(?=.{{1,253}}$){label}(\.{label})*\.?", host) is not None


def _corrected_name(name: str) -> str:
    name = "_".join(ascii_words(name)).lstrip("0123456789_")
    name = name[: UPSTREAM_LIMIT - 4].strip("_") or "upstream"
    return f"{name}_api" if _name_error(name) else name


def _corrected_url(url: str) -> str:
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
    except ValueError:
        return EXAMPLE_URL
    scheme = parts.scheme if parts.scheme in {"http", "https"} else "https"
    host = parts.netloc.rpartition("@")[2]
    candidates = [f"{scheme}://{host}{parts.path}", f"{scheme}://{host}", EXAMPLE_URL]
    return next(url for url in candidates if not _url_error(url))


def _intended_parts(entry: str) -> tuple[str, str]:
    """Find the name and the URL in an entry of another form, such as `github: https://…`."""
    entry = re.sub(r"[\"'<>{}]", "", entry)
    if "=" not in entry and "://" not in entry:
        entry = re.sub(r"[\w@-]+\.", r"https://\g<0>", entry, count=1)
    form = r"(?is)(.*?)(https?://[^?#]*?)(?:\s*=\s*([\w-]+)|[?#].*)?"
    if not (found := re.fullmatch(form, entry)):
        return _name_and_url(entry)
    before, url, after = found.groups()
    url = _corrected_url(url)
    # Not from the text that was given, which may contain credentials.
    labels = (urlsplit(url).hostname or "").split(".")
    host = next((label for label in labels if label not in {"api", "www"}), "")
    return before.strip(" =:-") or after or host, url


def check_upstreams(text: str) -> tuple[str, list[EntryError]]:
    """Return the corrected answer, and what is wrong with each invalid entry."""
    corrected: list[str] = []
    errors: list[EntryError] = []
    used: set[str] = set()
    for entry in entries(text):
        name, url = _name_and_url(entry)
        form_error = None if "=" in entry else "is not of the form name=base_url"
        name_error, url_error = _name_error(name), _url_error(url)
        if not re.match("(?i)https?://", url):
            name, url = _intended_parts(entry)
        if _name_error(name):
            name = _corrected_name(name)
        if _url_error(url):
            url = _corrected_url(url)
        stem, number = name[: UPSTREAM_LIMIT - 2], 2
        repeated_error = None
        while {name.lower(), _alias(name)} & used:
            repeated_error = "has the name of another upstream"
            name, number = f"{stem}{number}", number + 1
        used |= {name.lower(), _alias(name)}
        corrected.append(f"{name}={url}")
        if reason := form_error or name_error or url_error or repeated_error:
            errors.append(EntryError(reason, entry, corrected[-1]))
    return ",".join(corrected), errors
