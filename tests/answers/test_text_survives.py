"""Answers are data: they arrive as they were given and are never run as code."""

import ast
import shutil
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from answers.features import FEATURES
from answers.filters import markdown_text, python_string, toml_string
from answers.questions import PROJECT_DIRECTORY, QUESTIONS
from answers.rules import find_problems
from answers.upstreams import Upstream, parse_upstreams
from support.rendering import Bake, Cookiecutter

AWKWARD = {
    "an apostrophe": "Ann's service",
    "double quotes": 'The "best" service',
    "every quote": "'\"`´‘’“”«»",  # noqa: RUF001 - on purpose
    "triple quotes": "'''\"\"\" end",
    "a quote at the end": 'it ends with "',
    "a backslash at the end": "it ends with \\",
    "backslashes": r"C:\new\table \\ \N{DASH} \x41 \u0041",
    "a comment": "one # two",
    "a mapping": "key: value, - item, [list], {map: 1}",
    "single braces": "{x} {0} {} }} %} #} { { a } }",
    "percent signs": "100 % %s %(name)s %d",
    "an f-string": "{__import__('os').system('true')}",
    "shell injection": "$(touch owned); `touch owned` && touch owned | $HOME ${PATH}",
    "Python injection": "\"); __import__('os').system('touch owned') #",
    "TOML injection": '"\n'.strip() + ' ]] [tool.evil] = 1 """',
    "YAML injection": "!!python/object/apply:os.system ['touch owned']",
    "markup": "<script>alert(1)</script><img src=x onerror=alert(1)></script> <!-- -->",
    "entities": "&amp; &lt; &#39; R&D",
    "Markdown": "*bold* _it_ `code` [link](https://example.com) # x | y ~~z~~ $m$ ![i](j)",
    "a heading": "# Service #",
    "a list": "- item",
    "a numbered list": "1. item",
    "a rule": "---",
    "an underline": "===",
    "umlauts": "Größenwahn Überservice ßẞ",
    "another script": "日本語のサービス",
    "from right to left": "خدمة שירות",
    "emoji": "🚀🦄 ❤️",
    "an emoji of several": "👩‍💻👨‍👩‍👧‍👦🏳️‍🌈",
    "combining characters": "e\u0301 Z̗̃̃a̷l̵g̶o̸",
    "invisible characters": "zero\u200bwidth\ufeffand\u00a0no-break\u00adsoft",
    "beyond the basic plane": "𝕌𝕟𝕚𝕔𝕠𝕕𝕖 𐍈",  # noqa: RUF001 - on purpose
    "spaces around": "  padded  ",
    "a lone dash": "-",
    "an option": "--no-input",
    "an assignment": "a=b=c",
    "words of YAML": "null",
    "a number": "1_000.0e3",
    "a date": "2026-11-20",
    "dots": "...",
    "a path": "../../etc/passwd",
    "many characters": "ü" * 200,
}
GOOD: dict[str, list[str]] = {
    "project_slug": ["x", "a1-b2-c3", "class", "json", "calendar", "x" * 63],
    "package_name": ["x", "my__service", "trailing_", "services", "data2", "x" * 40],
    "author_email": [
        "o'brien+tag@mail.example.co.uk",
        "a@b.co",
        "{x}@example.com",
        "first.last@xn--bcher-kva.example",
        "#!$%&'*+/=?^_`{|}~-@example.org",
    ],
    "upstreams": [
        "",
        " ",
        " a = http://localhost:9000 , b = https://[::1]:8443/v1/ ",
        "GitHub=HTTPS://API.GitHub.com",
        "my_api=http://my_service:80,my_api2=https://192.0.2.1/a-b/c~d/%7Be%7D/@f:g+h",
        "x=https://example.com.",
        f"{'a' * 20}=https://{'b' * 63}.example",
    ],
    "features": ["", " ", " workers ,retry", "rate_limit", ", ".join(FEATURES)],
}


# --- The filters ----------------------------------------------------------------------------

printable = st.text(max_size=200).filter(lambda text: not find_problems({"description": text}))


@given(printable)
@example("\\")
@example("'\"")
def test_a_python_string_is_the_text(text: str) -> None:
    """It is a literal on one line."""
    source = python_string(text)

    assert text == ast.literal_eval(source)
    assert source.isprintable()


