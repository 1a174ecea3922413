"""Settings: one frozen object, read once from arguments, the environment and `.env`, in that order.

Every setting is in `.env.example`; a wrong one stops the start with its name and what was found.
"""

from __future__ import annotations

import functools
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.errors import ConfigurationError

VERSION: Final = "0.1.0"
"""The engine's own."""


class Environment(StrEnum):
    DEVELOPMENT = "development"
    STAGING = "staging"
    PRODUCTION = "production"


class PlatformName(StrEnum):
    """Where state rests. `emulators` is `gcp` on emulators, and refuses to reach the real services."""

    LOCAL = "local"
    GCP = "gcp"
    EMULATORS = "emulators"


REPLAY_HOME: Final = Path(".mlengine-replay")


class Registration(StrEnum):
    """Who may register: anybody, whoever an admin has invited, or nobody."""

    OPEN = "open"
    INVITED = "invited"
    CLOSED = "closed"


_MAILBOX = r"^(?:[!-~]+@[!-~]+|[ -~]+ <[!-~]+@[!-~]+>)?$"
_ROUTES = r"^\s*(?:[a-z_*]+(?::[a-z]+)?\+?\s*=[a-z,\s]*(?:;\s*|$))*$"
Origin = Annotated[str, Field(pattern=r"^(\*|https?://[a-z0-9.-]+(:[0-9]{1,5})?)$")]
"""As browsers send it: scheme, host and port, and nothing after it."""

_HOST: Any = Field("", pattern=r"^([^\s/:]+:[0-9]+)?$")


