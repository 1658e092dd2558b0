"""Golden values of mixup and cutmix: timm's mixed images and targets, for train/testdata, of shares and places that
stand in for what it draws; and quantiles of Beta(a, b) from SciPy, for internal/random/testdata."""

from unittest import mock

import numpy as np
import scipy.stats
import torch
from timm.data import Mixup

from golden_file import Golden


def mixed(g):
    golden = Golden()
    for name, shape, cutmix, share, row, column, smoothing in [
        ("mixup", (6, 3, 5, 7), False, 0.7, 0, 0, 0.0),
        ("mixup, the other image's share is larger, smoothed", (4, 1, 6, 6), False, 0.21, 0, 0, 0.1),
        ("mixup, halves", (2, 2, 3, 3), False, 0.5, 0, 0, 0.0),
        ("mixup, nothing of it", (4, 2, 3, 3), False, 0.0, 0, 0, 0.0),
        ("mixup, all of it", (4, 2, 3, 3), False, 1.0, 0, 0, 0.1),
        ("cutmix", (6, 3, 8, 10), True, 0.6, 4, 5, 0.0),
        ("cutmix, odd sides", (4, 2, 9, 11), True, 0.5, 5, 4, 0.1),
        ("cutmix at the corner", (4, 2, 9, 11), True, 0.3, 0, 10, 0.0),
        ("cutmix at the bottom", (4, 3, 12, 8), True, 0.4, 11, 3, 0.1),
        ("cutmix of all", (4, 3, 6, 6), True, 0.0, 3, 3, 0.0),
        ("cutmix of nothing", (4, 3, 6, 6), True, 0.99, 3, 3, 0.1),
    ]:
        x = torch.rand(*shape, generator=g) * 4 - 2
        labels = torch.randint(0, 5, shape[:1], generator=g)
        mixup = Mixup(mixup_alpha=0.0 if cutmix else 1.0, cutmix_alpha=1.0 if cutmix else 0.0, label_smoothing=smoothing,
                      num_classes=5)
        places = iter([row, column])
        with mock.patch("numpy.random.rand", lambda: 0.0), mock.patch("numpy.random.beta", lambda a, b: share), \
                mock.patch("numpy.random.randint", lambda low, high, size=None: next(places)):
            y, target = mixup(x.clone(), labels)
        golden.add(name, {"mix": {"cuts": cutmix, "share": share, "row": row, "column": column, "smoothing": smoothing}},
                   x=x, labels=labels.int(), y=y, target=target)
    golden.write("train/testdata/mixing.safetensors")


def quantiles():
    golden = Golden()
    q = np.array([0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99])
    for a, b in [(0.1, 0.1), (0.2, 0.2), (0.4, 0.4), (0.8, 0.8), (1, 1), (2, 2), (32, 32), (0.5, 3), (5, 1.5)]:
        x = scipy.stats.beta.ppf(q, a, b)
        kept = x < 0.9999  # what a float32 tells from 1
        golden.add(f"{a}, {b}", {"beta": [a, b]}, q=q[kept], x=x[kept])
    golden.write("internal/random/testdata/beta.safetensors", scipy=scipy.__version__)


def main():
    mixed(torch.Generator().manual_seed(7))
    quantiles()


if __name__ == "__main__":
    main()