@given(printable)
def test_a_toml_string_is_the_text(text: str) -> None:
    """YAML reads the same literal as the same text."""
    source = toml_string(text)

    assert text == tomllib.loads(f"x = {source}")["x"] == yaml.safe_load(source)
    assert source.isprintable()


class Text(HTMLParser):
    """The text that a page shows, and its tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.shown, self.tags = "", set[str]()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, _attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.shown += data


@pytest.mark.parametrize(
    ("place", "tags"),
    [
        ("{}", {"p"}),
        ("# {}", {"h1"}),
        ("| a |\n|---|\n| {} |", {"table", "thead", "tbody", "tr", "th", "td"}),
    ],
    ids=["paragraph", "heading", "table"],
)
@given(
    text=(printable | st.text("*_`[]()<>#+-.!|~&;=:$\\ ab1)\"'{}/^%@,?x0", max_size=12))
    .map(str.strip)
    .filter(bool)
    | st.sampled_from(list(AWKWARD.values()))
)
def test_markdown_shows_the_text(place: str, tags: set[str], text: str) -> None:
    """It adds no link, no emphasis and no HTML."""
    markdown = MarkdownIt("commonmark").enable(["table", "strikethrough"])

    page = Text(markdown.render(place.format(markdown_text(text))))

    assert page.tags == tags
    assert " ".join(text.split()) in " ".join(page.shown.split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("My Service", '"My Service"'),
        ("Ann's", '"Ann\'s"'),
        ('say "yes"', "'say \"yes\"'"),
        ("'\"", '"\'\\""'),
        ("Größe 🚀", '"Größe 🚀"'),
        ("👩‍💻", '"👩\\u200d💻"'),
    ],
)
def test_a_python_string_looks_handwritten(text: str, expected: str) -> None:
    """With double quotes unless single ones need fewer escapes, and letters unescaped."""

    assert expected == python_string(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("  ", []),
        ("github=https://a.b", [Upstream("github", "GitHub", "https://a.b")]),
        ("GitHub=https://a.b", [Upstream("github", "GitHub", "https://a.b")]),
        ("gitHub=https://a.b", [Upstream("github", "GitHub", "https://a.b")]),
        ("my_api=http://c:1/d", [Upstream("my_api", "MyApi", "http://c:1/d")]),
        (
            " openai = https://a.b , pay2go=https://c.d ",
            [
                Upstream("openai", "OpenAI", "https://a.b"),
                Upstream("pay2go", "Pay2go", "https://c.d"),
            ],
        ),
    ],
)
def test_upstreams_are_parsed(text: str, expected: list[Upstream]) -> None:
    """The name is the key in the settings, the alias is the name of a type."""

    assert expected == parse_upstreams(text)


# --- The command ----------------------------------------------------------------------------

PROBE = {
    "answers.py": "\n".join(
        f"{name} = {{{{ cookiecutter.{name} | python_string }}}}"
        for name in QUESTIONS
        if isinstance(QUESTIONS[name], str)
    ),
    "answers.toml": "\n".join(
        f"{name} = {{{{ cookiecutter.{name} | toml_string }}}}"
        for name in QUESTIONS
        if isinstance(QUESTIONS[name], str)
    ),
    "answers.txt": "{{ cookiecutter.project_name }}\n{{ cookiecutter.description }}\n",
}


@pytest.fixture(scope="session")
def probe(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same questions and hooks, with a project that only repeats the answers."""
    probe = tmp_path_factory.mktemp("probe") / "probe"
    shutil.copytree(template, probe, ignore=shutil.ignore_patterns(PROJECT_DIRECTORY))
    (probe / PROJECT_DIRECTORY).mkdir()
    for name, text in PROBE.items():
        (probe / PROJECT_DIRECTORY / name).write_text(text, encoding="utf-8")
    return probe


