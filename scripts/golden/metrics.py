"""Writes metrics/testdata/golden.json: the figures of the same scores by scikit-learn.

What scikit-learn calls undefined (nan, with a warning) is null. A mean over classes that are not all
defined is numpy's nanmean of scikit-learn's figures of each class.
"""

import json
import pathlib
import warnings

import numpy as np
import scipy.special
import scipy.stats
import sklearn
from sklearn import metrics

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINS = 15


def value(x):
    return None if np.isnan(x) or np.isinf(x) else float(x)


def numbers(scores):
    """The float32 in as few digits as read back as the same."""
    return [float(str(x)) for x in scores.ravel()]


def values(array):
    return [value(x) for x in array]


def nanmean(array):
    return value(np.nanmean(array)) if not np.all(np.isnan(array)) else None


def ranking(positive, scores):
    """Area and average precision, nan where there is no positive, the area also without a negative."""
    area = metrics.roc_auc_score(positive, scores) if 0 < positive.sum() < len(positive) else np.nan
    average = metrics.average_precision_score(positive, scores) if positive.any() else np.nan
    return area, average


def single(name, scores, labels, classes, probabilities=False, k=5):
    scores, labels = np.asarray(scores, np.float32), np.asarray(labels)
    p = scores.astype(np.float64) if probabilities else scipy.special.softmax(scores.astype(np.float64), axis=1)
    answers, every = scores.argmax(1), np.arange(classes)
    precision, recall, f1, support = metrics.precision_recall_fscore_support(labels, answers, labels=every, zero_division=np.nan)
    areas, averages = np.array([ranking(labels == c, p[:, c]) for c in every]).T
    confidence, right = p.max(1), (answers == labels).astype(float)
    by_bin = lambda what, statistic: scipy.stats.binned_statistic(confidence, what, statistic, bins=BINS, range=(0, 1)).statistic
    counts = by_bin(right, "count")
    case = {
        "name": name,
        "scores": numbers(scores),
        "labels": labels.tolist(),
        "classes": classes,
        "probabilities": probabilities,
        "top_k": k,
        "accuracy": metrics.accuracy_score(labels, answers),
        "balanced_accuracy": value(metrics.balanced_accuracy_score(labels, answers)),
        "macro_precision": nanmean(precision),
        "macro_f1": nanmean(f1),
        "roc_auc": nanmean(areas),
        "average_precision": nanmean(averages),
        "log_loss": value(metrics.log_loss(labels, p, labels=every)) if not (p == 0).any() else None,
        "brier_score": float(((p - np.eye(classes)[labels]) ** 2).sum(1).mean()),
        "ece": float(np.nansum(counts / len(labels) * abs(by_bin(right, "mean") - by_bin(confidence, "mean")))),
        "precision": values(precision),
        "recall": values(recall),
        "f1": values(f1),
        "support": support.astype(int).tolist(),
        "class_roc_auc": values(areas),
        "class_average_precision": values(averages),
    }
    if classes > k:
        case["top_k_accuracy"] = float(metrics.top_k_accuracy_score(labels, scores, k=k, labels=every))
    if len(set(labels.tolist())) == classes and classes > 2:
        # The mean over classes is scikit-learn's own where it has one.
        assert np.isclose(case["roc_auc"], metrics.roc_auc_score(labels, p, multi_class="ovr", average="macro"))
        assert np.isclose(case["average_precision"], metrics.average_precision_score(labels, p, average="macro"))
        assert np.isclose(case["macro_f1"], metrics.f1_score(labels, answers, average="macro"))
    return case


