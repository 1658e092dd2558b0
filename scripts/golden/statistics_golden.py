"""Writes internal/statistics/testdata/golden.json: the same numbers through SciPy, statsmodels and numpy."""

import json
import pathlib

import numpy as np
import scipy
import scipy.sparse
import scipy.special
import scipy.stats
import statsmodels
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

ROOT = pathlib.Path(__file__).resolve().parents[2]
LEVEL = 0.95

# Accuracies of ten runs each, as test sets of 10,000 images give them: with ties.
A = [0.9863, 0.9858, 0.9865, 0.9872, 0.9839, 0.9854, 0.9868, 0.9861, 0.9858, 0.9849]
B = [0.9845, 0.9851, 0.9859, 0.9855, 0.9848, 0.9831, 0.9858, 0.9862, 0.9837, 0.9848]
C = [0.9868, 0.9829, 0.9868, 0.9827, 0.9868]


def pairs():
    """Samples to compare: ties, unequal sizes, one that hardly varies, far apart."""
    generator = np.random.default_rng(5)
    skewed = generator.exponential(size=8).tolist()
    return [(A, B), (A, C), (B, C), (C, [0.98, 0.98, 0.9801]), ([1.0, 2.0], [30.0, 41.0, 35.5]), (skewed, A[:8])]


def interval(low, high):
    return {"low": float(low), "high": float(high)}


def tied(difference):
    """|difference|, rounded: sums of the same accuracies in another order differ in the last bit, and SciPy would not count them as equal."""
    return np.round(abs(difference), 12)


def comparisons():
    for a, b in pairs():
        welch = scipy.stats.ttest_ind(a, b, equal_var=False)
        between = welch.confidence_interval(LEVEL)
        permuted = scipy.stats.permutation_test(
            (a, b), lambda x, y, axis: tied(x.mean(axis) - y.mean(axis)), vectorized=True, n_resamples=np.inf, alternative="greater"
        )
        case = {
            "a": a,
            "b": b,
            "welch": {"t": welch.statistic, "df": welch.df, "p": welch.pvalue, "interval": interval(*between)},
            "permutation": {"p": permuted.pvalue, "arrangements": len(permuted.null_distribution)},
        }
        if len(a) == len(b):
            paired = scipy.stats.ttest_rel(a, b)
            flipped = scipy.stats.permutation_test(
                (a, b), lambda x, y, axis: tied((x - y).mean(axis)), vectorized=True, permutation_type="samples", n_resamples=np.inf, alternative="greater"
            )
            case["paired"] = {"t": paired.statistic, "df": paired.df, "p": paired.pvalue, "interval": interval(*paired.confidence_interval(LEVEL))}
            case["paired_permutation"] = {"p": flipped.pvalue, "arrangements": len(flipped.null_distribution)}
        yield case


def predictions():
    for values in [A, B, C, [3.0, 9.0]]:
        n = len(values)
        scale = np.std(values, ddof=1) * np.sqrt(1 + 1 / n)
        yield {"values": values, "interval": interval(*scipy.stats.t.interval(LEVEL, n - 1, loc=np.mean(values), scale=scale))}


def bootstraps():
    """The resamples' statistics are in the file: from them the intervals follow exactly."""
    generator = np.random.default_rng(6)
    for name, statistic, values in [
        ("mean", np.mean, A),
        ("mean", np.mean, C),
        ("mean", np.mean, generator.exponential(size=12).tolist()),
        ("deviation", lambda x, axis: np.std(x, axis=axis, ddof=1), generator.exponential(size=12).tolist()),
    ]:
        case = {"statistic": name, "values": values}
        for method in ["percentile", "BCa"]:
            result = scipy.stats.bootstrap(
                (values,), statistic, n_resamples=499, confidence_level=LEVEL, method=method, rng=np.random.default_rng(7), vectorized=True
            )
            case[method] = interval(*result.confidence_interval)
            case["distribution"] = result.bootstrap_distribution.tolist()
            many = scipy.stats.bootstrap((values,), statistic, n_resamples=50_000, confidence_level=LEVEL, method=method, rng=np.random.default_rng(8))
            case[method + "_of_50000"] = interval(*many.confidence_interval)
        yield case


def proportions():
    for successes, n in [(0, 10), (10, 10), (1, 2), (3, 7), (9850, 10_000), (9999, 10_000), (2, 60_000)]:
        yield {
            "successes": successes,
            "n": n,
            "wilson": interval(*proportion_confint(successes, n, 1 - LEVEL, "wilson")),
            "clopper_pearson": interval(*proportion_confint(successes, n, 1 - LEVEL, "beta")),
        }


def mcnemars():
    for first, second in [(0, 1), (1, 0), (3, 3), (10, 2), (58, 71), (120, 60), (700, 500)]:
        exact = mcnemar([[9000, first], [second, 40]], exact=True)
        yield {"first": first, "second": second, "p": float(exact.pvalue)}


def holms():
    for p in [[0.01], [0.04, 0.01, 0.03], [0.5, 0.6, 0.001, 0.001, 1.0], [0.2, 0.9, 0.3, 0.02, 0.013, 0.0]]:
        yield {"p": p, "adjusted": multipletests(p, method="holm")[1].tolist()}


def calibrations():
    generator = np.random.default_rng(9)
    for n, classes, spread, bins in [(40, 3, 1.0, 5), (60, 10, 4.0, 15), (30, 2, 50.0, 10)]:
        logits = (generator.normal(size=(n, classes)) * spread).astype(np.float32)
        labels = np.where(generator.random(n) < 0.6, logits.argmax(1), generator.integers(classes, size=n))
        p = scipy.special.softmax(logits.astype(np.float64), axis=1)
        confidence, right = p.max(1), (p.argmax(1) == labels).astype(float)
        by_bin = lambda values, statistic: scipy.stats.binned_statistic(confidence, values, statistic, bins=bins, range=(0, 1)).statistic
        counts = by_bin(right, "count")
        yield {
            "logits": logits.ravel().tolist(),
            "classes": classes,
            "labels": labels.tolist(),
            "bins": bins,
            "counts": counts.astype(int).tolist(),
            "confidence": np.nan_to_num(by_bin(confidence, "mean")).tolist(),
            "accuracy": np.nan_to_num(by_bin(right, "mean")).tolist(),
            "ece": float(np.nansum(counts / n * abs(by_bin(right, "mean") - by_bin(confidence, "mean")))),
            "brier": float(((p - np.eye(classes)[labels]) ** 2).sum(1).mean()),
            "confusion": scipy.sparse.coo_array((np.ones(n, int), (labels, p.argmax(1))), shape=(classes, classes)).toarray().tolist(),
        }


def main():
    golden = {
        "generator": "scripts/golden/make-golden statistics",
        "scipy": scipy.__version__,
        "statsmodels": statsmodels.__version__,
        "numpy": np.__version__,
        "level": LEVEL,
        "comparisons": list(comparisons()),
        "predictions": list(predictions()),
        "bootstraps": list(bootstraps()),
        "proportions": list(proportions()),
        "mcnemar": list(mcnemars()),
        "holm": list(holms()),
        "calibration": list(calibrations()),
    }
    target = ROOT / "internal/statistics/testdata/golden.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    for key, value in golden.items():
        if isinstance(value, list):
            rows = ",\n".join("  " + json.dumps(case, default=float) for case in value)
            lines.append(f"{json.dumps(key)}: [\n{rows}\n]")
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(value)}")
    target.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{target.relative_to(ROOT)}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
