"""What the engine costs beside the training it is there for.

python -m benchmarks.engine compare results.jsonl --store stores/amp    # half an hour of CPU time
"""

from argparse import ArgumentParser, RawDescriptionHelpFormatter

from benchmarks.engine import compare, simulate, trivial

PARTS = {"trivial": trivial, "simulate": simulate, "compare": compare}


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