def singles():
    generator = np.random.default_rng(11)

    def drawn(n, classes, spread=2.0, agree=0.6):
        logits = np.round(generator.normal(size=(n, classes)) * spread, 4).astype(np.float32)
        labels = np.where(generator.random(n) < agree, logits.argmax(1), generator.integers(classes, size=n))
        return logits, labels

    for n, classes in [(60, 3), (200, 10), (40, 2), (60, 37)]:
        yield single(f"{classes} classes", *drawn(n, classes), classes)
    yield single("top 3 of 10", *drawn(100, 10), 10, k=3)
    logits, labels = drawn(80, 6)
    yield single("a class without images", logits, np.where(labels == 4, 1, labels), 6)
    logits, labels = drawn(80, 4)
    logits[:, 2] -= 20
    yield single("a class that is never answered", logits, labels, 4)
    logits, labels = drawn(80, 5)
    logits[:, 3] -= 20
    yield single("a class without images and answers", logits, np.where(labels == 3, 0, labels), 5)
    logits, _ = drawn(30, 3)
    yield single("labels of one class only", logits, np.zeros(30, int), 3)
    logits, _ = drawn(50, 4)
    yield single("perfect", logits, logits.argmax(1), 4)
    yield single("all wrong", logits, (logits.argmax(1) + 1) % 4, 4)
    yield single("one image", logits[:1], [2], 4)
    # Probabilities in eighths: many ties, which are the same in any arithmetic.
    eighths = generator.multinomial(8, [0.5, 0.3, 0.2], size=120) / 8
    yield single("ties", eighths, generator.integers(3, size=120), 3, probabilities=True)
    yield single("all scores equal", np.full((20, 4), 0.25), generator.integers(4, size=20), 4, probabilities=True)


def several(name, scores, targets, threshold):
    scores, targets = np.asarray(scores, np.float32), np.asarray(targets, bool)
    told = scores > threshold
    precision, recall, f1, support = metrics.precision_recall_fscore_support(targets, told, zero_division=np.nan)
    areas, averages = np.array([ranking(targets[:, j], scores[:, j]) for j in range(targets.shape[1])]).T
    micro = metrics.f1_score(targets, told, average="micro", zero_division=np.nan)
    return {
        "name": name,
        "scores": numbers(scores),
        "targets": targets.ravel().tolist(),
        "labels": targets.shape[1],
        "threshold": threshold,
        "subset_accuracy": float(metrics.accuracy_score(targets, told)),
        "hamming_loss": float(metrics.hamming_loss(targets, told)),
        "mean_average_precision": nanmean(averages),
        "roc_auc": nanmean(areas),
        "macro_f1": nanmean(f1),
        "micro_f1": value(micro),
        "precision": values(precision),
        "recall": values(recall),
        "f1": values(f1),
        "support": support.astype(int).tolist(),
        "class_roc_auc": values(areas),
        "class_average_precision": values(averages),
    }


def multilabels():
    generator = np.random.default_rng(12)
    targets = generator.random((70, 5)) < 0.3
    scores = np.round(generator.normal(size=(70, 5)) + 1.5 * targets - 0.5, 4)
    yield several("5 labels", scores, targets, 0.0)
    none = targets.copy()
    none[:, 1], none[:, 3] = False, True
    yield several("a label that no image has, one that all have", scores, none, 0.0)
    yield several("ties", np.round(scores * 2) / 2, targets, 0.25)
    yield several("perfect", np.where(targets, 1.0, -1.0), targets, 0.0)
    yield several("all wrong", np.where(targets, -1.0, 1.0), targets, 0.0)
    yield several("nothing to find, nothing told", -abs(scores) - 0.1, np.zeros_like(targets), 0.0)


def main():
    # What is undefined is wanted as nan.
    warnings.simplefilter("ignore")
    golden = {
        "generator": "scripts/golden/make-golden metrics",
        "scikit_learn": sklearn.__version__,
        "single_label": list(singles()),
        "multi_label": list(multilabels()),
    }
    target = ROOT / "metrics/testdata/golden.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    for key, part in golden.items():
        if isinstance(part, list):
            rows = ",\n".join("  " + json.dumps(case, default=float, allow_nan=False) for case in part)
            lines.append(f"{json.dumps(key)}: [\n{rows}\n]")
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(part)}")
    target.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{target.relative_to(ROOT)}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
