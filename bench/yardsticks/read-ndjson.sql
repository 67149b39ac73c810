-- DuckDB's own reader of NDJSON, with the columns named, into Parquet; the lines are not kept.
-- Variables: input, an NDJSON file; output, the Parquet file.
COPY (
  SELECT *
  FROM read_ndjson(
    getvariable('input'),
    columns = {
      'timestamp': 'TIMESTAMPTZ',
      'user': 'VARCHAR',
      'dbname': 'VARCHAR',
      'pid': 'INTEGER',
      'remote_host': 'VARCHAR',
      'remote_port': 'INTEGER',
      'session_id': 'VARCHAR',
      'line_num': 'BIGINT',
      'ps': 'VARCHAR',
      'session_start': 'TIMESTAMPTZ',
      'vxid': 'VARCHAR',
      'txid': 'BIGINT',
      'error_severity': 'VARCHAR',
      'state_code': 'VARCHAR',
      'message': 'VARCHAR',
      'detail': 'VARCHAR',
      'hint': 'VARCHAR',
      'internal_query': 'VARCHAR',
      'internal_position': 'INTEGER',
      'context': 'VARCHAR',
      'statement': 'VARCHAR',
      'cursor_position': 'INTEGER',
      'func_name': 'VARCHAR',
      'file_name': 'VARCHAR',
      'file_line_num': 'INTEGER',
      'application_name': 'VARCHAR',
      'backend_type': 'VARCHAR',
      'leader_pid': 'INTEGER',
      'query_id': 'BIGINT'
    }
  )
) TO (getvariable('output')) (FORMAT parquet, COMPRESSION zstd);
