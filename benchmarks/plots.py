"""Draws the results as SVG, in colours that are legible on white and on black.

Each line has its name at its end, so that nobody has to compare colours with a legend.
"""

import itertools
from typing import Any

import matplotlib as mpl
from machine import RESULTS

mpl.use("svg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

# Its contrast is over 4 against white and against the near black of dark themes.
GREY = "#7d8590"
COLOURS = ("#7d8590", "#bf8700", "#8957e5", "#1f9d8f", "#d1477a", "#2f81f7", "#e5534b")

mpl.rcParams.update(
    {
        "svg.fonttype": "none",
        "svg.hashsalt": "results",  # the same figures give the same file
        "font.family": "sans-serif",
        "font.size": 11,
        "text.color": GREY,
        "axes.edgecolor": GREY,
        "axes.labelcolor": GREY,
        "axes.titlecolor": GREY,
        "xtick.color": GREY,
        "ytick.color": GREY,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
        "lines.marker": "o",
        "lines.linewidth": 2,
        "savefig.transparent": True,
    }
)


def throughput_plot(cells: list[dict[str, Any]], output: str) -> None:
    """Plot requests per second and p99 against the number of callers."""
    figure, (rate, tail) = plt.subplots(1, 2, figsize=(13, 5))
    # The lines of httpx2 would cover those of httpx, and /external's those of the handler.
    names = dict.fromkeys(
        name
        for cell in cells
        if not (name := cell["contender"]).startswith(("generated: httpx2", "generated: /"))
    )
    for name, colour in zip(names, itertools.cycle(COLOURS)):
        own = [cell for cell in cells if cell["contender"] == name]
        solid = name.startswith("generated")
        style = {
            "label": name.removeprefix("one shared "),
            "color": colour,
            "linestyle": "-" if solid else ":",
            "linewidth": 3 if solid else 1.5,
        }
        callers = [cell["callers"] for cell in own]
        rate.plot(callers, [cell["per_s"] for cell in own], **style)
        tail.plot(callers, [cell["p99_us"] / 1000 for cell in own], **style)
    rate.set_title("requests per second")
    tail.set_title("p99, in ms")
    for axes in (rate, tail):
        axes.set_xscale("log", base=4)
        axes.set_xticks(callers, [str(number) for number in callers])
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("concurrent callers")
    finish(figure, f"{output}-small")


def overload_plot(rows: list[dict[str, Any]], capacity_per_s: int, output: str) -> None:
    """Plot goodput against the offered load."""
    figure, axes = plt.subplots(figsize=(9, 4.5))
    for name, colour in (("plain shared client", COLOURS[1]), ("generated service", COLOURS[5])):
        own = [row for row in rows if row["contender"] == name]
        loads, goodputs = [row["load"] for row in own], [row["goodput_per_s"] for row in own]
        axes.plot(loads, goodputs, label=name, color=colour)
    loads = sorted({row["load"] for row in rows})
    capacity = [capacity_per_s] * len(loads)
    (limit,) = axes.plot(loads, capacity, label="the upstream's capacity", color=GREY, marker="")
    limit.set_linestyle(":")
    axes.set_xlabel("offered calls, as a multiple of the upstream's capacity")
    axes.set_ylabel("successes within 2 s, per second")
    axes.set_ylim(0, capacity_per_s * 1.15)
    finish(figure, output)


def finish(figure: Any, name: str) -> None:
    figure.tight_layout(w_pad=20, rect=(0, 0, 0.82, 1))  # leaves room for the names
    for axes in figure.axes:
        name_lines(axes)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.svg"
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("".join(f"{line.rstrip()}\n" for line in lines), encoding="utf-8")


def name_lines(axes: Axes) -> None:
    """Write each line's name at its end, no two closer than a line of text."""
    height = 16 * axes.figure.dpi / 72  # in pixels
    above = float("-inf")
    every: list[Any] = axes.get_lines()
    lines = [line for line in every if len(line.get_xydata())]
    ends = [axes.transData.transform(line.get_xydata()[-1])[1] for line in lines]
    for end, line in sorted(zip(ends, lines, strict=True), key=lambda each: float(each[0])):
        above = max(end, above + height)
        axes.annotate(
            line.get_label(),
            line.get_xydata()[-1],
            xytext=(10, (above - end) * 72 / axes.figure.dpi),
            textcoords="offset points",
            verticalalignment="center",
            color=line.get_color(),
        )
