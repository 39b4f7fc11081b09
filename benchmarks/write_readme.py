"""Write the README from the kept results."""

import sys
from pathlib import Path

import layers
import overload
import soak
import startup
import throughput
from machine import saved

README = Path(__file__).with_name("README.md")
PARTS = {
    "Throughput": throughput,
    "Layers": layers,
    "Start": startup,
    "Overload": overload,
    "Soak": soak,
}
PLOTS = {
    "Throughput": "![Requests per second and p99, by callers](results/throughput-small.svg)\n\n",
    "Overload": "![Goodput, by offered load](results/overload.svg)\n\n",
}


def text() -> str:
    parts = [
        "# Benchmarks\n\n`make bench` measures all of this and writes this page. "
        "Figures of different machines differ; the ratios are what to compare."
    ]
    for title, module in PARTS.items():
        results = saved(module.__name__)
        assert module.__doc__ is not None
        about = module.__doc__.strip()
        figures = module.report(results)
        parts.append(f"## {title}\n\n{about}\n\n{PLOTS.get(title, '')}{figures}")
    machines = {module.__name__: saved(module.__name__)["machine"] for module in PARTS.values()}
    if any(machine != machines["throughput"] for machine in machines.values()):
        sys.exit("The results are of different machines or versions: run `make bench`.")
    lines = "\n".join(f"- {name}: {what}" for name, what in machines["throughput"].items())
    return "\n\n".join([*parts, f"## The machine\n\n{lines}\n"])


if __name__ == "__main__":
    README.write_text(text(), encoding="utf-8")
    print(f"Written: {README}", file=sys.stderr)
