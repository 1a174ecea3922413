from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from shared.serving.prediction import signal_of

PROBABILITY = st.floats(0, 1)
THRESHOLD = st.floats(0.05, 0.95)
BAND = st.floats(0, 0.49)
ORDER = ("down", "hold", "up")


@given(PROBABILITY, THRESHOLD, BAND)
@example(0.5, 0.5, 0.0)
@example(0.51, 0.5, 0.01)
def test_it_is_hold_exactly_within_the_band(probability: float, threshold: float, band: float) -> None:
    signal = signal_of(probability, threshold, band)
    assert (signal == "hold") is (abs(probability - threshold) <= band)
    if signal != "hold":
        assert (signal == "up") is (probability > threshold)


@given(PROBABILITY, PROBABILITY, THRESHOLD, BAND)
def test_a_higher_probability_never_gives_a_lower_signal(
    one: float, other: float, threshold: float, band: float
) -> None:
    low, high = sorted((one, other))
    signals = [signal_of(probability, threshold, band) for probability in (low, high)]
    assert ORDER.index(signals[0]) <= ORDER.index(signals[1])


@given(PROBABILITY, THRESHOLD, BAND, BAND)
def test_a_wider_band_only_turns_signals_into_hold(
    probability: float, threshold: float, one: float, other: float
) -> None:
    narrow, wide = (signal_of(probability, threshold, band) for band in sorted((one, other)))
    assert wide in (narrow, "hold")
