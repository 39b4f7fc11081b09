"""Filters that write an answer as Python, TOML, YAML or Markdown."""

import re


def escape_python(text: str) -> str:
    """Escape text for the inside of a Python literal with double quotes, in ASCII.

    For the hooks, because importing `json` there doubles their time.
    """
    return text.encode("unicode_escape").decode("ascii").replace('"', r"\"")


def python_string(text: str) -> str:
    """Return the literal in the form that `ruff format` keeps."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    literal = text.replace("\\", "\\\\").replace(quote, f"\\{quote}")
    return quote + "".join(c if c.isprintable() else repr(c)[1:-1] for c in literal) + quote


def toml_string(text: str) -> str:
    """Return a TOML basic string; YAML reads it as the same text."""
    literal = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08X}" for c in literal) + '"'


def markdown_text(text: str) -> str:
    """Escape text for a paragraph, heading or table cell in Markdown."""
    literal = re.sub(r"([\\`*_\[\]<>|~$])", r"\\\1", text.strip())
    literal = re.sub(r"&(?=#?\w+;)", r"\\&", literal)
    # A heading drops `#` characters at its end.
    literal = re.sub(r"#(?=#*$)", r"\\#", literal)
    # At the start of a line these begin a heading, a list, a rule or an underline.
    return re.sub(r"^(\d*)(?=[-+#=.)])", r"\1\\", literal)
