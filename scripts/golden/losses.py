"""Golden values of the losses, for internal/ops/testdata: PyTorch's and timm's, in float64 of float32 inputs; and
scikit-learn's balanced class weights, for train/testdata."""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.utils.class_weight import compute_class_weight
from timm.data.mixup import mixup_target
from timm.loss import SoftTargetCrossEntropy

from golden_file import Golden, backward

INF, NAN = float("inf"), float("nan")


def uniform(generator, *shape):
    return torch.rand(*shape, generator=generator) * 2 - 1


def labels_of(generator, batch, classes):
    return torch.randint(0, classes, (batch,), generator=generator)


def weights_of(generator, classes):
    """Powers of two between 1/8 and 8 and their like, which JSON writes exactly."""
    return torch.randint(1, 64, (classes,), generator=generator).double() / 8


def focal(x, labels, gamma, weight=None):
    """Lin et al. (2017), equation 5, with the weights for α and the mean of F.cross_entropy."""
    log_p = F.log_softmax(x, 1).gather(1, labels[:, None])[:, 0]
    each = (1 - log_p.exp()) ** gamma * -log_p
    weight = torch.ones(x.shape[1]).double() if weight is None else weight
    return (weight[labels] * each).sum() / weight[labels].sum()


def softmax_losses(g):
    golden = Golden()

    def add(name, logits, settings, loss, **targets):
        x = logits.double().requires_grad_()
        y = loss(x)
        dy = torch.rand((), generator=g).double() + 0.5
        golden.add(name, {"loss": settings}, x=x, y=y, dy=dy, dx=backward(y, dy, x)[0],
                   **{key: value.int() if key != "shares" else value for key, value in targets.items()})

    def cross_entropy(name, logits, labels, smoothing=0.0, weight=None):
        settings = {"smoothing": smoothing, "weights": None if weight is None else weight.tolist()}
        add(name, logits, settings, lambda x: F.cross_entropy(x, labels, weight, label_smoothing=smoothing), labels=labels)

    def mixed(name, logits, labels, lam, smoothing=0.0, weight=None, gamma=0.0):
        """As Zhang et al. (2018) have it: the loss of either label to its share. A share is float32."""
        lam = torch.tensor(lam, dtype=torch.float32).double().item()
        others = labels.flip(0)
        settings = {"smoothing": smoothing, "gamma": gamma, "weights": None if weight is None else weight.tolist()}

        def criterion(x, y):
            if gamma:
                return focal(x, y, gamma, weight)
            return F.cross_entropy(x, y, weight, label_smoothing=smoothing)

        add(name, logits, settings, lambda x: lam * criterion(x, labels) + (1 - lam) * criterion(x, others),
            labels=labels, others=others, shares=torch.full((len(labels),), lam))

    cross_entropy("cross-entropy", uniform(g, 32, 10) * 5, labels_of(g, 32, 10))
    cross_entropy("one class", uniform(g, 3, 1), torch.zeros(3, dtype=torch.int64), 0.1)
    cross_entropy("smoothed", uniform(g, 32, 10) * 5, labels_of(g, 32, 10), 0.1)
    cross_entropy("smoothed to the full", uniform(g, 7, 5), labels_of(g, 7, 5), 1.0)
    cross_entropy("weighted", uniform(g, 32, 10) * 5, labels_of(g, 32, 10), 0.0, weights_of(g, 10))
    cross_entropy("weighted and smoothed", uniform(g, 70, 6) * 5, labels_of(g, 70, 6), 0.2, weights_of(g, 6))
    cross_entropy("many classes", uniform(g, 3, 1000) * 5, labels_of(g, 3, 1000), 0.1, weights_of(g, 1000))
    huge = torch.tensor([[1e4, -1e4, 0.0], [3e38, -3e38, 1.0], [-1e4, -1e4, -1e4], [88.8, 89.9, 90.1]])
    cross_entropy("huge logits", huge, torch.tensor([1, 0, 2, 0]), 0.1, weights_of(g, 3))
    infinite = torch.tensor([[-INF, 1.0, 2.0], [0.5, -INF, -INF], [1.0, 2.0, 3.0]])
    cross_entropy("−∞", infinite, torch.tensor([1, 0, 2]), 0.0, weights_of(g, 3))
    cross_entropy("−∞, smoothed", infinite, torch.tensor([1, 0, 2]), 0.1)
    cross_entropy("NaN and +∞", torch.tensor([[NAN, 1.0, 2.0], [1.0, INF, 2.0], [1.0, 2.0, 3.0]]), torch.tensor([1, 2, 2]),
                  0.1, weights_of(g, 3))

    for gamma in [0.5, 1.0, 2.0, 5.0]:
        logits, labels = uniform(g, 32, 10) * 5, labels_of(g, 32, 10)
        add(f"focal, γ = {gamma}", logits, {"gamma": gamma}, lambda x: focal(x, labels, gamma), labels=labels)
    logits, labels, weight = uniform(g, 33, 4) * 3, labels_of(g, 33, 4), weights_of(g, 4)
    add("focal, weighted", logits, {"gamma": 2.0, "weights": weight.tolist()}, lambda x: focal(x, labels, 2.0, weight),
        labels=labels)

    mixed("mixed", uniform(g, 8, 5) * 5, labels_of(g, 8, 5), 0.7)
    mixed("mixed, an odd batch", uniform(g, 7, 5) * 5, labels_of(g, 7, 5), 0.3)
    mixed("mixed, smoothed and weighted", uniform(g, 70, 6) * 5, labels_of(g, 70, 6), 0.9, 0.1, weights_of(g, 6))
    mixed("mixed, focal and weighted", uniform(g, 8, 5) * 5, labels_of(g, 8, 5), 0.6, weight=weights_of(g, 5), gamma=2.0)

    lam = torch.tensor(0.8, dtype=torch.float32).double().item()
    logits, labels = uniform(g, 16, 10) * 5, labels_of(g, 16, 10)
    target = mixup_target(labels, 10, lam, 0.1).double()
    add("as timm mixes labels", logits, {"smoothing": 0.1}, lambda x: SoftTargetCrossEntropy()(x, target),
        labels=labels, others=labels.flip(0), shares=torch.full((16,), lam))
    golden.write("internal/ops/testdata/softmaxloss.safetensors")


