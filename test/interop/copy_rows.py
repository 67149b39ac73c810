"""Writes all rows of some Delta tables, as delta-rs reads them, to Parquet files.

usage: copy_rows.py TABLES

TABLES is JSON: [{"table": path, "rows": path}].
"""

import json
import os
import sys

import pyarrow.parquet
from deltalake import DeltaTable

for one in json.loads(sys.argv[1]):
    try:
        pyarrow.parquet.write_table(DeltaTable(one["table"]).to_pyarrow_dataset().to_table(), one["rows"])
    except Exception as error:
        sys.exit(f"{one['table']}: {error}")

# The libraries' threads sometimes abort the process while it ends. By now everything is written.
sys.stdout.flush()
os._exit(0)
