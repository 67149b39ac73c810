"""Runs Spark SQL for the process that started it: one JSON request a line on stdin, one JSON answer a line on stdout.

A request is {"sql": statement, "rows": directory or null}; with "rows", the result is written there as Parquet. An
answer is {"rows": [[text]]} or {"error": text}.
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
    "spark.ui.enabled": "false",
    "spark.driver.memory": "1g",
    "spark.sql.warehouse.dir": sys.argv[1],
}
builder = SparkSession.builder.master("local[1]")
for name, value in settings.items():
    builder = builder.config(name, value)
spark = builder.getOrCreate()
spark.sparkContext.setLogLevel("ERROR")

for line in sys.stdin:
    request = json.loads(line)
    try:
        result = spark.sql(request["sql"])
        if request.get("rows"):
            result.coalesce(1).write.parquet(request["rows"])
            answer = {"rows": []}
        else:
            answer = {"rows": [[None if value is None else str(value) for value in row] for row in result.collect()]}
    except Exception as error:
        answer = {"error": str(error)}
    answers.write(json.dumps(answer) + "\n")
