-- One row per timed phase of a statement: its text, parameters and milliseconds, from the lines of
-- log_min_duration_statement, log_duration and log_statement. Only rows with is_execution are calls; the phases parse
-- and bind are parts of the cost of a call. Statements that failed have no duration: see the view errors.
WITH timed AS (
  SELECT event_time, source_role, server_name, db_name, user_name, client_addr, application_name, pid, session_id,
    line_num, source_blob, source_offset, query_id, txid, message, detail, duration_ms,
    CASE WHEN message LIKE 'duration: %' THEN statement
      ELSE regexp_extract(message, '^(?:statement|execute .*?): ((?s:.*))', 1) END AS statement_text
  FROM log_records
  WHERE severity = 'LOG'
    AND (message LIKE 'duration: %' OR message LIKE 'statement: %' OR message LIKE 'execute %: %')
    AND plan IS NULL AND NOT (record_kind IS NULL AND message LIKE 'duration: % ms  plan:%')
),
phases AS (
  SELECT *,
    CASE WHEN message LIKE 'duration: %' THEN regexp_extract(message, '^duration: [0-9.]+ ms  (statement|parse|bind|execute fetch from|execute|fastpath)', 1)
      WHEN message LIKE 'statement: %' THEN 'statement' ELSE 'execute' END AS phase_words
  FROM timed
),
-- With log_statement, one line has the text and a later one of the session the duration alone: together one statement.
parted AS (
  SELECT *,
    CASE WHEN message LIKE 'duration: %' THEN CASE WHEN phase_words = '' THEN 'duration' ELSE 'whole' END ELSE 'text' END AS part
  FROM phases
),
loose AS (
  SELECT *,
    lag(part) OVER session_lines AS previous_part,
    lag(statement_text) OVER session_lines AS previous_text,
    lag(phase_words) OVER session_lines AS previous_words,
    lag(message) OVER session_lines AS previous_message,
    lag(detail) OVER session_lines AS previous_detail,
    lead(part) OVER session_lines AS next_part
  FROM parted
  WHERE part <> 'whole'
  WINDOW session_lines AS (PARTITION BY source_role, server_name, session_id, pid ORDER BY CASE WHEN session_id IS NOT NULL THEN line_num END, event_time, source_offset)
),
joined AS (
  SELECT event_time, source_role, server_name, db_name, user_name, client_addr, application_name, pid, session_id,
    line_num, source_blob, source_offset, query_id, txid, phase_words, duration_ms, statement_text, message AS named_by, detail AS parameters_text,
    'same line' AS text_from
  FROM parted
  WHERE part = 'whole'
  UNION ALL
  SELECT event_time, source_role, server_name, db_name, user_name, client_addr, application_name, pid, session_id,
    line_num, source_blob, source_offset, query_id, txid,
    CASE WHEN part = 'text' THEN phase_words WHEN previous_part = 'text' THEN previous_words END,
    duration_ms,
    CASE WHEN part = 'text' THEN statement_text WHEN previous_part = 'text' THEN previous_text END,
    CASE WHEN part = 'text' THEN message WHEN previous_part = 'text' THEN previous_message END,
    CASE WHEN part = 'text' THEN detail WHEN previous_part = 'text' THEN previous_detail END,
    CASE WHEN part = 'text' THEN 'same line' WHEN previous_part = 'text' THEN 'earlier line' END
  FROM loose
  WHERE NOT (part = 'text' AND coalesce(next_part, '') = 'duration')
),
named AS (
  SELECT event_time, event_time - INTERVAL '1' SECOND * (coalesce(duration_ms, 0) / 1000) AS started_at,
    source_role, server_name, db_name, user_name, client_addr, application_name, pid, session_id, line_num, source_blob,
    source_offset, query_id, txid,
    CASE phase_words WHEN 'execute fetch from' THEN 'execute fetch' WHEN '' THEN NULL ELSE phase_words END AS phase,
    nullif(regexp_extract(named_by, '^(?:duration: [0-9.]+ ms  )?(?:parse|bind|execute fetch from|execute) (.*?): ', 1), '') AS prepared_name,
    duration_ms, nullif(statement_text, '') AS statement,
    nullif(regexp_extract(parameters_text, '^(?:[pP]arameters|prepare): ((?s:.*))', 1), '') AS parameters,
    text_from
  FROM joined
),
normalized AS (
  SELECT *, normalize_sql(statement) AS statement_normalized
  FROM named
)
SELECT event_time, started_at, source_role, server_name, db_name, user_name, client_addr, application_name, pid,
  session_id, line_num, query_id, txid, phase,
  coalesce(phase, '') NOT IN ('parse', 'bind') AS is_execution,
  prepared_name, duration_ms, statement, statement_normalized,
  nullif(regexp_extract(statement_normalized, '^[a-z]+', 0), '') AS command,
  CASE regexp_extract(statement_normalized, '^[a-z]+', 0)
    WHEN 'select' THEN 'select' WHEN 'insert' THEN 'insert' WHEN 'update' THEN 'update' WHEN 'delete' THEN 'delete'
    WHEN 'merge' THEN 'merge' WHEN 'with' THEN 'cte'
    WHEN 'copy' THEN CASE WHEN regexp_extract(statement_normalized, '^copy (?:[(].*[)]|[^ (]+(?: ?[(][^)]*[)])?) to ', 0) <> ''
      THEN 'copy to' ELSE 'copy from' END
    WHEN 'create' THEN 'ddl' WHEN 'drop' THEN 'ddl' WHEN 'alter' THEN 'ddl' WHEN 'truncate' THEN 'ddl'
    WHEN 'begin' THEN 'tcl' WHEN 'commit' THEN 'tcl' WHEN 'rollback' THEN 'tcl' WHEN 'start' THEN 'tcl'
    WHEN 'end' THEN 'tcl' WHEN 'savepoint' THEN 'tcl'
    WHEN 'declare' THEN 'cursor' WHEN 'close' THEN 'cursor' WHEN 'fetch' THEN 'cursor' WHEN 'move' THEN 'cursor'
    ELSE 'others' END AS statement_type,
  parameters, text_from, source_blob, source_offset
FROM normalized
