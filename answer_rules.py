"""What a good answer is, how an answer is written into a file, and where answers are checked.

The rules and filters have no side effects. `AnswerRules`, at the end, joins them to cookiecutter.
"""

import atexit
import builtins
import difflib
import inspect
import ipaddress
import json
import keyword
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import urlsplit

import click
from click.core import ParameterSource
from cookiecutter.config import get_user_config  # type: ignore[import-untyped]
from cookiecutter.exceptions import FailedHookException  # type: ignore[import-untyped]
from jinja2 import Environment
from jinja2.ext import Extension

TEMPLATE = Path(__file__).resolve().parent
# cookiecutter runs a template with a pre_prompt hook from a copy, and leaves some of it behind.
COPY = TEMPLATE.parent if TEMPLATE.parent.name.startswith("cookiecutter") else None
CONFIGURATION: dict[str, Any] = json.loads((TEMPLATE / "cookiecutter.json").read_text("utf-8"))
QUESTIONS = {name: value for name, value in CONFIGURATION.items() if not name.startswith("_")}
TEXT_LIMIT = 200
SLUG_LIMIT = 64
# The services' tests import from the package by its full name, in lines of 100 columns.
PACKAGE_LIMIT = 40
SHOWN_LIMIT = 60
LIKE_ENOUGH = 0.6


@dataclass(frozen=True)
class Problem:
    """A bad answer, and the answers that would be good in its place."""

    field: str
    what: str
    got: object
    suggestion: str
    fixes: Mapping[str, object]

    def __str__(self) -> str:
        return f"{self.field}: {self.what} (got {shown(self.got)}). Try: {self.suggestion}"


def shown(answer: object) -> str:
    """Write an answer for a terminal: short, on one line, nothing invisible."""
    if not isinstance(answer, str):
        return f"{typed(answer)[:SHOWN_LIMIT]}, a {type(answer).__name__}"
    return repr(answer) if len(answer) <= SHOWN_LIMIT else f"{answer[:SHOWN_LIMIT]!r} and so on"


def typed(answer: object) -> str:
    """Write an answer as it is typed on the command line."""
    return str(answer).lower() if isinstance(answer, bool) else str(answer)


# --- Text in the generated files ------------------------------------------------------------


def escaped(text: str) -> str:
    """Return what stands for this text between the quotes of a Python literal, in ASCII.

    For the hooks, which run for each project: to import `json` there takes as long as the rest.
    """
    return text.encode("unicode_escape").decode("ascii").replace('"', r"\"")


