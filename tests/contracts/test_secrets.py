from __future__ import annotations

import pytest

from shared.errors import NotFound
from shared.platform.ports import Secrets
from tests.contracts.platforms import Place
from tests.emulators import SECRETS_KEPT


def test_a_secret_is_got_from_the_environment(secrets: Secrets) -> None:
    assert secrets.get("from-environment") == "one"


def test_a_secret_is_got_from_where_secrets_are_kept(place: Place) -> None:
    for opened in (place, place.reopen()):
        for _ in range(2):
            assert opened.secrets.get("kept") == SECRETS_KEPT["kept"]


@pytest.mark.parametrize(
    "name",
    ["unknown", "", "../kept", "kept/", "kept?", "FROM_ENVIRONMENT", "from_environment", "Kept", "k" * 64],
)
def test_an_unknown_secret_isnt_found(secrets: Secrets, name: str) -> None:
    with pytest.raises(NotFound):
        secrets.get(name)
