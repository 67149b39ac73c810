"""Opens a Delta table with delta-rs and says what it sees, as one line of JSON on stdout.

usage: read_table.py REQUEST

REQUEST is JSON: {"table": path, "rows": path or null, "applications": [id], "filters": [[column, operator, literal]]}.
All rows are written to the Parquet file "rows". A literal is SQL text; each filter is run by DataFusion, which
prunes files by statistics, and by PyArrow over the files that delta-rs has not ruled out.
"""

import json
import operator
import os
import sys
from datetime import date, datetime, timezone

import pyarrow.dataset
import pyarrow.parquet
from deltalake import DeltaTable, QueryBuilder

COMPARISONS = {"=": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def value_of(literal, column_type):
    """The Python value of a plain text literal, by the column's Arrow type."""
    name = str(column_type)
    if name.startswith("timestamp"):
        return datetime.fromisoformat(literal).astimezone(timezone.utc)
    if name.startswith("date"):
        return date.fromisoformat(literal)
    if name.startswith("int"):
        return int(literal)
    if name.startswith("double"):
        return float(literal)
    return literal


def sql_of(literal, column_type):
    name = str(column_type)
    if name.startswith("int") or name.startswith("double"):
        return literal
    text = "'" + literal.replace("'", "''") + "'"
    if name.startswith("timestamp"):
        return f"arrow_cast({text}, 'Timestamp(Microsecond, Some(\"UTC\"))')"
    return f"date {text}" if name.startswith("date") else text


def main():
    request = json.loads(sys.argv[1])
    table = DeltaTable(request["table"])
    dataset = table.to_pyarrow_dataset()
    if request.get("rows"):
        pyarrow.parquet.write_table(dataset.to_table(), request["rows"])

    engine = QueryBuilder().register("t", table)
    filters = []
    for column, comparison, literal in request.get("filters", []):
        column_type = dataset.schema.field(column).type
        expression = COMPARISONS[comparison](pyarrow.dataset.field(column), value_of(literal, column_type))
        sql = f'SELECT count(*) AS n FROM t WHERE "{column}" {comparison} {sql_of(literal, column_type)}'
        counted = pyarrow.table(engine.execute(sql).read_all())
        filters.append(
            {
                "files": len(list(dataset.get_fragments(filter=expression))),
                "rows": dataset.count_rows(filter=expression),
                "queried_rows": counted.column("n")[0].as_py(),
            }
        )

    print(
        json.dumps(
            {
                "version": table.version(),
                "protocol": [table.protocol().min_reader_version, table.protocol().min_writer_version],
                "columns": {field.name: field.type.type for field in table.schema().fields},
                "comments": {field.name: field.metadata.get("comment") for field in table.schema().fields},
                "files": len(table.file_uris()),
                "offsets": {name: table.transaction_version(name) for name in request.get("applications", [])},
                "filters": filters,
            }
        )
    )


main()

# The libraries' threads sometimes abort the process while it ends. By now everything is written.
sys.stdout.flush()
os._exit(0)
