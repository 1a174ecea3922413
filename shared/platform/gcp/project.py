"""The project that an instance works in, and where its services answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from shared.config import PlatformName, Settings
from shared.errors import ConfigurationError

_SERVICES = ("firestore", "pubsub", "storage", "run", "scheduler", "secrets")


@dataclass(frozen=True, slots=True)
class Project:
    """`*_url` is the root of a service's API, without a slash at the end: the real one, or an emulator's.

    With `is_emulated`, every call goes to an emulator and carries no credentials. A service whose
    emulator isn't named then has a url of a host that can't exist: its first call fails, and says so.
    """

    id: str
    region: str
    database: str
    bucket: str
    job_prefix: str
    is_emulated: bool
    timeout_seconds: float
    firestore_url: str
    pubsub_url: str
    storage_url: str
    run_url: str
    scheduler_url: str
    secrets_url: str

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """
        Raises:
            ConfigurationError: no project, or an emulator beside the real services.
        """
        if not settings.google_cloud_project:
            raise ConfigurationError(
                f"GOOGLE_CLOUD_PROJECT must be set when PLATFORM={settings.platform}: the project's id."
            )
        is_emulated = settings.platform is PlatformName.EMULATORS
        return cls(
            id=settings.google_cloud_project,
            region=settings.google_cloud_region,
            database=settings.firestore_database,
            bucket=settings.blobs_url.partition("://")[2] or f"{settings.google_cloud_project}-mlengine",
            job_prefix=settings.job_prefix,
            is_emulated=is_emulated,
            timeout_seconds=settings.platform_timeout_seconds,
            **_urls(settings, is_emulated),
        )


def _urls(settings: Settings, is_emulated: bool) -> dict[str, str]:
    hosts = {service: getattr(settings, f"{service}_emulator_host") for service in _SERVICES}
    if not is_emulated:
        if any(hosts.values()):
            found = ", ".join(f"{name.upper()}_EMULATOR_HOST" for name, host in hosts.items() if host)
            raise ConfigurationError(f"PLATFORM=gcp reaches the real services: unset {found}.")
        named = {"secrets": "secretmanager", "scheduler": "cloudscheduler"}
        return {f"{name}_url": f"https://{named.get(name, name)}.googleapis.com" for name in _SERVICES}
    return {
        f"{name}_url": host if "://" in host else f"http://{host or f'{name}-emulator-host.not-set.invalid'}"
        for name, host in hosts.items()
    }