def python_string(text: str) -> str:
    """Return the literal that `ruff format` leaves as it is."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    literal = text.replace("\\", "\\\\").replace(quote, f"\\{quote}")
    return quote + "".join(c if c.isprintable() else repr(c)[1:-1] for c in literal) + quote


def toml_string(text: str) -> str:
    """Return a TOML basic string; YAML reads it as the same text."""
    literal = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08X}" for c in literal) + '"'


def markdown_text(text: str) -> str:
    """Escape text so that a paragraph, heading or table cell in Markdown shows it literally."""
    literal = re.sub(r"([\\`*_\[\]<>|~$])", r"\\\1", text.strip())
    literal = re.sub(r"&(?=#?\w+;)", r"\\&", literal)
    # A heading loses a run of `#` at its end.
    literal = re.sub(r"#(?=#*$)", r"\\#", literal)
    # Only at the start of a line do these begin a heading, a list, a rule or an underline.
    return re.sub(r"^(\d*)(?=[-+#=.)])", r"\1\\", literal)


# --- Text -----------------------------------------------------------------------------------

# They reorder what is shown: "Trojan Source", CVE-2021-42574.
BIDIRECTIONAL = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def _is_unsafe(character: str) -> bool:
    return character in BIDIRECTIONAL or unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}


def _text_trouble(text: str) -> str | None:
    if any(map(_is_unsafe, text)):
        return "holds a control character, a line break or a change of direction"
    if re.search(r"\{[{%#]", text):
        return "holds Jinja, which answers cannot use"
    if len(text) > TEXT_LIMIT:
        return f"has more than {TEXT_LIMIT} characters"
    return None


def _cleaned(text: str) -> str:
    text = "".join(character for character in text if not _is_unsafe(character))
    return re.sub(r"\{(?=[{%#])", "", text)[:TEXT_LIMIT]


def _blank_trouble(text: str) -> str | None:
    return None if text.strip() else "is blank"


def _email_trouble(address: str) -> str | None:
    atom = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
    label = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
    address_form = rf"(?=.{{1,64}}@){atom}(\.{atom})*@{label}(\.{label})+"
    return None if re.fullmatch(address_form, address) else "is not an email address"


def _mended_email(address: str) -> str:
    address = re.sub(r"^.*<|>.*$|\s", "", address)
    return QUESTIONS["author_email"] if _email_trouble(address) else address


# --- Names ----------------------------------------------------------------------------------


def _words(text: str) -> set[str]:
    return set(text.split())


WINDOWS_DEVICES = {"con", "prn", "aux", "nul"} | {
    f"{port}{number}" for port in ("com", "lpt") for number in range(10)
}
# Such a command would replace one that the project's own environment has.
COMMANDS = {"activate", "deactivate", "pip", "pip3", "python", "python3"}
# What can be imported in the environment of some generated project, and the distributions there.
# A test compares this with the environment that holds all of them.
DEPENDENCIES = _words(
    """
    aiohappyeyeballs aiohttp aiosignal annotated_doc annotated_types anyio ast_serialize
    async_timeout attr attrs certifi cffi charset_normalizer click colorama coverage cryptography
    deprecated dotenv fastapi fastapi_swagger frozenlist google googleapis_common_protos h11 h2
    hatchling hpack httpcore httpcore2 httptools httpx httpx2 httpx_aiohttp hyperframe idna
    iniconfig librt limits multidict mypy mypy_extensions mypyc opentelemetry opentelemetry_api
    opentelemetry_exporter_http_transport opentelemetry_exporter_otlp_common
    opentelemetry_exporter_otlp_proto_common opentelemetry_exporter_otlp_proto_http
    opentelemetry_exporter_prometheus opentelemetry_proto opentelemetry_sdk
    opentelemetry_semantic_conventions orjson packaging pathspec pip_audit pluggy pre_commit prek
    prometheus_client propcache protobuf py pycparser pydantic pydantic_core pydantic_settings
    pygments pytest python_dotenv pyyaml redis requests ruff setuptools starlette trustme truststore
    typing_extensions typing_inspection urllib3 uv uv_build uvicorn uvloop watchfiles websockets
    wrapt wrapt_stubs yaml yarl
    """
)
# Modules of a Python between 3.11 and 3.14 that the one running this may not have.
OTHER_STANDARD_LIBRARY = _words(
    """
    aifc annotationlib asynchat asyncore audioop cgi cgitb chunk compression crypt distutils
    imghdr imp lib2to3 mailcap msilib nis nntplib ossaudiodev pipes smtpd sndhdr spwd sunau
    telnetlib uu xdrlib
    """
)


def default_slug(text: str) -> str:
    """Derive a slug that can be used; nothing from a text without ASCII letters or digits."""
    # An answer that is missing raises here what cookiecutter can explain.
    ascii_text = unicodedata.normalize("NFKD", str(text)).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_text.lower().replace("'", "")).strip("-")
    slug = (f"app-{slug}" if slug[:1].isdigit() else slug)[:SLUG_LIMIT].strip("-")
    return f"{slug}-service" if _taken_name(slug) else slug


def default_package(text: str) -> str:
    """Derive an import name that can be used; nothing where `default_slug` finds nothing."""
    name = default_slug(text).replace("-", "_")[:PACKAGE_LIMIT].strip("_")
    return f"{name}_service" if name and _package_trouble(name) else name


def _slug_trouble(slug: str) -> str | None:
    if not slug:
        return "is empty, because nothing in project_name could be used for it"
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", slug):
        return "is not kebab-case: lowercase ASCII letters and digits, single dashes between them"
    if len(slug) > SLUG_LIMIT:
        return f"has more than {SLUG_LIMIT} characters"
    return _taken_name(slug)


def _package_trouble(name: str) -> str | None:
    if not name:
        return "is empty, because nothing in project_slug could be used for it"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        return "is not a lowercase ASCII identifier"
    if len(name) > PACKAGE_LIMIT:
        return f"has more than {PACKAGE_LIMIT} characters"
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        return "is a keyword of Python"
    if name in sys.stdlib_module_names or name in OTHER_STANDARD_LIBRARY:
        return "is a module of Python's standard library"
    return _taken_name(name)


def _taken_name(name: str) -> str | None:
    name = name.replace("-", "_")
    if name in WINDOWS_DEVICES:
        return "is a device on Windows"
    if name in DEPENDENCIES:
        return "is the name of something that services depend on"
    if name in COMMANDS:
        return "is a command that every Python environment has"
    if name in {"conftest", "test", "tests"}:
        return "is a name that the tests use"
    return None


# --- Upstreams ------------------------------------------------------------------------------

# The line that defines an alias holds its name twice, and fits into 100 columns.
UPSTREAM_LIMIT = 20
EXAMPLE_URL = "https://api.example.com"
SPELLINGS = {"github": "GitHub", "gitlab": "GitLab", "openai": "OpenAI"}
# What the generated modules import or define beside the aliases.
USED_NAMES = {"Annotated", "Any", "AsyncClient", "Depends", "HTTPClient", "Request", "State"}


@dataclass(frozen=True)
class Upstream:
    name: str
    alias: str
    base_url: str


def parse_upstreams(text: str) -> list[Upstream]:
    pairs = map(_name_and_url, _entries(text))
    return [Upstream(name.lower(), _alias(name), url) for name, url in pairs]


def _entries(text: str) -> list[str]:
    return [entry.strip(" ") for entry in text.split(",")] if text.strip(" ") else []


def _name_and_url(entry: str) -> tuple[str, str]:
    name, _, url = entry.partition("=")
    return name.strip(" "), url.strip(" ")


def _alias(name: str) -> str:
    return SPELLINGS.get(name) or "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _upstream_name_trouble(name: str) -> str | None:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*", name):
        return "needs a name of ASCII letters and digits, with single underscores between them"
    if len(name) > UPSTREAM_LIMIT:
        return f"has a name of more than {UPSTREAM_LIMIT} characters"
    key, alias = name.lower(), _alias(name)
    if keyword.iskeyword(key) or alias in USED_NAMES or alias in vars(builtins):
        return f"has a name that means something else in Python, as {key} or as {alias}"
    return None


def _url_trouble(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "has a bad host or port in its URL"
    troubles = {
        "needs a URL that begins with https:// or http://": not re.match("(?i)https?://", url),
        "has credentials in its URL, which settings hold": "@" in parts.netloc,
        "has a query or a fragment in its URL": "?" in url or "#" in url,
        "has no host in its URL": not parts.hostname,
        "has a bad port in its URL": port == 0 or parts.netloc.endswith(":"),
        "has a bad host in its URL": not _is_host(parts.hostname or ""),
        "has a character in its URL that must be percent-encoded": not re.fullmatch(
            r"\w+://[A-Za-z0-9._:[\]-]+(/([A-Za-z0-9._~/:@+-]|%[0-9A-Fa-f]{2})*)?", url
        ),
    }
    return next((trouble for trouble, found in troubles.items() if found), None)


def _is_host(host: str) -> bool:
    if ":" in host or host.rpartition(".")[2].isdigit():
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return False
        return True
    label = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
    return re.fullmatch(rf"(?=.{{1,253}}$){label}(\.{label})*\.?", host) is not None


def _mended_name(name: str) -> str:
    name = re.sub(r"[^A-Za-z0-9]+", "_", name).lstrip("0123456789_")
    name = name[: UPSTREAM_LIMIT - 4].strip("_") or "upstream"
    return f"{name}_api" if _upstream_name_trouble(name) else name


def _mended_url(url: str) -> str:
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
    except ValueError:
        return EXAMPLE_URL
    scheme = parts.scheme if parts.scheme in {"http", "https"} else "https"
    host = parts.netloc.rpartition("@")[2]
    mended = [f"{scheme}://{host}{parts.path}", f"{scheme}://{host}", EXAMPLE_URL]
    return next(url for url in mended if not _url_trouble(url))


def _check_upstreams(text: str) -> tuple[str, list[tuple[str, str, str]]]:
    """Return the whole answer mended, and each bad entry: its trouble, itself, itself mended."""
    troubles: list[tuple[str, str, str]] = []
    mended: list[str] = []
    used: set[str] = set()
    for entry in _entries(text):
        name, url = _name_and_url(entry)
        trouble = None if entry.partition("=")[1] else "is not of the form name=base_url"
        if name_trouble := _upstream_name_trouble(name):
            name = _mended_name(name)
        if url_trouble := _url_trouble(url):
            url = _mended_url(url)
        plain, number = name[: UPSTREAM_LIMIT - 2], 2
        taken_trouble = None
        while {name.lower(), _alias(name)} & used:
            taken_trouble = "has the name of another upstream"
            name, number = f"{plain}{number}", number + 1
        used |= {name.lower(), _alias(name)}
        mended.append(f"{name}={url}")
        if trouble := trouble or name_trouble or url_trouble or taken_trouble:
            troubles.append((trouble, entry, mended[-1]))
    return ",".join(mended), troubles


# --- All the rules --------------------------------------------------------------------------

# For each free text: what is wrong with it, and something like it that is right.
Rule = tuple[Callable[[str], str | None], Callable[[str], str]]
RULES: dict[str, Rule] = {
    "project_name": (_blank_trouble, lambda text: text.strip() or QUESTIONS["project_name"]),
    "features": (lambda _: None, str),
    "project_slug": (_slug_trouble, lambda text: default_slug(text) or "my-service"),
    "package_name": (_package_trouble, lambda text: default_package(text) or "my_service"),
    "description": (lambda _: None, str),
    "author_name": (_blank_trouble, lambda text: text.strip() or QUESTIONS["author_name"]),
    "author_email": (_email_trouble, _mended_email),
    "upstreams": (lambda _: None, lambda text: _check_upstreams(text)[0]),
}
# What the default of an answer is made from.
DERIVED = {"project_slug": "project_name", "package_name": "project_slug"}


def problems(answers: Mapping[str, object]) -> list[Problem]:
    """Return what is wrong with these answers, in the order of the questions."""
    found: list[Problem] = []
    bad: set[str] = set()
    for field, default in QUESTIONS.items():
        if field in answers:
            new = list(_field_problems(field, default, answers[field]))
            # What only follows from another bad answer is not told as well.
            if DERIVED.get(field) not in bad or answers[field] != _default(field, answers):
                found += new
            if new:
                bad.add(field)
    if (
        answers.get("deployment") == "kubernetes"
        and len(str(answers.get("project_slug"))) == SLUG_LIMIT
    ):
        slug = str(answers["project_slug"])
        what = f"has more than the {SLUG_LIMIT - 1} characters of a name in Kubernetes"
        found.append(_problem("project_slug", what, slug, slug[:-1].rstrip("-")))
    if answers.get("http2") is True and answers.get("http_transport") == "aiohttp":
        what = "http2=true needs httpcore, because aiohttp speaks HTTP/1.1 only"
        found.append(_problem("http_transport", what, "aiohttp", "httpcore"))
    return found


def _problem(field: str, what: str, got: object, good: object) -> Problem:
    return Problem(field, what, got, typed(good), {field: good})


def _field_problems(field: str, default: object, answer: object) -> Iterator[Problem]:
    if isinstance(default, list):
        if answer not in default:
            good = closest(typed(answer), default) or default[0]
            yield _problem(field, f"is not one of {', '.join(default)}", answer, good)
    elif isinstance(default, bool):
        if not isinstance(answer, bool):
            yield _problem(field, "is neither true nor false", answer, default)
    elif not isinstance(answer, str):
        yield _problem(field, "is not text", answer, mended_text(field, typed(answer)))
    elif field == "upstreams":
        yield from _upstream_problems(answer)
    elif trouble := _text_trouble(answer) or RULES[field][0](answer):
        yield _problem(field, trouble, answer, mended_text(field, answer))


def mended_text(field: str, text: str) -> str:
    return RULES[field][1](_cleaned(text))


def _upstream_problems(text: str) -> Iterator[Problem]:
    mended, troubles = _check_upstreams(text)
    for trouble, entry, suggestion in troubles:
        # A password is not shown, even to the one who typed it: terminals are recorded.
        got = re.sub("//[^/]*@", "//***@", entry)
        yield Problem("upstreams", f"an entry {trouble}", got, suggestion, {"upstreams": mended})


def unknown_options(given: Mapping[str, object]) -> list[Problem]:
    """Return the options that cookiecutter would ignore, or that are not for people to set."""
    return [_unknown(name, value) for name, value in given.items() if name not in QUESTIONS]


def _unknown(name: str, value: object) -> Problem:
    meant = closest(name, QUESTIONS)
    what = "is not a question of this template"
    if meant is None:
        return Problem(name, what, value, "leaving it out", {})
    answer = as_answer(meant, value)
    for problem in problems({meant: answer}):
        answer = problem.fixes[meant]
    return Problem(name, what, value, f"{meant}={typed(answer)}", {meant: answer})


def as_answer(name: str, value: object) -> object:
    """Read a switch as cookiecutter does, and leave what it cannot read."""
    if isinstance(QUESTIONS[name], bool) and isinstance(value, str):
        for answer, words in ((True, "1 true t yes y on"), (False, "0 false f no n off")):
            if value.strip().lower() in words.split():
                return answer
    return value


def closest(word: str, candidates: Iterable[str]) -> str | None:
    """Return what was probably meant, the first of equals, or nothing."""
    word = _plain(word)

    def likeness(candidate: str) -> float:
        if word in re.split(r"[\W_]+", candidate.lower()):
            return 1
        return difflib.SequenceMatcher(None, _plain(candidate), word).ratio()

    best = max(candidates, key=likeness)
    return best if likeness(best) >= LIKE_ENOUGH else None


def _plain(word: str) -> str:
    return re.sub(r"[\W_]", "", word).lower()


# --- What people read -----------------------------------------------------------------------


def report(found: list[Problem], again: str) -> str:
    """Tell all problems, and the command that would do."""
    title = "answers that cannot be used" if len(found) > 1 else "answer that cannot be used"
    lines = (*map(str, found), "", "The command to type instead:", "", again)
    return "\n".join([f"{len(found)} {title}:", "", *lines])


def shell(words: list[str]) -> str:
    """Quote words for the shell of this machine."""
    if os.name != "nt":
        return shlex.join(words)
    # Beside spaces, `&`, `|` and the like want quotes; a space makes this function set them.
    return " ".join(
        word if re.fullmatch(r"[\w./\\:=@+-]+", word) else _in_quotes(word) for word in words
    )


def _in_quotes(word: str) -> str:
    return '"' + subprocess.list2cmdline([f" {word}"]).removeprefix('" ')


def mended(answers: Mapping[str, object], found: list[Problem]) -> dict[str, object]:
    """Return the answers to give again: those that are no defaults, and those that were bad."""
    answers = completed(answers)
    given = {name: value for name, value in answers.items() if value != _default(name, answers)}
    while found:
        for problem in found:
            given |= problem.fixes
        found = problems(completed(given))
    return given


def completed(given: Mapping[str, object]) -> dict[str, object]:
    """Add the default of every question that has no answer."""
    answers: dict[str, object] = {}
    for name in QUESTIONS:
        answers[name] = given[name] if name in given else _default(name, answers)
    return answers


def _default(name: str, answers: Mapping[str, object]) -> object:
    if name in DERIVED:
        derive = default_slug if name == "project_slug" else default_package
        return derive(typed(answers[DERIVED[name]]))
    default = QUESTIONS[name]
    return default[0] if isinstance(default, list) else default


# --- Joined to cookiecutter -----------------------------------------------------------------

PROJECT_DIRECTORY = "{{cookiecutter.project_slug}}"
# Everything in cookiecutter.json that may be rendered while cookiecutter asks.
OWN_TEMPLATES = {
    text
    for value in CONFIGURATION.values()
    for text in (value if isinstance(value, list) else [value])
    if isinstance(text, str)
}


class AnswerRules(Extension):
    """Gives templates the filters, and checks the answers before anything is written.

    cookiecutter makes one environment with this extension to ask the questions, another one to
    write the files, and one for each hook. The same rules stand at five doors, in this order:

    `hooks/pre_prompt.py`       a choice that is none, before cookiecutter fails over it
    `treat_answers_as_data`     what was typed on the command line, before anything is asked
    `"__checked"`               all answers, once they are given
    the directory's name        the same, for a replay, which keeps `"__checked"` as it was
    `hooks/pre_gen_project.py`  the same, for other programs
    """

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        if COPY and COPY.parent == Path(tempfile.gettempdir()).resolve():
            atexit.register(shutil.rmtree, COPY, ignore_errors=True)
        self.answers_are_data = False
        environment.globals["treat_answers_as_data"] = self.treat_answers_as_data
        for function in (
            *(default_slug, default_package, check, complaint, destination),
            *(parse_upstreams, python_string, toml_string, markdown_text, escaped),
        ):
            environment.filters[function.__name__] = function
        # Others than cookiecutter itself may write two revisions of a template in one process, as
        # cruft does: each loads its own rules.
        if _cookiecutter() is None:
            sys.modules.pop(__name__, None)

    def treat_answers_as_data(self) -> str:
        """Begin the questions. What was typed already must be good before anything is asked."""
        self.answers_are_data = True
        context = _cookiecutter()
        if context and _replays(context):  # what was kept has this answer, too
            raise FailedHookException("The replay lacks answers. Give them without a replay.")
        command = typed_command()
        if command is not None and command.asks:
            given = command.given
            _refuse(
                {name: as_answer(name, given[name]) for name in QUESTIONS if name in given},
                asked=False,
            )
        return ""

    def preprocess(self, source: str, *_names: str | None, **_more: str | None) -> str:
        if self.answers_are_data and source not in OWN_TEMPLATES:
            # An answer of the command line or of a file, which cookiecutter renders like a default.
            return "{{ " + ascii(source) + " }}"
        if source == PROJECT_DIRECTORY:
            # The last moment before the directory is made, and the first that a replay comes by.
            return source + "{{ cookiecutter | check }}"
        return source


def check(answers: Mapping[str, object]) -> str:
    """Stop in a way that is shown as a plain message, if an answer is bad."""
    _refuse(answers)
    return ""


def _refuse(answers: Mapping[str, object], asked: bool = True) -> None:
    if message := complaint(answers, asked):
        # cruft shows every exception with its traceback; this one ends it.
        raise SystemExit(message) if _cruft() else FailedHookException(message)


def complaint(answers: Mapping[str, object], asked: bool = True) -> str:
    """Return all that there is to say against these answers, or nothing.

    Who has been asked once is not asked again by the command that is suggested.
    """
    command = typed_command()
    if command is None:
        template = TEMPLATE.name if COPY else str(TEMPLATE)
        command = Command(["cookiecutter", template], {}, {}, asks=True)
    found = unknown_options(command.given) + problems(answers)
    words = [*command.words]
    if asked and command.asks:
        words.append("--no-input")
    if dropped := _dropped(command.defaults, command.given):
        fields = {problem.field for problem in dropped}
        found = [problem for problem in found if problem.field not in fields] + dropped
        words.append("--default-config")
        unused = command.defaults.keys() - command.given.keys()
        answers = {**answers, **{name: command.defaults[name] for name in unused}}
    return report(found, command.again(words, mended(answers, found))) if found else ""


@dataclass(frozen=True)
class Command:
    """What was typed to cookiecutter or to cruft, and what the user's configuration adds."""

    words: list[str]
    given: Mapping[str, object]
    defaults: Mapping[str, object]
    asks: bool
    output_dir: object = None
    # cruft takes all answers as one JSON object after this option.
    json_option: str = ""

    def again(self, words: list[str], answers: Mapping[str, object]) -> str:
        if self.json_option:
            return shell([*words, self.json_option, json.dumps(answers, ensure_ascii=False)])
        return shell([*words, *(f"{name}={typed(value)}" for name, value in answers.items())])


