"""Draws the results as SVG, in colours that are legible on white and on black."""

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
    figure, (rate, tail) = plt.subplots(1, 2, figsize=(11, 5))
    # The lines of httpx2 would cover those of httpx.
    names = dict.fromkeys(
        cell["contender"] for cell in cells if not cell["contender"].startswith("generated: httpx2")
    )
    for name, colour in zip(names, itertools.cycle(COLOURS)):
        own = [cell for cell in cells if cell["contender"] == name]
        solid = name.startswith("generated")
        style = {
            "color": colour,
            "linestyle": "-" if solid else ":",
            "linewidth": 3 if solid else 1.5,
        }
        callers = [cell["callers"] for cell in own]
        rate.plot(callers, [cell["per_s"] for cell in own], label=name, **style)
        tail.plot(callers, [cell["p99_us"] / 1000 for cell in own], **style)
    rate.set_ylabel("requests per second")
    tail.set_ylabel("p99, in ms")
    for axes in (rate, tail):
        axes.set_xscale("log", base=4)
        axes.set_xticks(callers, [str(number) for number in callers])
        axes.set_yscale("log")
        axes.set_xlabel("concurrent callers")
    finish(figure, rate, f"{output}-small")


def overload_plot(rows: list[dict[str, Any]], capacity_per_s: int, output: str) -> None:
    """Plot goodput against the offered load."""
    figure, axes = plt.subplots(figsize=(7, 4.5))
    for name, colour in (("plain shared client", COLOURS[1]), ("generated service", COLOURS[5])):
        own = [row for row in rows if row["contender"] == name]
        loads, goodputs = [row["load"] for row in own], [row["goodput_per_s"] for row in own]
        axes.plot(loads, goodputs, label=name, color=colour)
    axes.axhline(
        capacity_per_s, color=GREY, linestyle=":", marker="", label="the upstream's capacity"
    )
    axes.set_xlabel("offered calls, as a multiple of the upstream's capacity")
    axes.set_ylabel("successes within 2 s, per second")
    axes.set_ylim(bottom=0)
    finish(figure, axes, output)


def finish(figure: Any, legend_of: Axes, name: str) -> None:
    handles, labels = legend_of.get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=3)
    figure.tight_layout(rect=(0, 0.04 + 0.05 * -(-len(labels) // 3), 1, 1))
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.svg"
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("".join(f"{line.rstrip()}\n" for line in lines), encoding="utf-8")