def binary_losses(g):
    golden = Golden()

    def add(name, logits, labels, smoothing=0.0, weight=None, lam=None):
        x = logits.double().requires_grad_()
        share = 1.0 if lam is None else torch.tensor(lam, dtype=torch.float32).double().item()
        target = mixup_target(labels, x.shape[1], share, smoothing).double()
        y = F.binary_cross_entropy_with_logits(x, target, pos_weight=weight)
        dy = torch.rand((), generator=g).double() + 0.5
        settings = {"smoothing": smoothing, "weights": None if weight is None else weight.tolist()}
        mixed = {} if lam is None else {"others": labels.flip(0).int(), "shares": torch.full((len(labels),), share)}
        golden.add(name, {"loss": settings}, x=x, y=y, dy=dy, dx=backward(y, dy, x)[0], labels=labels.int(), **mixed)

    add("one unit", uniform(g, 5, 1) * 5, torch.zeros(5, dtype=torch.int64))
    add("plain", uniform(g, 32, 10) * 5, labels_of(g, 32, 10))
    add("smoothed", uniform(g, 32, 10) * 5, labels_of(g, 32, 10), 0.1)
    add("weighted", uniform(g, 70, 6) * 5, labels_of(g, 70, 6), 0.0, weights_of(g, 6))
    add("mixed", uniform(g, 8, 5) * 5, labels_of(g, 8, 5), lam=0.7)
    add("everything", uniform(g, 7, 1000) * 5, labels_of(g, 7, 1000), 0.2, weights_of(g, 1000), 0.3)
    add("huge logits", torch.tensor([[1e4, -1e4, 0.0], [3e38, -3e38, 1.0], [88.8, -89.9, 90.1]]), torch.tensor([1, 0, 2]), 0.1)
    add("NaN and infinities", torch.tensor([[NAN, 1.0, 2.0], [1.0, INF, 2.0], [-INF, 2.0, 3.0]]), torch.tensor([1, 2, 2]), 0.1)
    golden.write("internal/ops/testdata/binaryloss.safetensors")


def multi_label_losses(g):
    """Targets with any number of 1s: mixed, each of a batch with its mirror image, and smoothed to ε/2 and 1−ε/2."""
    golden = Golden()

    def add(name, logits, sets, smoothing=0.0, weight=None, lam=None):
        x = logits.double().requires_grad_()
        share = 1.0 if lam is None else torch.tensor(lam, dtype=torch.float32).double().item()
        target = sets.double()
        target = (1 - smoothing) * (share * target + (1 - share) * target.flip(0)) + smoothing / 2
        y = torch.nn.BCEWithLogitsLoss(pos_weight=weight)(x, target)
        dy = torch.rand((), generator=g).double() + 0.5
        settings = {"smoothing": smoothing, "weights": None if weight is None else weight.tolist()}
        mixed = {} if lam is None else {"shares": torch.full((len(sets),), share)}
        golden.add(name, {"loss": settings}, x=x, y=y, dy=dy, dx=backward(y, dy, x)[0], sets=sets.int(), **mixed)

    def sets_of(batch, labels):
        return torch.randint(0, 2, (batch, labels), generator=g)

    add("one label", uniform(g, 5, 1) * 5, sets_of(5, 1))
    add("plain", uniform(g, 32, 10) * 5, sets_of(32, 10))
    add("no label and all", uniform(g, 2, 4) * 5, torch.tensor([[0, 0, 0, 0], [1, 1, 1, 1]]))
    add("smoothed", uniform(g, 32, 10) * 5, sets_of(32, 10), 0.1)
    add("weighted", uniform(g, 70, 6) * 5, sets_of(70, 6), 0.0, weights_of(g, 6))
    add("mixed", uniform(g, 8, 5) * 5, sets_of(8, 5), lam=0.7)
    add("everything", uniform(g, 7, 80) * 5, sets_of(7, 80), 0.2, weights_of(g, 80), 0.3)
    huge = torch.tensor([[1e4, -1e4, 0.0], [3e38, -3e38, 1.0], [88.8, -89.9, 90.1]])
    add("huge logits", huge, torch.tensor([[0, 1, 1], [1, 0, 0], [0, 0, 1]]))
    golden.write("internal/ops/testdata/multilabelloss.safetensors")


def class_weights(g):
    golden = Golden()
    for classes, shares in [(2, [50, 1]), (3, [1, 1, 1]), (10, list(range(1, 11)))]:
        labels = torch.cat([torch.full((7 * share,), k) for k, share in enumerate(shares)])
        labels = labels[torch.randperm(len(labels), generator=g)].numpy()
        golden.add(f"{classes} classes", {}, labels=labels.astype(np.int32),
                   weights=compute_class_weight("balanced", classes=np.arange(classes), y=labels))
    golden.write("train/testdata/classweights.safetensors")


def main():
    for loss in [softmax_losses, binary_losses, multi_label_losses, class_weights]:
        # A seed each, so that a case added to one file leaves the others as they are.
        loss(torch.Generator().manual_seed(sum(loss.__name__.encode())))


if __name__ == "__main__":
    main()
