"""Fits the polynomial of normal.go. Run it as: python3 internal/kernel/normal.py

It interpolates g(t)/t, g = Φ(−a)·e^(a²/2), t = C/(C + a), at Chebyshev's points of 0 ≤ a ≤ 15, where Φ(−a)·a is below the
smallest float32, and prints the coefficients from the constant on, and the largest relative error at points between. It
needs numpy.
"""

import math

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial

DEGREE, C, LAST = 10, 3, 15


def scaled(a):
    """Φ(−a)·e^(a²/2) = erfc(a/√2)·e^(a²/2)/2; far out, where erfc underflows, by its continued fraction."""
    if a < 5:
        return math.erfc(a / math.sqrt(2)) * math.exp(a * a / 2) / 2
    fraction = a
    for k in range(200, 0, -1):
        fraction = a + k / fraction
    return 1 / (fraction * math.sqrt(2 * math.pi))


def function(t):
    return np.array([scaled(max(0, C / one - C)) / one for one in t])


polynomial = Chebyshev.interpolate(function, DEGREE, domain=[C / (C + LAST), 1]).convert(kind=Polynomial)
t = np.linspace(C / (C + LAST), 1, 20011)
error = np.max(np.abs(polynomial(t) / function(t) - 1))
print(", ".join(f"{c:.17g}" for c in polynomial.coef))
print(f"relative error at most {error:.2g}")
