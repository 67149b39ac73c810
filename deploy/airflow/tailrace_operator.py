"""Runs Tailrace as a task of Airflow 3. Copy this file beside your DAGs: it needs no provider, only the command `tailrace`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence

from airflow.sdk import Asset, BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

INCOMPLETE = 1
USAGE = 2
NO_BLOB = 3
UNFINISHED = 4

# Blobs that the error of a verify names; the log of the task would otherwise have thousands.
MAX_NAMED = 10


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

    def run_tailrace(self, *arguments: str, given: str = "") -> tuple[int, str]:
        """Runs a command to its end, with its log in the task's; returns its exit code and what it printed."""
        config = [] if self.config is None else ["--config", self.config]
        # Files, because a pipe could fill while the log is read.
        with tempfile.TemporaryFile("w+") as standard_input, tempfile.TemporaryFile("w+") as standard_output:
            standard_input.write(given)
            standard_input.seek(0)
            self._process = subprocess.Popen(
                [*self.command, *arguments, *config],
                env={**os.environ, **(self.env or {})},
                stdin=standard_input,
                stdout=standard_output,
                stderr=subprocess.PIPE,
                text=True,
            )
            for line in self._process.stderr:
                self.log.info("%s", line.rstrip())
            code = self._process.wait()
            standard_output.seek(0)
            return code, standard_output.read()

    def require(self, code: int) -> None:
        """Fails the task unless the command succeeded; a wrong config without a retry."""
        if code == USAGE:
            raise AirflowFailException("Tailrace refused its config; the log above says why. A retry would not help.")
        if code != 0:
            raise AirflowException(f"Tailrace ended with {code}; the log above says why.")

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
        code, output = self.run_tailrace(
            "start", "--once", "--max-duration", self.max_duration, "--pipeline", self.pipeline
        )
        if code == NO_BLOB:
            raise AirflowSkipException(f"The source of {self.pipeline} has no blob yet.")
        if code == UNFINISHED:
            raise AirflowException(f"Not finished in {self.max_duration}: the next attempt goes on from there.")
        self.require(code)
        landed = json.loads(output)["pipelines"][self.pipeline]
        if landed["rows"] == 0 and context["ti"].try_number == 1:
            raise AirflowSkipException(f"Nothing new for {self.pipeline}.")
        context["outlet_events"][self.asset].extra = {"rows": landed["rows"], "rejected": landed["rejected"]}
        return landed


class TailraceVerifyOperator(TailraceOperator):
    """
    Proves that rows cover every byte up to each blob's offset. Where they do not, it fails without a retry; a proof that
    could not be made, because the table or storage did not answer, is retried as the task says.
    """

    def execute(self, context):
        code, output = self.run_tailrace("verify", "--json", "--pipeline", self.pipeline)
        # Both end with 1, and only a proof is printed.
        if code == INCOMPLETE and output.strip() != "":
            wrong = [blob["blob"] for blob in json.loads(output)["blobs"] if not blob["complete"]]
            others = f" and {len(wrong) - MAX_NAMED} more" if len(wrong) > MAX_NAMED else ""
            raise AirflowFailException(
                f"The rows of {self.pipeline} do not cover its offsets: {', '.join(wrong[:MAX_NAMED])}{others}. "
                "`tailrace verify` shows how many bytes are missing or doubled."
            )
        self.require(code)
        return {"complete": True}


class TailracePlanOperator(TailraceOperator):
    """
    Lists what has not landed, as units for mapped `TailraceWriteOperator`s.

    :param unit_mib: size of a unit in MiB, about
    :param max_units: at most this many; Airflow maps up to `max_map_length`, 1,024 by default
    """

    def __init__(self, *, unit_mib: int = 256, max_units: int = 1_000, **kwargs) -> None:
        super().__init__(**kwargs)
        self.unit_mib = unit_mib
        self.max_units = max_units

    def execute(self, context):
        code, output = self.run_tailrace(
            *("plan", "--json", "--pipeline", self.pipeline),
            *("--unit-mib", str(self.unit_mib), "--max-units", str(self.max_units)),
        )
        self.require(code)
        return json.loads(output)["units"]


class TailraceWriteOperator(TailraceOperator):
    """
    Writes one unit, and returns its manifest. Nothing is visible before the commit, so a retry or a second attempt at the
    same time does no harm.

    :param unit: one of the units of the plan
    """

    template_fields: Sequence[str] = (*TailraceOperator.template_fields, "unit")

    def __init__(self, *, unit: dict, **kwargs) -> None:
        super().__init__(**kwargs)
        self.unit = unit

    def execute(self, context):
        code, output = self.run_tailrace("write", "--unit", "-", "--manifest", "-", given=json.dumps(self.unit))
        self.require(code)
        return json.loads(output)


class TailraceCommitOperator(TailraceOperator):
    """
    Lands all written units in one commit, each exactly once, and leaves an event of the table's asset.

    :param manifests: what the write tasks returned
    :param asset: the table that the pipeline lands in
    """

    template_fields: Sequence[str] = (*TailraceOperator.template_fields, "manifests")

    def __init__(self, *, manifests: list[dict], asset: Asset, **kwargs) -> None:
        super().__init__(outlets=[asset], **kwargs)
        self.manifests = manifests
        self.asset = asset

    def execute(self, context):
        manifests = list(self.manifests)
        if not manifests:
            raise AirflowSkipException(f"Nothing new for {self.pipeline}.")
        with tempfile.TemporaryDirectory() as directory:
            for index, manifest in enumerate(manifests):
                with open(os.path.join(directory, f"{index:06}.json"), "w") as file:
                    json.dump(manifest, file)
            code, output = self.run_tailrace("commit", directory)
        self.require(code)
        landed = json.loads(output)
        context["outlet_events"][self.asset].extra = {"rows": landed["rows"], "units": landed["landed"]}
        return landed
