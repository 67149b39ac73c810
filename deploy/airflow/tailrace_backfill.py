"""
Lands a backlog with all workers: one task plans, mapped tasks write, one task commits and one verifies. Trigger it for a
first load or after an outage; `tailrace_drain` keeps up afterwards.
"""

from __future__ import annotations

import os
import sys
from datetime import datetime, timedelta, timezone

sys.path.insert(0, os.path.dirname(__file__))

from airflow.sdk import DAG, Asset  # noqa: E402
from tailrace_operator import (  # noqa: E402
    TailraceCommitOperator,
    TailracePlanOperator,
    TailraceVerifyOperator,
    TailraceWriteOperator,
)

TABLES = {
    "primary": "vitality_lakehouse_uat/pg_archive_sync/primary_postgresql_logs_uat",
    "replica": "vitality_lakehouse_uat/pg_archive_sync/replica_postgresql_logs_uat",
}

with DAG(
    dag_id="tailrace_backfill",
    description=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1), "retry_exponential_backoff": 2.0},
    tags=["tailrace"],
):
    for pipeline, table in TABLES.items():
        plan = TailracePlanOperator(task_id=f"plan_{pipeline}", pipeline=pipeline)
        write = TailraceWriteOperator.partial(task_id=f"write_{pipeline}", pipeline=pipeline).expand(unit=plan.output)
        commit = TailraceCommitOperator(
            task_id=f"commit_{pipeline}",
            pipeline=pipeline,
            manifests=write.output,
            asset=Asset(f"tailrace://{table}"),
        )
        verify = TailraceVerifyOperator(task_id=f"verify_{pipeline}", pipeline=pipeline)
        commit >> verify
