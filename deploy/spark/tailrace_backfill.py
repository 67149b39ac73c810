"""
Lands a backlog with the cores of a Spark cluster: the driver plans units and commits them, the executors write them.

    spark-submit tailrace_backfill.py --pipeline primary

Each executor runs the command `tailrace`, so it needs Node.js, Tailrace, its config, and access to the logs and to the
tables. Spark may run a unit again, or twice at once: what is committed counts, once.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator

from pyspark.sql import SparkSession

REFUSED = 1


def run_tailrace(command: list[str], arguments: list[str], given: str | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a command of Tailrace, with its log among that of the Spark process."""
    return subprocess.run([*command, *arguments], input=given, stdout=subprocess.PIPE, text=True, check=False)


def checked(result: subprocess.CompletedProcess[str]) -> str:
    if result.returncode != 0:
        raise RuntimeError(f"{shlex.join(result.args)} ended with {result.returncode}; its log says why.")
    return result.stdout


def write_units(command: list[str], options: list[str], units: Iterable[str]) -> Iterator[str]:
    """Writes the units of one partition on an executor, and yields their manifests."""
    for unit in units:
        yield checked(run_tailrace(command, ["write", "--unit", "-", "--manifest", "-", *options], unit))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipeline", help="only this pipeline of the config; default: all")
    parser.add_argument("--config", help="path of the config, on the driver and on every executor")
    parser.add_argument("--unit-mib", type=int, default=256, help="size of a unit in MiB, about")
    parser.add_argument(
        "--command",
        type=shlex.split,
        default=shlex.split(os.environ.get("TAILRACE_COMMAND", "tailrace")),
        help="how Tailrace is started, on the driver and on every executor; default: TAILRACE_COMMAND, or tailrace",
    )
    arguments = parser.parse_args()
    command = arguments.command
    options = [] if arguments.config is None else ["--config", arguments.config]
    chosen = [] if arguments.pipeline is None else ["--pipeline", arguments.pipeline]

    planned = checked(
        run_tailrace(command, ["plan", "--json", "--unit-mib", str(arguments.unit_mib), *chosen, *options])
    )
    units = [json.dumps(unit) for unit in json.loads(planned)["units"]]
    if not units:
        print("Nothing to land.")
        return 0
    spark = SparkSession.builder.appName("tailrace_backfill").getOrCreate()
    # One unit per task, so that a lost executor costs one unit of each of its cores.
    manifests = (
        spark.sparkContext.parallelize(units, len(units))
        .mapPartitions(lambda part: write_units(command, options, part))
        .collect()
    )
    spark.stop()
    with tempfile.TemporaryDirectory() as directory:
        for index, manifest in enumerate(manifests):
            pathlib.Path(directory, f"{index:06}.json").write_text(manifest, encoding="utf-8")
        committed = run_tailrace(command, ["commit", directory, *options])
    print(committed.stdout, end="")
    if committed.returncode == REFUSED:
        print("Some units were refused, because others landed a part of them meanwhile: run again.", file=sys.stderr)
    return committed.returncode


if __name__ == "__main__":
    sys.exit(main())
