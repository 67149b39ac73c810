"""Spark reads NDJSON with a schema and appends it to a Delta table, as a job with Auto Loader does; the lines are not
kept.

    python spark_json.py FILE DIRECTORY [--warm]

With --warm, a first load into another table comes before, and what is printed is of the second load alone:
{"wallSeconds", "cpuSeconds"}. The table is DIRECTORY/table.
"""

import json
import os
import resource
import sys
import time

from pyspark.sql import SparkSession
from usage import report_peak

SCHEMA = """
timestamp TIMESTAMP, user STRING, dbname STRING, pid INT, remote_host STRING, remote_port INT, session_id STRING,
line_num BIGINT, ps STRING, session_start TIMESTAMP, vxid STRING, txid BIGINT, error_severity STRING,
state_code STRING, message STRING, detail STRING, hint STRING, internal_query STRING, internal_position INT,
context STRING, statement STRING, cursor_position INT, func_name STRING, file_name STRING, file_line_num INT,
application_name STRING, backend_type STRING, leader_pid INT, query_id BIGINT
"""

SETTINGS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.compression.codec": "zstd",
    # As few tasks as there are cores: the defaults are for clusters, and cost a small one seconds.
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.driver.memory": "2g",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.log.level": "ERROR",
}


def load(spark, source, table):
    lines = spark.read.schema(SCHEMA).option("timestampFormat", "yyyy-MM-dd HH:mm:ss[.SSS] z").json(source)
    lines.write.format("delta").mode("append").save(table)


def cpu_seconds(java):
    """Of this process and of the JVM."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    with open(f"/proc/{java}/stat") as stat:
        user, system = stat.read().rpartition(")")[2].split()[11:13]
    ticks = os.sysconf("SC_CLK_TCK")
    return own.ru_utime + own.ru_stime + (int(user) + int(system)) / ticks


def run(source, directory, is_warm):
    builder = SparkSession.builder.master("local[2]")
    for name, value in SETTINGS.items():
        builder = builder.config(name, value)
    builder = builder.config("spark.sql.warehouse.dir", os.path.join(directory, "warehouse"))
    spark = builder.getOrCreate()
    gateway = spark.sparkContext._gateway
    java = gateway.proc.pid
    if is_warm:
        load(spark, source, os.path.join(directory, "before"))
    started_at, cpu_before = time.monotonic(), cpu_seconds(java) if is_warm else 0
    load(spark, source, os.path.join(directory, "table"))
    if is_warm:
        warm = {"wallSeconds": time.monotonic() - started_at, "cpuSeconds": cpu_seconds(java) - cpu_before}
        print(json.dumps(warm))
    report_peak(java)
    spark.stop()
    gateway.shutdown()
    # The JVM ends when its stdin does; waited for, its CPU counts among this process's children.
    gateway.proc.stdin.close()
    gateway.proc.wait()


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2], "--warm" in sys.argv[3:])
