"""The names of a service: how they are derived, and which are taken."""

import keyword
import re
import sys
import unicodedata

SLUG_LIMIT = 64
# The services' tests import from the package by its full name, in lines of 100 columns.
PACKAGE_LIMIT = 40


def _words(text: str) -> set[str]:
    return set(text.split())


WINDOWS_DEVICES = {"con", "prn", "aux", "nul"} | {
    f"{port}{number}" for port in ("com", "lpt") for number in range(10)
}
COMMANDS = {"activate", "deactivate", "pip", "pip3", "python", "python3"}
# The modules and distributions that some generated project installs (a test keeps them complete),
# and names that tools commonly install.
DEPENDENCIES = _words(
    """
    aiohappyeyeballs aiohttp aiosignal annotated_doc annotated_types anyio ast_serialize
    async_timeout attr attrs certifi cffi charset_normalizer click colorama coverage cryptography
    dotenv fastapi fastapi_swagger frozenlist google googleapis_common_protos h11 h2
    hatchling hpack httpcore httpcore2 httptools httpx httpx2 httpx_aiohttp hyperframe idna
    iniconfig librt multidict mypy mypy_extensions mypyc opentelemetry opentelemetry_api
    opentelemetry_exporter_http_transport opentelemetry_exporter_otlp_common
    opentelemetry_exporter_otlp_proto_common opentelemetry_exporter_otlp_proto_http
    opentelemetry_exporter_prometheus opentelemetry_proto opentelemetry_sdk
    opentelemetry_semantic_conventions orjson packaging pathspec pip_audit pluggy pre_commit prek
    prometheus_client propcache protobuf py pycparser pydantic pydantic_core pydantic_settings
    pygments pytest python_dotenv pyyaml redis requests ruff setuptools starlette trustme truststore
    typing_extensions typing_inspection urllib3 uv uv_build uvicorn uvloop watchfiles websockets
    yaml yarl
    """
)
# Modules of some Python from 3.11 to 3.14, which the running one may lack.
OTHER_STANDARD_LIBRARY = _words(
    """
    aifc annotationlib asynchat asyncore audioop cgi cgitb chunk compression crypt distutils
    imghdr imp lib2to3 mailcap msilib nis nntplib ossaudiodev pipes smtpd sndhdr spwd sunau
    telnetlib uu xdrlib
    """
)

# Latin letters that are more than an ASCII letter with a mark; apostrophes join words.
TWO_LETTERS = ("ss", "ae", "oe", "th", "ng", "SS", "AE", "OE", "TH", "NG")
TO_ASCII = {
    **str.maketrans("øØłŁđĐðÐħĦŧŦıəƏ", "oOlLdDdDhHtTieE", "'\u2019\u02bc\u02bb"),
    **{ord(letter): two for letter, two in zip("ßæœþŋẞÆŒÞŊ", TWO_LETTERS, strict=True)},
}


def ascii_words(text: str) -> list[str]:
    """Split a text into words, in ASCII, without those in other scripts than Latin."""
    text = unicodedata.normalize("NFKD", text).translate(TO_ASCII)
    text = "".join(character for character in text if not unicodedata.combining(character))
    return [word for word in re.split(r"[\W_]+", text) if word and word.isascii()]


def default_slug(text: str) -> str:
    """Derive a valid slug, or an empty one from a text without a word of Latin letters."""
    # str(), because cookiecutter can explain what an undefined answer raises.
    slug = "-".join(ascii_words(str(text))).lower()
    slug = (f"app-{slug}" if slug[:1].isdigit() else slug)[:SLUG_LIMIT].strip("-")
    return f"{slug}-service" if _reserved_error(slug) else slug


def default_package(text: str) -> str:
    """Derive a valid import name, or an empty one where `default_slug` returns one."""
    name = default_slug(text).replace("-", "_")[:PACKAGE_LIMIT].strip("_")
    return f"{name}_service" if name and package_error(name) else name


def slug_error(slug: str) -> str | None:
    if not slug:
        return "is empty, because project_name has no word in Latin letters or digits"
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", slug):
        return "must be kebab-case: lowercase ASCII letters and digits, single dashes between them"
    if len(slug) > SLUG_LIMIT:
        return f"has more than {SLUG_LIMIT} characters"
    return _reserved_error(slug)


def package_error(name: str) -> str | None:
    if not name:
        return "is empty, because project_slug is"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        return "must be a lowercase ASCII identifier"
    if len(name) > PACKAGE_LIMIT:
        return f"has more than {PACKAGE_LIMIT} characters"
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        return "is a Python keyword"
    if name in sys.stdlib_module_names or name in OTHER_STANDARD_LIBRARY:
        return "is a module of Python's standard library"
    return _reserved_error(name)


def _reserved_error(name: str) -> str | None:
    name = name.replace("-", "_")
    if name in WINDOWS_DEVICES:
        return "is a device name on Windows"
    if name in DEPENDENCIES:
        return "is the name of a dependency"
    if name in COMMANDS:
        return "is a command of every Python environment"
    if name in {"conftest", "test", "tests"}:
        return "is a name that the project's tests use"
    return None
