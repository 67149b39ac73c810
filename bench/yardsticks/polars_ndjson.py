"""Polars' streaming reader of NDJSON, with the columns named, into Parquet; the lines are not kept.

    POLARS_MAX_THREADS=2 python polars_ndjson.py FILE DIRECTORY
"""

import os
import sys

import polars as pl
from usage import report_peak

SCHEMA = {
    "timestamp": pl.String,
    "user": pl.String,
    "dbname": pl.String,
    "pid": pl.Int32,
    "remote_host": pl.String,
    "remote_port": pl.Int32,
    "session_id": pl.String,
    "line_num": pl.Int64,
    "ps": pl.String,
    "session_start": pl.String,
    "vxid": pl.String,
    "txid": pl.Int64,
    "error_severity": pl.String,
    "state_code": pl.String,
    "message": pl.String,
    "detail": pl.String,
    "hint": pl.String,
    "internal_query": pl.String,
    "internal_position": pl.Int32,
    "context": pl.String,
    "statement": pl.String,
    "cursor_position": pl.Int32,
    "func_name": pl.String,
    "file_name": pl.String,
    "file_line_num": pl.Int32,
    "application_name": pl.String,
    "backend_type": pl.String,
    "leader_pid": pl.Int32,
    "query_id": pl.Int64,
}

if __name__ == "__main__":
    source, directory = sys.argv[1:3]
    instants = [
        pl.col("timestamp").str.to_datetime("%Y-%m-%d %H:%M:%S%.f UTC", time_unit="us", time_zone="UTC"),
        pl.col("session_start").str.to_datetime("%Y-%m-%d %H:%M:%S UTC", time_unit="us", time_zone="UTC"),
    ]
    lines = pl.scan_ndjson(source, schema=SCHEMA).with_columns(instants)
    lines.sink_parquet(os.path.join(directory, "lines.parquet"), compression="zstd")
    report_peak()
