"""Where the records of drift checks are kept: one document per check, and a point of the history with it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from shared.errors import AlreadyExists, NotFound
from shared.monitoring.drift.record import DriftCheck, is_version_id
from shared.monitoring.history import History, HistoryKind
from shared.platform.cas import update
from shared.platform.ports import Create, Data, Document, Documents, Filter, Order

COLLECTION: Final = "drift-checks"


class DriftChecks:
    """Checks by id, and the newest of a model. What was found never changes; a report may join it later."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def add(self, check: DriftCheck) -> DriftCheck:
        """Keep `check` with its point of the history, both or neither; durable on return.

        Where its id is known, the check that has it is given and nothing changes.
        """
        point = History.write(
            HistoryKind.DRIFT,
            check.subject,
            datetime.fromisoformat(check.checked_at),
            _values(check),
            check.check_id,
        )
        record = {**check.json(), "announced": False}
        try:
            self._documents.commit([Create(COLLECTION, check.check_id, record), point])
        except AlreadyExists:
            return self.get(check.check_id)
        return check

    def get(self, check_id: str) -> DriftCheck:
        """
        Raises:
            NotFound
        """
        check = self.find(check_id)
        if check is None:
            raise NotFound(f"There is no drift check {check_id!r}. GET /monitoring/drift shows the newest.")
        return check

    def find(self, check_id: str) -> DriftCheck | None:
        document = self._documents.get(COLLECTION, check_id)
        return None if document is None else DriftCheck.from_data(document.data)

    def newest(self, model: str) -> DriftCheck | None:
        """The newest check of a version id, or, of a model's name, of the versions that were live then."""
        where = (
            [Filter("model_id", "==", model)]
            if is_version_id(model)
            else [Filter("model", "==", model), Filter("is_live", "==", True)]
        )
        page = self._documents.query(
            COLLECTION, where=where, order_by=[Order("checked_at", descending=True)], limit=1
        )
        return DriftCheck.from_data(page.documents[0].data) if page.documents else None

    def attach_report(
        self, check_id: str, url: str, multivariate: Mapping[str, Any] | None = None
    ) -> DriftCheck:
        """Say where the check's report is, and what the multivariate check found; repeating it is fine.

        Raises:
            NotFound: no such check.
        """
        found = {"report_url": url} | ({} if multivariate is None else {"multivariate": dict(multivariate)})
        return DriftCheck.from_data(self._changed(check_id, found).data)

    def is_announced(self, check_id: str) -> bool:
        """Whether its event, its alert and the request for its report are out."""
        document = self._documents.get(COLLECTION, check_id)
        return document is not None and bool(document.data["announced"])

    def announced(self, check_id: str) -> None:
        """Note that they are.

        Raises:
            NotFound: no such check.
        """
        self._changed(check_id, {"announced": True})

    def _changed(self, check_id: str, fields: Data) -> Document:
        def change(data: Data | None) -> Data | None:
            if data is None or all(data[name] == value for name, value in fields.items()):
                return None
            return {**data, **fields}

        document = update(self._documents, COLLECTION, check_id, change)
        if document is None:
            raise NotFound(f"There is no drift check {check_id!r}.")
        return document


def _values(check: DriftCheck) -> dict[str, Any]:
    """What plots show of a check."""
    return {
        "check_id": check.check_id,
        "model_id": check.model_id,
        "verdict": check.verdict,
        "unit": check.unit,
        "excess": {str(window["length"]): window["excess"] for window in check.windows},
        "verdicts": {str(window["length"]): window["verdict"] for window in check.windows},
        "moved": list(check.moved()),
    }
