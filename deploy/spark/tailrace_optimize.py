"""
Merges the small files of a table that Tailrace lands in, with the cores of a Spark cluster or of Databricks.

    spark-submit tailrace_optimize.py --table abfss://lakehouse@account.dfs.core.windows.net/cat/schema/pg --take

One engine at a time merges the files of a table: the table property `tailrace.optimizer` names it. `--take` sets it, and
running processes of Tailrace then stop merging, and go on landing. `--release` removes it, and they merge again. Without
either, the job merges only where the property names Spark, or where the table has clustering columns, which Tailrace
leaves to the engine that clusters.
"""

from __future__ import annotations

import argparse
import json
import re
import sys

from pyspark.sql import Row, SparkSession

PROPERTY = "tailrace.optimizer"
OWNER = "spark"
NOT_THE_OWNER = 2


def quoted(table: str) -> str:
    """A path becomes a table of Delta's own; a name of a catalog stays."""
    return f"delta.`{table}`" if "/" in table else table


def detail(spark: SparkSession, table: str) -> Row:
    return spark.sql(f"DESCRIBE DETAIL {table}").first()


def day_column(spark: SparkSession, table: str, partition_columns: list[str]) -> str | None:
    """The partition column of days; `event_date` goes first, as for `tailrace retain`."""
    types = {field.name: field.dataType.simpleString() for field in spark.table(table).schema.fields}
    days = [name for name in partition_columns if types[name] == "date"]
    return "event_date" if "event_date" in days else next(iter(days), None)


def chosen_days(column: str | None, arguments: argparse.Namespace) -> str:
    """A partition of today still grows: each run would rewrite the file that the one before made."""
    if column is None:
        return ""
    conditions = [] if arguments.today else [f"`{column}` < current_date()"]
    if arguments.days is not None:
        conditions.append(f"`{column}` >= date_sub(current_date(), {arguments.days})")
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", required=True, help="path of the table, or its name in the catalog")
    owner = parser.add_mutually_exclusive_group()
    owner.add_argument("--take", action="store_true", help="take over from Tailrace, then merge")
    owner.add_argument("--release", action="store_true", help="hand the table back to Tailrace, and merge nothing")
    parser.add_argument("--days", type=int, help="only so many days before today; default: all")
    parser.add_argument("--today", action="store_true", help="merge today's partition (UTC) too")
    parser.add_argument("--target-mib", type=int, help="size of a merged file in MiB; default: the engine's own")
    arguments = parser.parse_args()

    spark = SparkSession.builder.appName("tailrace_optimize").getOrCreate()
    # Days of the tables are in UTC.
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    table = quoted(arguments.table)
    if arguments.release:
        spark.sql(f"ALTER TABLE {table} UNSET TBLPROPERTIES IF EXISTS ('{PROPERTY}')")
        return 0
    if arguments.take:
        spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ('{PROPERTY}' = '{OWNER}')")
    before = detail(spark, table)
    named = before.properties.get(PROPERTY)
    clustered = bool(getattr(before, "clusteringColumns", None))
    if named != OWNER and not (named is None and clustered):
        print(
            f"Nothing was merged: the files of {arguments.table} are merged by {named or 'tailrace'}. "
            "Run with --take to take over.",
            file=sys.stderr,
        )
        return NOT_THE_OWNER
    if arguments.target_mib is not None:
        target = arguments.target_mib * 1024 * 1024
        spark.conf.set("spark.databricks.delta.optimize.maxFileSize", target)
        # A file of at least half the target stays, so that it is not merged again with each small one.
        spark.conf.set("spark.databricks.delta.optimize.minFileSize", target // 2)
    days = "" if clustered else chosen_days(day_column(spark, table, before.partitionColumns), arguments)
    metrics = spark.sql(f"OPTIMIZE {table}{days}").first().metrics
    after = detail(spark, table)
    print(
        json.dumps(
            {
                "table": arguments.table,
                "clustered": clustered,
                "where": re.sub("^ WHERE ", "", days),
                "filesBefore": before.numFiles,
                "filesRemoved": metrics.numFilesRemoved,
                "filesAdded": metrics.numFilesAdded,
                "filesAfter": after.numFiles,
                "bytesAfter": after.sizeInBytes,
            }
        )
    )
    spark.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