def typed_command() -> Command | None:
    """Return what was typed, unless the template is used by the Python API."""
    if context := _cookiecutter():
        return typed_to_cookiecutter(context)
    if arguments := _cruft():
        return _typed_to_cruft(arguments)
    return None


def _cookiecutter() -> click.Context | None:
    context = click.get_current_context(silent=True)
    if context is None or getattr(context.command.callback, "__module__", "") != "cookiecutter.cli":
        return None
    return context


def typed_to_cookiecutter(context: click.Context) -> Command:
    params = context.params
    return Command(
        ["cookiecutter", params["template"], *_switches(context)],
        params["extra_context"] or {},
        # A replay uses nothing of the user's configuration.
        {} if _replays(context) else _configured(params["config_file"], params["default_config"]),
        asks=not params["no_input"],
        output_dir=params["output_dir"],
    )


def _replays(context: click.Context) -> bool:
    return bool(context.params["replay"] or context.params["replay_file"])


def _switches(context: click.Context) -> Iterator[str]:
    """Repeat the options that were typed, but for the sources of bad answers."""
    for option in context.command.params:
        name = option.name or ""
        if (
            isinstance(option, click.Option)
            and context.get_parameter_source(name) is ParameterSource.COMMANDLINE
            and name not in {"replay", "replay_file"}
        ):
            yield from (
                [option.opts[-1]]
                if option.is_flag
                else [option.opts[-1], str(context.params[name])]
            )


