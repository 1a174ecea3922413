"""The conversion job: `python -m shared.jobs.convert --upload UPLOAD_ID`. Exit codes: see `shared.jobs.task`.

A file that somebody has sent becomes a version, or is refused with reasons. This process never opens it:
that is done by another one, in bounds (`shared.jobs.conversion`). The version and the end of the upload are
written in one batch, so that an attempt which is killed, or runs beside another, leaves one version or none.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from shared.config import load_settings
from shared.errors import (
    Conflict,
    CorruptBlob,
    DependencyError,
    EngineError,
    InvalidInput,
    NotFound,
    PackageRefused,
)
from shared.instance import Instance
from shared.jobs.conversion.package import build_package
from shared.jobs.conversion.sandbox import convert
from shared.jobs.task import Exit, Stopped, StopSignals, Task
from shared.logs import LOGGER, configure_logs
from shared.platform.connect import connect
from shared.uploads import Upload, UploadRequest, UploadStatus
from shared.uploads.sniffing import refuse_unlike


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m shared.jobs.convert", description=__doc__)
    parser.add_argument("--upload", required=True, metavar="UPLOAD_ID", help="the upload to convert")
    upload_id = parser.parse_args(arguments).upload
    settings = load_settings()
    configure_logs(settings.log_level)
    return ConversionJob(Instance(settings, connect(settings)), Task.of(os.environ)).work_on(upload_id)


class _Refusal(Exception):
    """The upload is refused, for these reasons."""

    def __init__(self, *reasons: str) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


class ConversionJob:
    """Brings one upload to its end, and says in its document how that was."""

    def __init__(self, instance: Instance, task: Task) -> None:
        self._instance = instance
        self._task = task
        self._uploads = instance.uploads

    def work_on(self, upload_id: str) -> Exit:
        """Bring the upload to its end, or leave it to the next attempt."""
        facts = {"upload_id": upload_id, **self._task.facts()}
        try:
            upload = self._uploads.start(upload_id)
        except EngineError as error:
            LOGGER.error("the conversion can't start", extra={"facts": {**facts, "why": str(error)}})
            return Exit.TRY_AGAIN if error.retryable else self._task.settled(Exit.of(error))
        if upload.status.has_ended:
            LOGGER.info("the upload has ended before", extra={"facts": {**facts, "status": upload.status}})
            return Exit.DONE
        with StopSignals() as signals:
            outcome = self._outcome(upload, signals, facts)
        if outcome is not Exit.TRY_AGAIN:
            self._clear(upload, facts)
        return outcome

    def _outcome(self, upload: Upload, signals: StopSignals, facts: dict[str, Any]) -> Exit:
        """Convert and register it; what became of it, whatever happens."""
        try:
            version_id = self._registered(upload, signals)
        except _Refusal as refusal:
            LOGGER.info("the upload is refused", extra={"facts": {**facts, "reasons": refusal.reasons}})
            return self._ended(upload, UploadStatus.REFUSED, refusal.reasons, Exit.DONE)
        except Stopped:
            return self._failed(upload, signals, facts, Exit.TRY_AGAIN, "It was stopped before its end.")
        except EngineError as error:
            if isinstance(error, Conflict) and not error.retryable:
                LOGGER.info("the upload can't be registered", extra={"facts": {**facts, "why": str(error)}})
                return self._ended(upload, UploadStatus.REFUSED, [str(error)], Exit.DONE)
            return self._failed(upload, signals, facts, Exit.of(error), str(error))
        except Exception as error:  # noqa: BLE001 - the document must say what went wrong, whatever it was
            LOGGER.exception("the conversion failed", extra={"facts": facts})
            return self._failed(upload, signals, facts, Exit.OWN_FAULT, f"{type(error).__name__}: {error}")
        LOGGER.info("the upload is registered", extra={"facts": {**facts, "model_id": version_id}})
        return Exit.DONE

    def _registered(self, upload: Upload, signals: StopSignals) -> str:
        """The version that the upload has become.

        Raises:
            _Refusal: it can't become one.
            Conflict: its name is somebody else's meanwhile, or another attempt has ended it.
        """
        content, request = self._content(upload), self._request(upload)
        try:
            refuse_unlike(content, upload.format)
        except InvalidInput as error:
            raise _Refusal(str(error)) from error
        made = convert(content, request.to_json(), signals.check)
        if made.outcome.reasons:
            raise _Refusal(*made.outcome.reasons)
        try:
            package = build_package(upload, request, made)
        except PackageRefused as error:
            raise _Refusal(str(error)) from error
        version = self._instance.registry.register(
            package,
            created_by=upload.created_by,
            run_id=upload.upload_id,
            owner=upload.owner,
            description=request.description,
            tags=request.tags,
            also=lambda version: self._uploads.success(upload.upload_id, version.id, made.outcome.checks),
        )
        return version.id

    def _content(self, upload: Upload) -> bytes:
        try:
            return self._instance.platform.blobs.get(upload.model_blob, sha256=upload.sha256)
        except NotFound as error:
            raise _Refusal("Its file never came: upload it again.") from error
        except CorruptBlob as error:
            raise _Refusal(
                "The file isn't the one that was announced: its sha256 is another. Begin another upload."
            ) from error

    def _request(self, upload: Upload) -> UploadRequest:
        return UploadRequest.from_json(self._instance.platform.blobs.get(upload.request_blob))

    def _failed(
        self, upload: Upload, signals: StopSignals, facts: dict[str, Any], exit: Exit, why: str
    ) -> Exit:
        """Record it as failed for good, unless the next attempt may succeed."""
        if exit is Exit.TRY_AGAIN and self._task.may_be_retried:
            LOGGER.warning("the conversion is handed back", extra={"facts": {**facts, "why": why}})
            signals.pause(self._task.pause_seconds)
            return exit
        LOGGER.error("the upload can't be converted", extra={"facts": {**facts, "why": why}})
        return self._ended(upload, UploadStatus.FAILED, [why], self._task.settled(exit))

    def _ended(self, upload: Upload, status: UploadStatus, reasons: Sequence[str], exit: Exit) -> Exit:
        try:
            self._uploads.end(upload.upload_id, status, reasons)
        except DependencyError as error:
            facts = {"upload_id": upload.upload_id, "why": str(error)}
            LOGGER.error("the upload's end isn't recorded", extra={"facts": facts})
            return Exit.TRY_AGAIN
        return exit

    def _clear(self, upload: Upload, facts: dict[str, Any]) -> None:
        """What was sent is of no more use: the package has all that is served."""
        try:
            self._instance.platform.blobs.delete(upload.model_blob)
            self._instance.platform.blobs.delete(upload.request_blob)
        except DependencyError as error:
            LOGGER.warning("an upload's file is left over", extra={"facts": {**facts, "why": str(error)}})


if __name__ == "__main__":
    sys.exit(main())