def rows() -> Iterator[dict[str, str]]:
    """All awkward answers in few rows: each text once as a name and once as a description."""
    texts = list(AWKWARD.values())
    for number in range(0, len(texts), 2):
        row = {
            "project_name": texts[number],
            "description": texts[number - 1],
            "author_name": texts[-number],
            "project_slug": "probe",
            "package_name": "probe",
        }
        yield row | {
            field: good[number // 2] for field, good in GOOD.items() if good[number // 2 :]
        }


ROWS = list(rows())


@pytest.mark.parametrize("answers", ROWS, ids=lambda answers: ascii(answers["project_name"])[:40])
def test_awkward_answers_on_the_command_line(
    probe: Path, cookiecutter: Cookiecutter, answers: dict[str, str]
) -> None:
    """They arrive byte for byte, through the shell's arguments, Jinja and the hooks."""
    done = cookiecutter(probe, "--no-input", *(f"{name}={text}" for name, text in answers.items()))

    assert (0, "") == (done.returncode, done.stderr)
    (project,) = cookiecutter.cwd.iterdir()
    assert answers["project_slug"] == project.name
    module = ast.parse((project / "answers.py").read_text(encoding="utf-8"))
    literals = {
        target.id: ast.literal_eval(line.value)
        for line in module.body
        if isinstance(line, ast.Assign)
        for target in line.targets
        if isinstance(target, ast.Name)
    }
    assert answers == {name: literals[name] for name in answers}
    assert literals == tomllib.loads((project / "answers.toml").read_text(encoding="utf-8"))
    assert (
        f"{answers['project_name']}\n{answers['description']}\n".encode()
        == (project / "answers.txt").read_bytes()
    )
    assert [] == list(cookiecutter.cwd.rglob("owned"))
    assert cookiecutter.written().isdisjoint({"owned"})


def test_awkward_answers_from_a_config(probe: Path, cookiecutter: Cookiecutter) -> None:
    """A user's own defaults arrive as text, numbers too."""
    (cookiecutter.home / ".cookiecutterrc").write_text(
        "default_context: {project_name: 2026, author_name: \"{'x'} # \\\\ 🚀\"}", encoding="utf-8"
    )

    assert 0 == cookiecutter(probe, "--no-input").returncode
    written = (cookiecutter.cwd / "app-2026" / "answers.toml").read_text(encoding="utf-8")
    assert {"project_name": "2026", "author_name": "{'x'} # \\ 🚀"} == {
        name: tomllib.loads(written)[name] for name in ("project_name", "author_name")
    }


# --- The service ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        AWKWARD[name]
        for name in (
            "Python injection",
            "every quote",
            "markup",
            "an emoji of several",
            "many characters",
        )
    ],
    ids=ascii,
)
def test_a_service_keeps_the_text(bake: Bake, text: str) -> None:
    """The metadata and the API's description contain it, and the project passes its checks."""
    project = bake(
        project_name=text,
        project_slug="kept",
        package_name="kept",
        description=text[::-1],
        author_name=text,
    )
    metadata = project.toml("pyproject.toml")["project"]
    literals = {
        node.value
        for node in ast.walk(ast.parse(project.read("src/kept/app.py")))
        if isinstance(node, ast.Constant)
    }

    assert (text[::-1], text) == (metadata["description"], metadata["authors"][0]["name"])
    assert {text, text[::-1]} <= literals
    assert text in project.read("LICENSE")
    project.run("ruff", "format", "--check", ".")
    project.run("ruff", "check", ".")


def test_the_longest_names_fit(bake: Bake) -> None:
    """Names of the maximum length make no line that must be wrapped."""
    project = bake(
        project_slug="s" * 64,
        package_name="p" * 40,
        upstreams=f"{'U' * 20}=https://api.example.com,{'u' * 19}=https://{'x' * 63}.example",
        author_email=f"{'a' * 64}@example.com",
    )

    project.run("ruff", "format", "--check", ".")
    project.run("ruff", "check", ".")


@settings(max_examples=10, deadline=None)
@given(name=printable.filter(str.strip), description=printable)
def test_any_text_survives_in_a_service(bake: Bake, name: str, description: str) -> None:
    """Any printable text arrives in the metadata unchanged."""
    project = bake(project_name=name, project_slug="kept", description=description)
    metadata = project.toml("pyproject.toml")["project"]

    assert description == metadata["description"]
    for module in project.package.rglob("*.py"):
        ast.parse(module.read_text(encoding="utf-8"))