def _cruft() -> Mapping[str, Any] | None:
    """Return the arguments of the cruft that renders this template; it shows them nowhere else."""
    frame = inspect.currentframe()
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module in {"cruft._commands.create", "cruft._commands.update"}:
            return frame.f_locals
        frame = frame.f_back
    return None


def _typed_to_cruft(arguments: Mapping[str, Any]) -> Command:
    given = arguments["extra_context"] or {}
    if "template_git_url" not in arguments:  # An update has the answers of the creation.
        words = ["cruft", "update"]
        return Command(words, given, {}, asks=False, json_option="--variables-to-update")
    words = ["cruft", "create", str(arguments["template_git_url"])]
    for name in ("output_dir", "config_file", "checkout"):
        if arguments[name] not in {None, Path()}:
            words += [f"--{name.replace('_', '-')}", str(arguments[name])]
    if arguments["no_input"]:
        words.append("--no-input")
    return Command(
        words,
        given,
        _configured(arguments["config_file"], arguments["default_config"]),
        asks=not arguments["no_input"],
        output_dir=arguments["output_dir"],
        json_option="--extra-context",
    )


def _configured(file: object, default: bool) -> dict[str, object]:
    defaults = get_user_config(file and str(file), default)["default_context"] or {}
    return {name: value for name, value in defaults.items() if name in QUESTIONS}


def _dropped(configured: Mapping[str, object], given: Mapping[str, object]) -> list[Problem]:
    """Return the defaults that cookiecutter ignores, with all after them, or misunderstands."""
    return [
        replace(
            problem,
            what=f"{problem.what}, in your configuration of cookiecutter",
            suggestion=json.dumps(problem.fixes[name], ensure_ascii=False),  # as YAML reads it
            fixes={} if name in given else problem.fixes,
        )
        for name, value in configured.items()
        if not _is_understood(name, value)
        for problem in problems({name: value})
    ]


def _is_understood(name: str, value: object) -> bool:
    if isinstance(QUESTIONS[name], list):
        return value in QUESTIONS[name]
    if isinstance(QUESTIONS[name], bool):
        return not isinstance(as_answer(name, value), str)
    return not isinstance(value, bool | list | dict)


def destination(answers: Mapping[str, object]) -> str:
    """Return the project's directory as whoever typed the command would type it.

    Nothing, where cruft writes a project only to compare it with another.
    """
    command = typed_command()
    parent = command.output_dir if command else answers.get("_output_dir")
    return (
        "" if parent is None else shell([str(PurePath(str(parent), str(answers["project_slug"])))])
    )
