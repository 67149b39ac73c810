import {
  nearSession,
  only,
  onlyServer,
  type SectionDefinition,
  serverColumn,
  serverSql,
} from '../section-definition.ts'

export const auditSection: SectionDefinition = {
  id: 'audit',
  title: 'Audit',
  notes: ['Needs the extension pgaudit.'],
  figures: [
    {
      from: '@audit_log',
      figures: [{ id: 'audited', label: 'Audit records', unit: 'count', value: 'count(*)' }],
    },
  ],
  charts: [
    {
      id: 'audit',
      title: 'Audit records by class',
      unit: 'count',
      kind: 'bars',
      from: '@audit_log',
      at: 'event_time',
      value: 'count(*)',
      series: "coalesce(audit_class, 'none')",
    },
  ],
  tables: [
    {
      id: 'by_command',
      title: 'By class, command and user',
      columns: [
        serverColumn,
        { id: 'audit_class', label: 'Class', unit: 'text' },
        { id: 'command', label: 'Command', unit: 'text' },
        { id: 'user', label: 'User', unit: 'text' },
        { id: 'count', label: 'Records', unit: 'count' },
        { id: 'last_at', label: 'Last', unit: 'instant' },
      ],
      sql: `SELECT ${serverSql} AS server, audit_class, command, user_name AS "user", count(*) AS count,
        epoch_ms(max(event_time)) AS last_at FROM @audit_log GROUP BY 1, 2, 3, 4`,
      order: 'count DESC, command, "user", server',
      maxRows: 50,
      records: ({ server, user }) => ({ server: onlyServer(server), user: only(user), event: ['audit'] }),
    },
  ],
}

export const replicationSection: SectionDefinition = {
  id: 'replication',
  title: 'Replication',
  notes: ['Commands need log_replication_commands, conflicts of a standby log_recovery_conflict_waits.'],
  figures: [
    {
      from: '@replication_events',
      figures: [
        { id: 'replication_events', label: 'Events', unit: 'count', value: 'count(*)' },
        {
          id: 'replication_commands',
          label: 'Commands',
          unit: 'count',
          value: "count(*) FILTER (WHERE kind = 'command')",
        },
        {
          id: 'replication_errors',
          label: 'Errors',
          unit: 'count',
          value: "count(*) FILTER (WHERE kind = 'error')",
        },
      ],
    },
    {
      from: '(FROM @recovery_conflicts WHERE is_end) AS ended',
      figures: [
        { id: 'conflicts', label: 'Recovery conflicts', unit: 'count', value: 'count(*)' },
        { id: 'conflict_ms', label: 'Replay waited', unit: 'ms', value: 'sum(waited_ms)' },
      ],
    },
  ],
  charts: [
    {
      id: 'replication',
      title: 'Events of replication',
      unit: 'count',
      kind: 'bars',
      from: '@replication_events',
      at: 'event_time',
      value: 'count(*)',
      series: 'kind',
    },
  ],
  tables: [
    {
      id: 'replication',
      title: 'Latest events',
      columns: [
        serverColumn,
        { id: 'at_ms', label: 'At', unit: 'instant' },
        { id: 'kind', label: 'Event', unit: 'text' },
        { id: 'slot', label: 'Slot', unit: 'text' },
        { id: 'lsn', label: 'LSN', unit: 'text' },
        { id: 'message', label: 'Message', unit: 'text' },
      ],
      sql: `SELECT ${serverSql} AS server, epoch_ms(event_time) AS at_ms, kind, slot, lsn, substr(message, 1, 1000) AS message,
        session_id AS session FROM @replication_events`,
      order: 'at_ms DESC, session, message',
      maxRows: 40,
      records: nearSession,
    },
  ],
}

export const changesSection: SectionDefinition = {
  id: 'changes',
  title: 'Changes and restarts',
  notes: ['One crash is one event, however many processes were ended with it.'],
  figures: [
    {
      from: '@changes',
      figures: [
        {
          id: 'parameter_changes',
          label: 'Changed settings',
          unit: 'count',
          value: "count(*) FILTER (WHERE kind = 'parameter')",
        },
        {
          id: 'starts',
          label: 'Starts',
          unit: 'count',
          value: "count(*) FILTER (WHERE event = 'starting')",
        },
        {
          id: 'crashes',
          label: 'Crashes',
          unit: 'count',
          value: "count(*) FILTER (WHERE event = 'reinitializing')",
        },
      ],
    },
  ],
  charts: [],
  tables: [
    {
      id: 'changes',
      title: 'Latest changes',
      columns: [
        serverColumn,
        { id: 'at_ms', label: 'At', unit: 'instant' },
        { id: 'kind', label: 'Kind', unit: 'text' },
        { id: 'event', label: 'Event', unit: 'text' },
        { id: 'message', label: 'Message', unit: 'text' },
        { id: 'detail', label: 'Detail', unit: 'text' },
      ],
      sql: `SELECT ${serverSql} AS server, epoch_ms(event_time) AS at_ms, kind, event, substr(message, 1, 1000) AS message,
        substr(detail, 1, 2000) AS detail, session_id AS session
        FROM @changes`,
      order: 'at_ms DESC, session, message',
      maxRows: 50,
      records: ({ server, at_ms: atMs }) => ({
        server: onlyServer(server),
        fromMs: Number(atMs) - 1_000,
        toMs: Number(atMs) + 1_001,
      }),
    },
  ],
}
