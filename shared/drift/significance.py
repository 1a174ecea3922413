"""p-values for independent rows, in the standard library's arithmetic; agreement with scipy is a test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

_TERMS: Final = 100
_SMALL: Final = 1e-15


def kolmogorov_p(distance: float, n: int, m: int) -> float:
    """Of a two-sample Kolmogorov-Smirnov distance: the limit distribution with Stephens' correction
    (Journal of the Royal Statistical Society B 32, 1970), from about 20 rows a side on.
    """
    root = math.sqrt(n * m / (n + m))
    far = (root + 0.12 + 0.11 / root) * distance
    if far < 0.2:  # the series converges slowly there, and is 1 to nine digits
        return 1.0
    terms = ((-1) ** (j - 1) * math.exp(-2.0 * (j * far) ** 2) for j in range(1, _TERMS))
    return min(1.0, max(0.0, 2.0 * math.fsum(terms)))


def homogeneity_p(reference: Sequence[int], current: Sequence[int]) -> float:
    """Chi-square test that two lists of counts come from one distribution; 1 with nothing to test."""
    n, m = sum(reference), sum(current)
    pairs = [(a, b) for a, b in zip(reference, current, strict=True) if a + b]
    if len(pairs) < 2 or not n or not m:
        return 1.0
    statistic = 0.0
    for a, b in pairs:
        together = (a + b) / (n + m)
        statistic += (a - n * together) ** 2 / (n * together) + (b - m * together) ** 2 / (m * together)
    return chi_square_p(statistic, len(pairs) - 1)


def chi_square_p(statistic: float, degrees: int) -> float:
    """Upper tail of the chi-square distribution: the regularised incomplete gamma function, by its series
    below the mean and Lentz's continued fraction above (Press et al., Numerical Recipes, 6.2).
    """
    a, x = degrees / 2.0, statistic / 2.0
    if x <= 0.0:
        return 1.0
    front = math.exp(-x + a * math.log(x) - math.lgamma(a))
    if x < a + 1.0:
        return max(0.0, 1.0 - front * _series(a, x))
    return min(1.0, front * _fraction(a, x))


def _series(a: float, x: float) -> float:
    term = total = 1.0 / a
    while term > total * _SMALL:
        a += 1.0
        term *= x / a
        total += term
    return total


def _fraction(a: float, x: float) -> float:
    b = x + 1.0 - a
    c, d = 1e300, 1.0 / b
    found = d
    for i in range(1, 10_000):
        b += 2.0
        step = -i * (i - a)
        d = 1.0 / (step * d + b)
        c = b + step / c
        found *= c * d
        if abs(c * d - 1.0) < _SMALL * 10:
            break
    return found


def adjusted(p_values: Sequence[float]) -> list[float]:
    """Adjusted for many tests so that a share `level` of the discoveries is false at most
    (Benjamini and Hochberg, Journal of the Royal Statistical Society B 57, 1995).
    """
    order = sorted(range(len(p_values)), key=lambda i: -p_values[i])
    found, least = [1.0] * len(p_values), 1.0
    for place, i in enumerate(order):
        least = min(least, p_values[i] * len(p_values) / (len(p_values) - place))
        found[i] = least
    return found
