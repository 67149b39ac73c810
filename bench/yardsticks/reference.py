"""The reference design: ranges of the blob, a buffer for the line that is cut, json.loads per line, one table
per 64 MiB appended to Delta, and a JSON file with the offset after each.

    CONNECTION_STRING=... python reference.py CONTAINER BLOB DIRECTORY

It prints the rows it wrote as JSON.
"""

import json
import os
import re
import sys
from datetime import datetime, timezone

import pyarrow as pa
from azure.storage.blob import BlobClient
from deltalake import write_deltalake
from usage import report_peak

RANGE_BYTES = 4 * 1024 * 1024
BATCH_BYTES = 64 * 1024 * 1024

TIMESTAMP = pa.timestamp("us", tz="UTC")
TYPES = {
    "event_time": TIMESTAMP,
    "severity": pa.string(),
    "server_name": pa.string(),
    "source_role": pa.string(),
    "db_name": pa.string(),
    "user_name": pa.string(),
    "client_addr": pa.string(),
    "application_name": pa.string(),
    "sqlstate": pa.string(),
    "backend_type": pa.string(),
    "pid": pa.int32(),
    "session_id": pa.string(),
    "query_id": pa.int64(),
    "command_tag": pa.string(),
    "duration_ms": pa.float64(),
    "txid": pa.int64(),
    "line_num": pa.int64(),
    "session_start": TIMESTAMP,
    "client_port": pa.int32(),
    "source_blob": pa.string(),
    "source_generation": pa.string(),
    "source_offset": pa.int64(),
    "source_length": pa.int64(),
    "parse_status": pa.string(),
    "ingest_ts": TIMESTAMP,
    "parse_error": pa.string(),
    "message": pa.string(),
    "detail": pa.string(),
    "hint": pa.string(),
    "context": pa.string(),
    "statement": pa.string(),
    "raw": pa.string(),
    "event_date": pa.date32(),
}
SCHEMA = pa.schema(list(TYPES.items()))

DURATION = re.compile(r"duration: ([0-9.]+) ms(?:  (.*))?", re.DOTALL)
STATEMENT = re.compile(r"(?:statement|(?:execute|bind|parse) [^:]*): (.*)", re.DOTALL)


def instant(text):
    """2026-11-24 09:09:31.946 UTC"""
    if text is None:
        return None
    if not text.endswith(" UTC"):
        raise ValueError(f"not in UTC: {text}")
    return datetime.fromisoformat(text[:-4]).replace(tzinfo=timezone.utc)


class Batch:
    """Rows as tuples in the order of TYPES."""

    def __init__(self, blob, generation):
        self.blob = blob
        self.generation = generation
        self.rows = []
        self.bytes = 0
        self.ingest_ts = datetime.now(timezone.utc)

    def add(self, line, offset):
        text = line.decode("utf-8", "replace")
        place = (self.blob, self.generation, offset, len(line) + 1)
        try:
            row = project(json.loads(text), text, place, self.ingest_ts)
        except (ValueError, TypeError, AttributeError) as error:
            row = rejected(str(error), text, place, self.ingest_ts)
        self.rows.append(row)
        self.bytes += len(line) + 1

    def table(self):
        return pa.table(dict(zip(TYPES, map(list, zip(*self.rows)))), schema=SCHEMA)


def project(record, text, place, ingest_ts):
    get = record.get
    event_time = instant(get("timestamp"))
    message = get("message")
    duration = None
    statement = get("statement")
    if message is not None:
        rest = message
        timed = DURATION.match(message)
        if timed is not None:
            duration = float(timed[1])
            rest = timed[2]
        if statement is None and rest is not None:
            found = STATEMENT.match(rest)
            if found is not None:
                statement = found[1]
    return (
        event_time,
        get("error_severity"),
        None,
        "primary",
        get("dbname"),
        get("user"),
        get("remote_host"),
        get("application_name"),
        get("state_code", "00000"),
        get("backend_type"),
        get("pid"),
        get("session_id"),
        get("query_id") or None,
        get("ps"),
        duration,
        get("txid") or None,
        get("line_num"),
        instant(get("session_start")),
        get("remote_port"),
        *place,
        "ok",
        ingest_ts,
        None,
        message,
        get("detail"),
        get("hint"),
        get("context"),
        statement,
        text,
        event_time.date() if event_time is not None else None,
    )


def rejected(reason, text, place, ingest_ts):
    values = dict(zip(("source_blob", "source_generation", "source_offset", "source_length"), place))
    values.update(parse_status="rejected", parse_error=reason, ingest_ts=ingest_ts, raw=text)
    return tuple(values.get(name) for name in TYPES)


def write_offset(path, blob, generation, offset):
    temporary = f"{path}.tmp"
    with open(temporary, "w") as file:
        json.dump({"blob": blob, "generation": generation, "offset": offset}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def run(connection_string, container, blob, directory):
    client = BlobClient.from_connection_string(connection_string, container, blob)
    properties = client.get_blob_properties()
    size = properties.size
    generation = properties.creation_time.strftime("%Y%m%dT%H%M%SZ")
    name = f"{container}/{blob}"
    table = os.path.join(directory, "table")
    offset_path = os.path.join(directory, "offset.json")
    rows = 0

    def flush(batch, next_offset):
        nonlocal rows
        data = batch.table()
        write_deltalake(table, data, mode="append", partition_by=["event_date"])
        write_offset(offset_path, name, generation, next_offset)
        rows += data.num_rows

    batch = Batch(name, generation)
    offset = 0  # of the first byte that was not read yet
    rest = b""  # the line that is cut
    while offset < size:
        length = min(RANGE_BYTES, size - offset)
        data = client.download_blob(offset=offset, length=length).readall()
        line_start = offset - len(rest)
        offset += len(data)
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            if line.strip():
                batch.add(line, line_start)
            line_start += len(line) + 1
        if batch.bytes >= BATCH_BYTES:
            flush(batch, line_start)
            batch = Batch(name, generation)
    if batch.bytes > 0:
        flush(batch, offset - len(rest))
    return rows


if __name__ == "__main__":
    os.makedirs(sys.argv[3], exist_ok=True)
    print(json.dumps({"rows": run(os.environ["CONNECTION_STRING"], *sys.argv[1:4])}))
    report_peak()
