from __future__ import annotations

import pytest

from shared.errors import NotFound
from shared.platform.ports import Secrets


def test_a_secret_is_got(secrets: Secrets) -> None:
    assert secrets.get("from-environment") == "one"


@pytest.mark.parametrize("name", ["unknown", "", "../secrets", "FROM_ENVIRONMENT", "from_environment"])
def test_an_unknown_secret_isnt_found(secrets: Secrets, name: str) -> None:
    with pytest.raises(NotFound):
        secrets.get(name)
