"""
Drains the logs of PostgreSQL servers into their tables every 10 minutes. Each table is an asset, so that DAGs which read it
are scheduled by `schedule=[Asset("tailrace://…")]`.
"""

from __future__ import annotations

import os
import sys
from datetime import datetime, timedelta, timezone

sys.path.insert(0, os.path.dirname(__file__))

from airflow.sdk import DAG, Asset  # noqa: E402
from tailrace_operator import TailraceDrainOperator, TailraceVerifyOperator  # noqa: E402

# The pipelines of the config that ships, with their tables.
TABLES = {
    "primary": "vitality_lakehouse_uat/pg_archive_sync/primary_postgresql_logs_uat",
    "replica": "vitality_lakehouse_uat/pg_archive_sync/replica_postgresql_logs_uat",
}

with DAG(
    dag_id="tailrace_drain",
    description=__doc__,
    schedule=timedelta(minutes=10),
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    # A second run at once would be safe, and read everything in vain.
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1), "retry_exponential_backoff": 2.0},
    tags=["tailrace"],
):
    for pipeline, table in TABLES.items():
        drain = TailraceDrainOperator(
            task_id=f"drain_{pipeline}",
            pipeline=pipeline,
            asset=Asset(f"tailrace://{table}"),
        )
        verify = TailraceVerifyOperator(
            task_id=f"verify_{pipeline}",
            pipeline=pipeline,
        )
        drain >> verify
