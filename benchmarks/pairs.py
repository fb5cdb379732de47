"""Two checkouts against each other: a benchmark of both in turn, and the ratios of what it printed.

    python benchmarks/pairs.py OTHER_CHECKOUT [--rounds 5] [--column 1] [--this] steps.py --size 512

Lines of the form "name  number  number ..." are read; the medians of the rounds are compared.  A script that the other
checkout does not have is run from this one, with the other's source; with --this, any.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path
from statistics import median

HERE = Path(__file__).parents[1]
LINE = re.compile(r"(\S.*?)\s{1,}((?:-?\d+\.\d+\s*)+)(?:\s|$)")


def measured(root: Path, path: Path, options: list[str], column: int) -> dict[str, float]:
    """Return the numbers that a script prints for a checkout, by the names before them."""
    command = [sys.executable, str(path), *options]
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        print(done.stdout[-2000:], done.stderr[-3000:], sep="\n", file=sys.stderr)
        raise SystemExit(f"{root}: {path} failed")
    found = {}
    for line in done.stdout.splitlines():
        if match := LINE.match(line):
            numbers = match[2].split()
            if len(numbers) >= column:
                found[match[1]] = float(numbers[column - 1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("other", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--column", type=int, default=1)
    parser.add_argument("--this", action="store_true", help="run this checkout's script with both sources")
    parser.add_argument("script")
    parser.add_argument("options", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    found: dict[str, dict[Path, list[float]]] = {}
    for number in range(args.rounds):
        roots = (args.other, HERE) if number % 2 == 0 else (HERE, args.other)
        for root in roots:
            path = root / "benchmarks" / args.script
            if args.this or not path.is_file():
                path = HERE / "benchmarks" / args.script
            for name, value in measured(root, path, args.options, args.column).items():
                found.setdefault(name, {args.other: [], HERE: []})[root].append(value)
    print(f"{'':30}{'other':>9}{'here':>9}{'here / other':>14}")
    for name, both in found.items():
        if all(both.values()):
            other, here = (median(both[root]) for root in (args.other, HERE))
            print(f"{name:30}{other:9.3f}{here:9.3f}{here / other if other else float('nan'):14.2f}")


if __name__ == "__main__":
    main()
