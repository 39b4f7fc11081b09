"""What does this template's generation cost, beside that of an empty template?

Runs the real command with `--no-input`, in turn, with neither git nor uv to be found, so that
making a repository and locking the dependencies do not count. Prints medians and their ratio.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import table

from support.rendering import copy_template

ROUNDS = 15


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        templates = {"an empty template": directory / "empty", "this template": directory / "this"}
        write_an_empty_template(templates["an empty template"])
        copy_template(templates["this template"])
        seconds: dict[str, list[float]] = {title: [] for title in templates}
        for turn in range(ROUNDS + 1):
            for title, template in templates.items():
                taken = generate(template, directory / "home", directory / f"{turn}")
                if turn:  # the first fills the caches
                    seconds[title].append(taken)
            print(f"\r{turn} of {ROUNDS} rounds", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
    medians = {title: statistics.median(taken) for title, taken in seconds.items()}
    rows = ([title, f"{median:.2f} s"] for title, median in medians.items())
    print(table(["generation of", "median"], *rows))
    empty, this = medians.values()
    print(f"\nThis template takes {this / empty:.2f} times as long.")


def write_an_empty_template(template: Path) -> None:
    project = template / "{{cookiecutter.project_slug}}"
    project.mkdir(parents=True)
    (project / "README.md").write_text("# {{ cookiecutter.project_slug }}\n", encoding="utf-8")
    answers = {"project_slug": "empty"}
    (template / "cookiecutter.json").write_text(json.dumps(answers), encoding="utf-8")


def generate(template: Path, home: Path, output: Path) -> float:
    home.mkdir(exist_ok=True)
    command = Path(sys.executable).with_name("cookiecutter")
    started = time.perf_counter()
    subprocess.run(
        [command, template, "--no-input", "--output-dir", output],
        env={**os.environ, "HOME": str(home), "PATH": ""},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=True,  # and no timeout, which would wait in steps of 50 ms
    )
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
