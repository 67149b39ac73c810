"""Creates a Delta table with delta-rs from another one's rows: create_table.py SOURCE TARGET.

Four commits, partitioned by event_date, with a property of its own and a checkpoint before the last commit.
"""

import os
import sys

from deltalake import DeltaTable, write_deltalake

source, target = sys.argv[1:]
rows = DeltaTable(source).to_pyarrow_dataset().to_table().sort_by("source_offset")
part = max(1, len(rows) // 4)
for index in range(4):
    if index == 3:
        DeltaTable(target).create_checkpoint()
    write_deltalake(
        target,
        rows.slice(index * part, part if index < 3 else None),
        mode="append",
        partition_by=["event_date"],
        configuration={"delta.appendOnly": "true"} if index == 0 else None,
    )

# The libraries' threads sometimes abort the process while it ends. By now everything is written.
sys.stdout.flush()
os._exit(0)
