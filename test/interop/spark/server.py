"""Runs Spark SQL for the process that started it: one JSON request a line on stdin, one JSON answer a line on stdout.

A request is {"sql": statement, "rows": directory or null, "files": boolean} or {"forget": true}. With "rows", the
result is written there as Parquet; with "files", the answer says how many data files the statement had to look at. To
forget is to know nothing of any table's log, as after a start. An answer is {"rows": [[text]], "files": count or null}
or {"error": text}.
"""

import json
import os
import sys

# Spark and its launcher print to stdout what is no answer.
answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

from pyspark.sql import SparkSession  # noqa: E402

settings = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.shuffle.partitions": "1",
    "spark.databricks.delta.snapshotPartitions": "1",
    # VACUUM lists a table's folders in so many tasks, 10,000 unless told otherwise: minutes for a table of four files.
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "1",
    "spark.ui.enabled": "false",
    "spark.driver.memory": "1g",
    # A few rows a statement: compiling code for them, twice, takes longer than reading them.
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.sql.warehouse.dir": sys.argv[1],
}
builder = SparkSession.builder.master("local[1]")
for name, value in settings.items():
    builder = builder.config(name, value)
spark = builder.getOrCreate()
spark.sparkContext.setLogLevel("ERROR")


def answer_to(request):
    if request.get("forget"):
        spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
        return {"rows": [], "files": None}
    result = spark.sql(request["sql"])
    if request.get("rows"):
        result.coalesce(1).write.parquet(request["rows"])
        return {"rows": [], "files": None}
    rows = [[None if value is None else str(value) for value in row] for row in result.collect()]
    return {"rows": rows, "files": len(result.inputFiles()) if request.get("files") else None}


for line in sys.stdin:
    try:
        answer = answer_to(json.loads(line))
    except Exception as error:
        answer = {"error": str(error)}
    answers.write(json.dumps(answer) + "\n")
