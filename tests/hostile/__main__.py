"""`python -m tests.hostile`: the campaign of damage. docs/reliability.md describes it."""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.hostile.campaign import run, table
from tests.hostile.targets import all_targets


def main() -> int:
    """Run the campaign; the exit status is 1 where an outcome was not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("targets", nargs="*", help=f"some of: {', '.join(all_targets())}; default: all")
    parser.add_argument("-o", "--output", type=Path, default=Path("hostile"), help="of progress and failures")
    parser.add_argument("--seed", type=int, default=1, help="of all inputs")
    parser.add_argument("--minutes", type=float, default=10.0, help="of all targets together")
    parser.add_argument("--most", type=int, help="inputs of each target")
    parser.add_argument("--examples", type=Path, nargs="*", default=[], help="annotations to be damaged, too")
    parser.add_argument("--kills", type=int, metavar="N", help="kill N runs of annotation instead")
    args = parser.parse_args()
    if args.kills:
        from tests.hostile import kills

        return int(kills.run(args.output / "kills", args.kills, seed=args.seed) > 0)
    names = args.targets or list(all_targets())
    if unknown := set(names) - set(all_targets()):
        parser.error(f"no target {', '.join(sorted(unknown))}")
    progress = run(
        args.output,
        names,
        seed=args.seed,
        seconds=60 * args.minutes,
        most=args.most,
        examples=args.examples,
    )
    print(table(progress))
    return int(any(each.failed for each in progress.values()))


if __name__ == "__main__":
    raise SystemExit(main())
