"""Changes a Delta table with delta-rs: change_table.py TABLE STEP...

A step is append, compact, checkpoint or add-column, which adds "their_note" with a row that has a value in it.

An append repeats the newest live file's rows under the blob "logs/delta-rs", with offsets 0, 1, 2, ...
"""

import os
import sys

import pyarrow
import pyarrow.compute
from deltalake import CommitProperties, DeltaTable, write_deltalake

table_path, *steps = sys.argv[1:]
appended = 0
# A writer that commits every few milliseconds would starve the default of 15.
patient = CommitProperties(max_commit_retries=10_000)

for step in steps:
    table = DeltaTable(table_path)
    if step in ("append", "add-column"):
        rows = table.to_pyarrow_dataset().head(1)
        columns = {name: rows.column(name) for name in rows.column_names}
        columns["source_blob"] = pyarrow.array(["logs/delta-rs"])
        columns["source_offset"] = pyarrow.array([appended], pyarrow.int64())
        schema_mode = None
        if step == "add-column":
            columns["their_note"] = pyarrow.array(["noted"])
            schema_mode = "merge"
        write_deltalake(
            table_path,
            pyarrow.table(columns),
            mode="append",
            schema_mode=schema_mode,
            commit_properties=patient,
        )
        appended += 1
    elif step == "compact":
        table.optimize.compact()
    elif step == "checkpoint":
        table.create_checkpoint()
    else:
        sys.exit(f"unknown step {step}")

# The libraries' threads sometimes abort the process while it ends. By now everything is written.
sys.stdout.flush()
os._exit(0)
