"""The rules for answers, and the corrections that they suggest."""

from collections.abc import Callable, Iterator, Mapping

from .features import check_features
from .names import SLUG_LIMIT, default_package, default_slug, package_error, slug_error
from .problems import LEAVE_OUT, EntryError, Problem
from .questions import DERIVED, QUESTIONS, add_defaults, as_answer, as_typed, default
from .spelling import closest
from .text import blank_error, clean, corrected_email, email_error, text_error
from .upstreams import check_upstreams

# For each free text: what is wrong with it, and a similar one that is valid.
TextRule = tuple[Callable[[str], str | None], Callable[[str], str]]
TEXTS: dict[str, TextRule] = {
    "project_name": (blank_error, lambda text: text.strip() or QUESTIONS["project_name"]),
    "project_slug": (slug_error, lambda text: default_slug(text) or "my-service"),
    "package_name": (package_error, lambda text: default_package(text) or "my_service"),
    "description": (lambda _: None, str),
    "author_name": (blank_error, lambda text: text.strip() or QUESTIONS["author_name"]),
    "author_email": (email_error, lambda text: corrected_email(text) or QUESTIONS["author_email"]),
}
# For each list: a similar one that is valid, and what is wrong with its entries.
LISTS: dict[str, Callable[[str], tuple[str, list[EntryError]]]] = {
    "upstreams": check_upstreams,
    "features": check_features,
}


def find_problems(answers: Mapping[str, object]) -> list[Problem]:
    """Return what is wrong with these answers, in the order of the questions."""
    found: list[Problem] = []
    invalid: set[str] = set()
    for field in QUESTIONS:
        if field in answers:
            new = list(_field_problems(field, answers[field]))
            # A problem that only follows from another answer's is not reported.
            if DERIVED.get(field) not in invalid or answers[field] != default(field, answers):
                found += new
            if new:
                invalid.add(field)
    return found + list(_conflicts(answers))


def _field_problems(field: str, answer: object) -> Iterator[Problem]:
    question = QUESTIONS[field]
    if isinstance(question, list):
        if answer not in question:
            good = closest(as_typed(answer), question) or question[0]
            yield _problem(field, f"is not one of {', '.join(question)}", answer, good)
    elif isinstance(question, bool):
        if not isinstance(answer, bool):
            yield _problem(field, "must be true or false", answer, question)
    elif not isinstance(answer, str):
        yield _problem(field, "is not text", answer, corrected_text(field, as_typed(answer)))
    elif field in LISTS:
        corrected, errors = LISTS[field](answer)
        for error in errors:
            suggestion = error.suggestion or LEAVE_OUT
            fixes = {field: corrected}
            yield Problem(field, f"an entry {error.reason}", error.entry, suggestion, fixes)
    elif reason := text_error(answer) or TEXTS[field][0](answer):
        yield _problem(field, reason, answer, corrected_text(field, answer))


def _conflicts(answers: Mapping[str, object]) -> Iterator[Problem]:
    slug = str(answers.get("project_slug"))
    if answers.get("deployment") == "kubernetes" and len(slug) == SLUG_LIMIT:
        reason = f"has more than the {SLUG_LIMIT - 1} characters of a name in Kubernetes"
        yield _problem("project_slug", reason, slug, slug[:-1].rstrip("-"))
    if answers.get("http2") is True and answers.get("http_transport") == "aiohttp":
        reason = "http2=true needs httpcore, because aiohttp speaks HTTP/1.1 only"
        yield _problem("http_transport", reason, "aiohttp", "httpcore")


def _problem(field: str, reason: str, got: object, good: object) -> Problem:
    return Problem(field, reason, got, as_typed(good) or "leaving it empty", {field: good})


def corrected_text(field: str, text: str) -> str:
    """Return a valid answer that keeps as much of this text as possible."""
    text = clean(text)
    return LISTS[field](text)[0] if field in LISTS else TEXTS[field][1](text)


def corrected_answers(answers: Mapping[str, object], problems: list[Problem]) -> dict[str, object]:
    """Return the answers to give again: corrected ones, and others that are not the default."""
    answers = add_defaults(answers)
    given = {name: value for name, value in answers.items() if value != default(name, answers)}
    while problems:
        for problem in problems:
            given |= problem.fixes
        problems = find_problems(add_defaults(given))
    return given


def unknown_options(given: Mapping[str, object]) -> list[Problem]:
    """Return the options that cookiecutter ignores, and those that only the template may set."""
    return [_unknown(name, value) for name, value in given.items() if name not in QUESTIONS]


def _unknown(name: str, value: object) -> Problem:
    reason = "is not a question of this template"
    meant = closest(name, QUESTIONS)
    if meant is None:
        return Problem(name, reason, value, LEAVE_OUT, {})
    answer = as_answer(meant, value)
    for problem in find_problems({meant: answer}):
        answer = problem.fixes[meant]
    return Problem(name, reason, value, f"{meant}={as_typed(answer)}", {meant: answer})
