"""The code that an owner must maintain stays small."""

import ast
import io
import tokenize
from pathlib import Path

import pytest

from support.rendering import Bake

LAYOUT = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE),
    *(tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER),
}


def code_lines(path: Path) -> int:
    """Count the lines with code, which are neither blank nor only a comment or a docstring."""
    source = path.read_text(encoding="utf-8")
    code = {
        line
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in LAYOUT
        for line in range(token.start[0], token.end[0] + 1)
    }
    documentation = {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for line in range(node.lineno, (node.end_lineno or 0) + 1)
    }
    return len(code - documentation)


@pytest.mark.parametrize(("part", "most"), [("src", 2868), ("tests", 3162)])
def test_the_default_project_is_small(bake: Bake, part: str, most: int) -> None:
    """The default project stays within a number of lines; DECISIONS.md justifies a higher one."""
    lines = {path: code_lines(path) for path in (bake().path / part).rglob("*.py")}

    assert sum(lines.values()) <= most, lines