class Settings(BaseSettings):
    """What can be set. Names in the environment are the field names in upper case."""

    model_config = SettingsConfigDict(
        env_file=".env",
        extra="ignore",
        frozen=True,
        env_ignore_empty=True,
        hide_input_in_errors=True,
        str_strip_whitespace=True,  # a secret often ends with the line's end of the command that made it
    )

    env: Environment = Environment.DEVELOPMENT
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    mlengine_home: Path = Path(".mlengine")
    host: str = "127.0.0.1"
    port: int = Field(8080, ge=1, le=65535)
    replay: float | None = Field(None, gt=0, le=6000)

    platform: PlatformName = PlatformName.LOCAL
    google_cloud_project: str = Field("", pattern=r"^([a-z][a-z0-9-]{4,28}[a-z0-9])?$")
    google_cloud_region: str = Field("europe-west1", pattern=r"^[a-z]+-[a-z]+[0-9]+$")
    firestore_database: str = Field("(default)", pattern=r"^(\(default\)|[a-z][a-z0-9-]{2,61}[a-z0-9])$")
    blobs_url: str = Field("", pattern=r"^((gs|s3)://[a-z0-9][a-z0-9._-]{1,61}[a-z0-9])?$")
    job_prefix: str = Field("mlengine-", pattern=r"^[a-z]([a-z0-9-]*)$|^$")
    platform_timeout_seconds: float = Field(10.0, gt=0, le=10)
    firestore_emulator_host: str = _HOST
    pubsub_emulator_host: str = _HOST
    storage_emulator_host: str = Field("", pattern=r"^(http://[^\s/]+:[0-9]+)?$")
    run_emulator_host: str = _HOST
    scheduler_emulator_host: str = _HOST
    secrets_emulator_host: str = _HOST

    admin_api_key: SecretStr | None = Field(None, min_length=16)
    registration: Registration = Registration.INVITED
    access_cache_seconds: float = Field(5.0, ge=0, le=60)
    rate_limit_requests: int = Field(600, ge=0, le=1_000_000)
    rate_limit_window_seconds: int = Field(60, ge=1, le=86_400)
    redis_url: SecretStr | None = None
    cors_allow_origins: Annotated[tuple[Origin, ...], NoDecode] = ()
    trusted_proxies: int = Field(0, ge=0, le=5)
    open_routes: Annotated[tuple[str, ...], NoDecode] = ()
    event_senders: Annotated[tuple[str, ...], NoDecode] = ()
    invokers_checked: bool = False

    market_data_url: str = Field("http://127.0.0.1:8081", pattern=r"^https?://[^\s]+$")
    market_calendar: Literal["XNYS", "24/7"] = "XNYS"
    timeframe: str = Field("1d", pattern=r"^[1-9][0-9]*[mhd]$")
    upstream_timeout_seconds: float = Field(10.0, gt=0, le=120)
    upstream_attempts: int = Field(4, ge=1, le=10)
    upstream_max_bytes: int = Field(32_000_000, ge=1_000)
    upstream_concurrency: int = Field(8, ge=1, le=64)
    candle_cache_seconds: float = Field(30.0, ge=0)
    model_cache_seconds: float = Field(5.0, ge=0)
    model_memory_mb: int = Field(200, ge=16, le=30_000)

    no_trade_band: float = Field(0.01, ge=0, lt=0.5)
    batch_max_symbols: int = Field(200, ge=1, le=5000)
    batch_max_rows: int = Field(1000, ge=1, le=10_000)
    invocations_model: str = Field("", max_length=80)

    drift_level: float = Field(0.05, gt=0, lt=0.5)
    drift_min_effect: float = Field(0.1, ge=0, le=10)
    candles_max_missed: int = Field(2, ge=0, le=1_000)
    candles_grace_seconds: float = Field(7_200.0, ge=0, le=7 * 86_400)
    model_max_age_days: float = Field(35.0, gt=0, le=3_650)
    drift_max_age_hours: float = Field(100.0, gt=0, le=87_600)
    latency_objective_ms: float = Field(500.0, gt=0)
    error_ratio_objective: float = Field(0.01, ge=0, lt=1)
    prediction_retention_days: int = Field(30, ge=1, le=3650)

    alert_routes: str = Field("*=log", pattern=_ROUTES)
    alert_remind_hours: float = Field(24.0, ge=0, le=24 * 365)
    alert_insecure_targets: bool = False
    slack_webhook_url: SecretStr | None = None
    pagerduty_routing_key: SecretStr | None = None
    pagerduty_events_url: str = "https://events.pagerduty.com/v2/enqueue"
    alert_webhook_url: SecretStr | None = None
    alert_webhook_secret: SecretStr | None = None
    smtp_host: str = Field("", pattern=r"^[A-Za-z0-9.:-]*$")
    smtp_port: int = Field(587, ge=1, le=65535)
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_user: str = ""
    smtp_password: SecretStr | None = None
    smtp_from: str = Field("", pattern=_MAILBOX)
    smtp_to: Annotated[tuple[Annotated[str, Field(pattern=_MAILBOX)], ...], NoDecode] = ()

    evidently_python: Path | None = None

    train_symbols: Annotated[tuple[str, ...], NoDecode] = ()
    train_lookback: int = Field(0, ge=0)
    train_test_size: float = Field(0.2, gt=0, lt=0.9)
    train_random_state: int = 42
    train_cv_folds: int = Field(6, ge=2, le=50)

    mlflow_tracking_uri: str = Field("", pattern=r"^(https?://[^\s@/?#]+(/[^\s@?#]*)?)?$")
    mlflow_tracking_token: SecretStr | None = None

    @field_validator(
        "cors_allow_origins", "open_routes", "event_senders", "train_symbols", "smtp_to", mode="before"
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("market_data_url")
    @classmethod
    def _without_slash(cls, value: str) -> str:
        return value.rstrip("/")

    @field_validator("redis_url")
    @classmethod
    def _of_redis(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("redis://", "rediss://")):
            raise ValueError("must begin with redis:// or rediss://")
        return value

    @property
    def is_production(self) -> bool:
        return self.env is Environment.PRODUCTION


def load_settings(**overrides: Any) -> Settings:
    """Read the settings. `overrides` beat the environment.

    Raises:
        ConfigurationError: naming each wrong setting, what was expected, and never a secret's value.
    """
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        lines = [
            f"{'.'.join(str(part) for part in item['loc']).upper()}: {item['msg']}" for item in error.errors()
        ]
        raise ConfigurationError("Wrong settings (environment or .env): " + "; ".join(lines)) from error
    if settings.is_production and settings.admin_api_key is None:
        raise ConfigurationError("ADMIN_API_KEY must be set when ENV=production (at least 16 characters).")
    if settings.is_production and "*" in settings.cors_allow_origins:
        raise ConfigurationError("CORS_ALLOW_ORIGINS must name its origins when ENV=production, not '*'.")
    if settings.invokers_checked and settings.open_routes:
        raise ConfigurationError(
            "INVOKERS_CHECKED=true says that nobody gets in unnamed, OPEN_ROUTES that everybody does: "
            "unset one of them."
        )
    if settings.alert_insecure_targets and settings.env is not Environment.DEVELOPMENT:
        raise ConfigurationError(
            "ALERT_INSECURE_TARGETS=true lets alerts go to private addresses, unencrypted: it goes with "
            f"ENV=development alone, found ENV={settings.env}. Unset it."
        )
    return settings if settings.replay is None else _replaying(settings)


def _replaying(settings: Settings) -> Settings:
    """In a state folder of its own, where none is chosen."""
    if settings.is_production or settings.platform is not PlatformName.LOCAL:
        raise ConfigurationError(
            "REPLAY plays history on the twin's own clock: it goes with PLATFORM=local alone, and never with "
            f"ENV=production; found PLATFORM={settings.platform} and ENV={settings.env}. Leave REPLAY out."
        )
    if "mlengine_home" in settings.model_fields_set:
        return settings
    return settings.model_copy(update={"mlengine_home": REPLAY_HOME})


@functools.cache
def settings() -> Settings:
    """This process's settings, read on first use."""
    return load_settings()
