"""What the engine costs beside the training it is there for.

    python -m benchmarks.engine trivial                     # trials a second, beside plain Ray Tune
    python -m benchmarks.engine busy stores/amp             # how much of the time slots train
    python -m benchmarks.engine recover stores/amp          # how soon trials go on after a fault
    python -m benchmarks.engine simulate                    # 10,000 trials on 1,000 slots, without training
    python -m benchmarks.engine compare results.jsonl --store stores/amp    # half an hour of CPU time

How many checkpoints lie on disk is a test: tests/search/test_disk.py.
"""

from argparse import ArgumentParser, RawDescriptionHelpFormatter

from benchmarks.engine import busy, compare, recover, simulate, trivial

PARTS = {"trivial": trivial, "busy": busy, "recover": recover, "simulate": simulate, "compare": compare}


def main() -> None:
    """Run the part that is asked for."""
    parser = ArgumentParser(
        "benchmarks.engine", description=__doc__, formatter_class=RawDescriptionHelpFormatter
    )
    parts = parser.add_subparsers(dest="part", required=True)
    for name, part in PARTS.items():
        part.add_arguments(parts.add_parser(name, help=str(part.__doc__).splitlines()[0]))
    asked = parser.parse_args()
    PARTS[asked.part].run(asked)


if __name__ == "__main__":
    main()
