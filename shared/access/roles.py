"""Roles, and the one table that says which route needs which."""

from __future__ import annotations

from enum import IntEnum
from types import MappingProxyType
from typing import Final


class Role(IntEnum):
    """Each role may do what the ones below it may."""

    PUBLIC = 0
    VIEWER = 1
    PREDICTOR = 2
    OPERATOR = 3
    ADMIN = 4

    @property
    def label(self) -> str:
        return self.name.lower()


EVENTS_ROUTE: Final = "POST /"
"""Where events are delivered to a function."""

ROLES: Final = MappingProxyType(
    {
        "GET /health": Role.PUBLIC,
        "GET /ready": Role.PUBLIC,
        "GET /": Role.VIEWER,
        "GET /docs": Role.VIEWER,
        "GET /docs/assets/{file}": Role.VIEWER,
        "GET /openapi.json": Role.VIEWER,
        "POST /fetch": Role.OPERATOR,
        "GET /symbols": Role.VIEWER,
        "GET /candles": Role.VIEWER,
        "GET /price/latest": Role.VIEWER,
        "GET /features": Role.VIEWER,
        "GET /predict": Role.PREDICTOR,
        "POST /predict/batch": Role.PREDICTOR,
        "POST /predict/jobs": Role.OPERATOR,
        "GET /predict/jobs": Role.PREDICTOR,
        "GET /predict/jobs/{scoring_id}": Role.PREDICTOR,
        "POST /predict/jobs/{scoring_id}/cancel": Role.OPERATOR,
        "GET /predictions/recent": Role.VIEWER,
        "GET /predictions/{prediction_id}": Role.VIEWER,
        "GET /monitoring/performance": Role.VIEWER,
        "POST /outcomes": Role.OPERATOR,
        "GET /alerts": Role.VIEWER,
        "GET /alerts/{alert_id}": Role.VIEWER,
        "POST /alerts/test": Role.OPERATOR,
        "POST /alerts/{alert_id}/acknowledge": Role.OPERATOR,
        "POST /alerts/{alert_id}/resolve": Role.OPERATOR,
        "GET /reports": Role.VIEWER,
        "GET /reports/{report_id}": Role.VIEWER,
        "GET /reports/{report_id}/state": Role.VIEWER,
        "GET /reports/{report_id}/files/{name}": Role.VIEWER,
        "POST /admin/reports": Role.ADMIN,
        "GET /monitoring/drift": Role.VIEWER,
        "GET /monitoring/latency": Role.VIEWER,
        "GET /metrics": Role.VIEWER,
        "GET /monitoring/history": Role.VIEWER,
        "GET /monitoring/freshness": Role.VIEWER,
        "GET /monitoring/quality": Role.VIEWER,
        "POST /admin/watch": Role.OPERATOR,
        "POST /admin/drift": Role.OPERATOR,
        "GET /models": Role.VIEWER,
        "GET /models/{id}": Role.VIEWER,
        "GET /model/{id}": Role.VIEWER,
        "GET /models/{id}/report": Role.VIEWER,
        "GET /models/{name}/promotions": Role.VIEWER,
        "POST /models/activate/{id}": Role.OPERATOR,
        "POST /models/{name}/rollback": Role.OPERATOR,
        "POST /admin/activate/{id}": Role.ADMIN,
        "POST /admin/reload": Role.ADMIN,
        "POST /admin/train": Role.ADMIN,
        "GET /admin/train/status": Role.ADMIN,
        "GET /admin/train/status/{run_id}": Role.ADMIN,
        "POST /admin/train/{run_id}/cancel": Role.ADMIN,
        "GET /admin/schedules": Role.OPERATOR,
        "POST /admin/schedules/{name}/pause": Role.ADMIN,
        "POST /admin/schedules/{name}/resume": Role.ADMIN,
        "POST /admin/schedules/{name}/run": Role.ADMIN,
        "GET /admin/deadletters": Role.ADMIN,
        "POST /admin/deadletters/replay": Role.ADMIN,
        "GET /admin/audit": Role.ADMIN,
        "GET /admin/audit/export": Role.ADMIN,
        "DELETE /admin/audit/clear": Role.ADMIN,
        "POST /auth/register": Role.PUBLIC,
        "POST /auth/login": Role.PUBLIC,
        "POST /auth/refresh": Role.PUBLIC,
        "POST /auth/logout": Role.VIEWER,
        "GET /auth/me": Role.VIEWER,
        "POST /auth/password": Role.VIEWER,
        "POST /auth/keys": Role.VIEWER,
        "GET /auth/keys": Role.VIEWER,
        "DELETE /auth/keys/{key_id}": Role.VIEWER,
        "POST /auth/invitations": Role.ADMIN,
        "GET /auth/users": Role.ADMIN,
        "POST /auth/users/{user_id}/role": Role.ADMIN,
        "POST /auth/users/{user_id}/disable": Role.ADMIN,
        "POST /auth/users/{user_id}/enable": Role.ADMIN,
        EVENTS_ROUTE: Role.ADMIN,
    }
)
"""Route -> the least role that may call it."""

FOR_SOME_MODELS: Final = frozenset(
    {
        "GET /",
        "GET /docs",
        "GET /docs/assets/{file}",
        "GET /openapi.json",
        "GET /symbols",
        "GET /candles",
        "GET /price/latest",
        "GET /features",
        "GET /predict",
        "POST /predict/batch",
        "POST /predict/jobs",
        "GET /predict/jobs",
        "GET /predict/jobs/{scoring_id}",
        "POST /predict/jobs/{scoring_id}/cancel",
        "GET /predictions/recent",
        "GET /predictions/{prediction_id}",
        "GET /monitoring/performance",
        "GET /monitoring/drift",
        "GET /monitoring/quality",
        "GET /models",
        "GET /models/{id}",
        "GET /model/{id}",
        "GET /models/{id}/report",
        "GET /models/{name}/promotions",
        "POST /models/activate/{id}",
        "POST /admin/activate/{id}",
        "POST /models/{name}/rollback",
        "GET /auth/me",
    }
)
"""What a key for some models may call beside public routes: these heed its models, or tell of none. A new
route is closed to such keys until it stands here.
"""
