-- One row per executed statement, with the time of its parse and bind and its plan; sort or filter by duration_ms.
-- The plan is the last one that auto_explain wrote before the statement's own line, while the statement ran.
WITH lines AS (
  SELECT event_time, started_at, source_role, server_name, db_name, user_name, client_addr, application_name, pid,
    session_id, line_num, query_id, txid, phase, is_execution, prepared_name, duration_ms, statement, statement_normalized,
    command, statement_type, parameters, source_offset, NULL AS plan
  FROM statement_timings
  UNION ALL
  SELECT event_time, NULL, source_role, server_name, NULL, NULL, NULL, NULL, pid, session_id, line_num, NULL, NULL, NULL,
    false, NULL, NULL, statement, NULL, NULL, NULL, NULL, source_offset, plan
  FROM plans
  WHERE NOT is_nested
),
preceded AS (
  SELECT *,
    lag(plan) OVER process_lines AS previous_plan,
    lag(statement) OVER process_lines AS previous_statement,
    lag(line_num) OVER process_lines AS previous_line_num,
    lag(event_time) OVER process_lines AS previous_time
  FROM lines
  WINDOW process_lines AS (
    PARTITION BY source_role, server_name, session_id, pid ORDER BY CASE WHEN session_id IS NOT NULL THEN line_num END, event_time, source_offset
  )
),
ordered AS (
  SELECT *,
    -- Numbers the runs of one name that begin with a parse, and those that begin with a bind.
    sum(CASE WHEN phase = 'parse' THEN 1 ELSE 0 END) OVER name_lines AS parse_number,
    sum(CASE WHEN phase = 'bind' THEN 1 ELSE 0 END) OVER name_lines AS bind_number
  FROM preceded
  WHERE plan IS NULL
  WINDOW name_lines AS (
    PARTITION BY source_role, server_name, session_id, pid, prepared_name ORDER BY CASE WHEN session_id IS NOT NULL THEN line_num END, event_time, source_offset
    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
  )
),
measured AS (
  SELECT *,
    CASE WHEN phase LIKE 'execute%' THEN max(CASE WHEN phase = 'parse' THEN duration_ms END)
      OVER (PARTITION BY source_role, server_name, session_id, pid, prepared_name, parse_number) END AS parse_ms,
    CASE WHEN phase LIKE 'execute%' THEN max(CASE WHEN phase = 'bind' THEN duration_ms END)
      OVER (PARTITION BY source_role, server_name, session_id, pid, prepared_name, bind_number) END AS bind_ms
  FROM ordered
)
SELECT event_time, started_at, source_role, server_name, db_name, user_name, client_addr,
  application_name, pid, session_id, line_num, query_id, txid, phase, prepared_name, duration_ms,
  parse_ms, bind_ms, statement, statement_normalized, command, statement_type, parameters,
  -- Another line of the session may stand between the two, and most text logs do not number the lines of a session:
  -- there, the statement of the plan has the same text (that of an EXECUTE is in its parameters). The plan of an earlier
  -- run is older than the start of this one; a time may lack its fraction.
  CASE WHEN line_num IS NOT NULL AND session_id IS NOT NULL AND previous_line_num = line_num - 1 THEN previous_plan
    WHEN (previous_statement = statement OR previous_statement = parameters)
      AND previous_time >= started_at - INTERVAL '1' SECOND THEN previous_plan END AS plan
FROM measured
WHERE is_execution
