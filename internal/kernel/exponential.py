"""Fits the polynomial q by which asm/exponential.go computes e^r = 1 + r + r^2·q(r) for |r| ≤ ln(2)/2: a Chebyshev fit, whose
error is nearly the least that a polynomial of its degree has. Prints the coefficients, the highest power first, and the largest
error found, relative to e^r.

    python3 internal/kernel/exponential.py        (numpy)
"""

import numpy as np

DEGREE = 6
limit = np.log(2) / 2 * 1.0001


def exact(r):
    """(e^r − 1 − r)/r² by its series, which does not cancel."""
    term, total = np.full_like(r, 0.5), np.zeros_like(r)
    for k in range(3, 24):
        total += term
        term = term * r / k
    return total


nodes = limit * np.cos(np.pi * (np.arange(200) + 0.5) / 200)
fit = np.polynomial.chebyshev.Chebyshev.fit(nodes, exact(nodes), DEGREE, domain=[-limit, limit])
q = fit.convert(kind=np.polynomial.Polynomial, domain=[-1, 1], window=[-1, 1]).coef
r = np.linspace(-limit, limit, 200001)
error = np.abs((np.polynomial.polynomial.polyval(r, q) - exact(r)) * r * r / np.exp(r)).max()
print("\n".join(repr(float(c)) for c in q[::-1]))
print(f"largest error: {error:.1e}")
