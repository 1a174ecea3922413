import pytest
from pydantic import TypeAdapter, ValidationError

from shared.errors import InvalidInput
from shared.market.symbols import Symbol, check_symbol

GOOD = ["AAPL", "^GSPC", "BRK.B", "BTC-USD", "EURUSD=X", "a", "X" * 32, "ES_F"]
BAD = ["", ".AAPL", "-A", "A/B", "A B", "AAPL\n", "X" * 33, "Ä", "../x", "A\x00"]


@pytest.mark.parametrize("text", GOOD)
def test_names_of_instruments_pass(text: str) -> None:
    assert check_symbol(text) == text
    assert TypeAdapter(Symbol).validate_python(text) == text


@pytest.mark.parametrize("text", BAD)
def test_anything_else_is_refused_by_function_and_model_alike(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_symbol(text, pointer="/symbols/3")
    with pytest.raises(ValidationError):
        TypeAdapter(Symbol).validate_python(text)
    assert refused.value.errors[0].pointer == "/symbols/3"
