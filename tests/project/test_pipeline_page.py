"""docs/pipeline.md: the drawing shows the layers of pipeline.py, in their order."""

import ast
import re

from support.rendering import EVERYTHING, NOTHING, Bake, Project
from support.repository import ROOT


def layers(project: Project) -> dict[str, str]:
    """Return the layers in pipeline.py, the outermost first, each with its docstring's summary."""
    package = "src/my_service/http_client"
    module = ast.parse(project.read(f"{package}/pipeline.py"))
    files = {
        name.name: f"{package}/{node.module.replace('.', '/')}.py"
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 1
        for name in node.names
    }
    assigned: dict[str, ast.expr] = {
        ast.unparse(target): node.value
        for node in ast.walk(module)
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    }
    chain = assigned["layers"]
    assert isinstance(chain, ast.List)
    built_by = {  # functions that build a layer, if its settings are there
        node.name: ast.unparse(node.returns).removesuffix(" | None")
        for node in module.body
        if isinstance(node, ast.FunctionDef) and node.returns
    }
    names = []
    for element in chain.elts:
        part = element.body if isinstance(element, ast.IfExp) else element
        part = assigned.get(ast.unparse(part), part)
        part = part.body if isinstance(part, ast.IfExp) else part
        assert isinstance(part, ast.Call)
        name = ast.unparse(part.func)
        names.append(built_by.get(name, name))
    return {name: summary(project.read(files[name]), name) for name in names}


def summary(source: str, name: str) -> str:
    (node,) = (
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef) and node.name == name
    )
    text = ast.get_docstring(node)
    assert text is not None
    return re.split(r"[.;:](?:\s|$)", " ".join(text.split()))[0].replace("`", "")


def drawing(every: dict[str, str], always: dict[str, str]) -> str:
    """Return the layers as a Mermaid flowchart; those of features have a dashed border."""
    nodes = [f'    {name}["<b>{name}</b><br>{text}"]\n' for name, text in every.items()]
    chosen = [name for name in every if name not in always]
    return "".join(
        [
            "flowchart TD\n",
            '    handler(["a handler"])\n',
            *nodes,
            '    upstream(["the upstream"])\n',
            f"    {' --> '.join(['handler', *every, 'upstream'])}\n",
            "    classDef feature stroke-dasharray: 5 5\n",
            f"    class {','.join(chosen)} feature\n",
        ]
    )


def test_the_drawing_shows_the_pipeline(bake: Bake) -> None:
    """The page's drawing has each layer of a project with every feature."""
    (drawn,) = re.findall(
        r"```mermaid\n(.*?)```", (ROOT / "docs/pipeline.md").read_text(encoding="utf-8"), re.DOTALL
    )

    assert drawn == drawing(layers(bake(**EVERYTHING)), layers(bake(**NOTHING)))
