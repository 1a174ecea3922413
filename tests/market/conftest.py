from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.market.store import CandleStore
from shared.platform.local.blobs import FolderBlobs
from shared.platform.local.documents import SqliteDocuments
from tests.market.scripted import ScriptedUpstream

DATA = Path("../shared/data/market")


@pytest.fixture
def server() -> Iterator[ScriptedUpstream]:
    upstream = ScriptedUpstream()
    yield upstream
    upstream.close()


@pytest.fixture
def documents(tmp_path: Path) -> SqliteDocuments:
    return SqliteDocuments(tmp_path / "documents.sqlite")


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "blobs")


@pytest.fixture
def store(documents: SqliteDocuments, blobs: FolderBlobs) -> CandleStore:
    return CandleStore(documents, blobs)


@pytest.fixture(scope="session")
def data() -> Path:
    if not DATA.is_dir():
        pytest.skip("the real candles for development (../shared/data/market) aren't here")
    return DATA
