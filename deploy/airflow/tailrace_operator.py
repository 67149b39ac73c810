"""Runs Tailrace as a task of Airflow 3. Copy this file beside your DAGs: it needs no provider, only the command `tailrace`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Sequence

from airflow.sdk import Asset, BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

NO_BLOB = 3
USAGE = 2
UNFINISHED = 4


class TailraceOperator(BaseOperator):
    """
    Runs a command of Tailrace.

    :param pipeline: the pipeline of the config
    :param config: path of the config; default: TAILRACE_CONFIG of the worker
    :param command: how the worker starts Tailrace
    :param env: variables beside those of the worker
    """

    template_fields: Sequence[str] = ("config", "env")

    def __init__(
        self,
        *,
        pipeline: str,
        config: str | None = None,
        command: Sequence[str] = ("tailrace",),
        env: dict[str, str] | None = None,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.pipeline = pipeline
        self.config = config
        self.command = command
        self.env = env
        self._process: subprocess.Popen[str] | None = None

    def run_tailrace(self, *arguments: str) -> tuple[int, str]:
        """Runs a command to its end, with its log in the task's; returns its exit code and what it printed."""
        config = [] if self.config is None else ["--config", self.config]
        self._process = subprocess.Popen(
            [*self.command, *arguments, "--pipeline", self.pipeline, *config],
            env={**os.environ, **(self.env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        # What is printed is one short line, so its pipe cannot fill while the log is read.
        for line in self._process.stderr:
            self.log.info("%s", line.rstrip())
        output = self._process.stdout.read()
        return self._process.wait(), output

    def on_kill(self) -> None:
        # Tailrace lands what it holds and ends within its `stopMs`.
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait()


class TailraceDrainOperator(TailraceOperator):
    """
    Lands everything that a pipeline's blobs hold at the moment, and ends.

    A retry is safe at any point: rows and offsets are one commit, so the next attempt goes on where the last commit
    ended, and two attempts at once land no row twice. After a drain that landed rows the table's asset has an event, and
    so after a retry, because an attempt that failed may have landed some. A first attempt that found none is skipped.

    :param asset: the table that the pipeline lands in
    :param max_duration: when an attempt stops in order; what is landed by then stays, and the task is retried
    """

    template_fields: Sequence[str] = (*TailraceOperator.template_fields, "max_duration")

    def __init__(self, *, asset: Asset, max_duration: str = "30m", **kwargs) -> None:
        super().__init__(outlets=[asset], **kwargs)
        self.asset = asset
        self.max_duration = max_duration

    def execute(self, context):
        code, output = self.run_tailrace("start", "--once", "--max-duration", self.max_duration)
        if code == NO_BLOB:
            raise AirflowSkipException(f"The source of {self.pipeline} has no blob yet.")
        if code == USAGE:
            raise AirflowFailException("Tailrace refused its config; the log above says why. A retry would not help.")
        if code == UNFINISHED:
            raise AirflowException(f"Not finished in {self.max_duration}: the next attempt goes on from there.")
        if code != 0:
            raise AirflowException(f"Tailrace ended with {code}; the log above says why.")
        landed = json.loads(output)["pipelines"][self.pipeline]
        if landed["rows"] == 0 and context["ti"].try_number == 1:
            raise AirflowSkipException(f"Nothing new for {self.pipeline}.")
        context["outlet_events"][self.asset].extra = {"rows": landed["rows"], "rejected": landed["rejected"]}
        return landed


class TailraceVerifyOperator(TailraceOperator):
    """Proves that rows cover every byte up to each blob's offset, and fails where they do not."""

    def execute(self, context):
        code, output = self.run_tailrace("verify", "--json")
        if code != 0:
            raise AirflowFailException(f"The rows of {self.pipeline} do not cover its offsets: {output}")
        return {"complete": json.loads(output)["complete"]}
