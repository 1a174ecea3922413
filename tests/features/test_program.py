from __future__ import annotations

import pytest

from shared.features import FEATURE_SETS, feature_set
from shared.features.expressions import Expression, absolute, apply, column, kernel, lag, minimum
from shared.features.kernels import rolling_deviation, rolling_mean, rolling_sum
from shared.features.program import Program
from shared.features.registers import registers
from shared.features.schedule import batches

CLOSE = column("close")


def _operations(*formulas: Expression) -> list[str]:
    return [step.operation for step in Program.of(formulas).steps]


def test_formulas_are_written_as_they_were_meant() -> None:
    formula = (CLOSE - rolling_mean(CLOSE - lag(CLOSE, 1), 20)) * 2.0 / absolute(CLOSE)
    assert str(formula) == "((close - rolling_mean(close - lag(close, 1), 20)) * 2.0) / absolute(close)"
    assert str(1.0 / (2.0 - minimum(CLOSE, 3.0))) == "1.0 / (2.0 - minimum(close, 3.0))"


def test_kernel_keeps_its_name_and_documentation() -> None:
    @kernel
    def twice(x: Expression, times: int) -> Expression:
        """Doubled."""
        return x * times

    assert str(twice(CLOSE, times=3)) == "twice(close, 3)"
    assert (twice.__name__, twice.__doc__) == ("twice", "Doubled.")


def test_equal_steps_are_computed_once() -> None:
    assert _operations(CLOSE + CLOSE, column("close") + CLOSE) == ["column", "add"]
    alone, both = (
        _operations(rolling_sum(CLOSE, 20)),
        _operations(rolling_sum(CLOSE, 20), rolling_sum(CLOSE, 10)),
    )
    assert alone == both


def test_lags_add_up_and_are_no_steps() -> None:
    program = Program.of([lag(lag(CLOSE, 2) * 2.0, 3)])
    assert [step.operation for step in program.steps] == ["column", "constant", "multiply"]
    assert program.memory == 5


def test_no_lag_looks_ahead() -> None:
    assert lag(CLOSE, 0) is CLOSE
    with pytest.raises(ValueError, match="can't look ahead"):
        lag(CLOSE, -1)


def test_only_divisors_that_may_be_zero_are_checked() -> None:
    spread = rolling_deviation(CLOSE, 5)
    assert "divide_or_nan" not in _operations(CLOSE / rolling_mean(CLOSE, 5), CLOSE / 2.0, 1.0 / CLOSE)
    assert "divide_or_nan" in _operations(CLOSE / spread)
    assert "divide_or_nan" in _operations(CLOSE / column("volume"))
    assert "divide_or_nan" in _operations(CLOSE / (CLOSE - lag(CLOSE, 1)))
    assert "divide_or_nan" in _operations(CLOSE / apply("multiply", CLOSE, -1.0))


@pytest.mark.parametrize(
    ("formula", "complaint"),
    [
        (column("closing price"), "must be one of open, high"),
        (lag(column("month_sine"), 1), "can't be lagged"),
        (lag(CLOSE * column("month_sine"), 1), "can't be lagged"),
        (Expression("constant", (), 1.0), "can't be a constant"),
    ],
)
def test_formulas_that_make_no_sense_are_refused(formula: Expression, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Program.of([formula])


@pytest.mark.parametrize("name", FEATURE_SETS)
def test_every_step_is_in_one_batch_after_its_operands(name: str) -> None:
    program = feature_set(name).program
    done = {number for number, step in enumerate(program.steps) if not step.reads}
    for batch in batches(program):
        assert len({program.steps[number].operation for number in batch}) == 1
        assert all(read.step in done for number in batch for read in program.steps[number].reads)
        assert done.isdisjoint(batch)
        done.update(batch)
    assert done == set(range(len(program.steps)))


@pytest.mark.parametrize("name", FEATURE_SETS)
def test_a_register_is_not_taken_while_it_is_needed(name: str) -> None:
    program = feature_set(name).program
    numbers, holder = registers(program), dict[int, int]()
    for number, (step, register) in enumerate(zip(program.steps, numbers, strict=True)):
        for read in step.reads:
            own = numbers[read.step]
            assert own is None or holder[own] == read.step
        if register is not None:
            holder[register] = number
