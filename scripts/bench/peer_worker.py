"""What PyTorch's and JAX's workers share: the inputs that Slipway wrote, and the loop of commands."""

import json
import sys
import time

import numpy as np
from safetensors import safe_open

import machine

# The peak of memory once the framework is imported: a worker imports it before this module.
IMPORTED = machine.peak_megabytes("self")


class Inputs:
    """The network, the optimizer, the first weights, the data and Slipway's order of it, from `slipway-bench inputs`."""

    def __init__(self, path):
        with safe_open(path, framework="np") as file:
            self.network = json.loads(file.metadata()["network"])
            self.optimizer = json.loads(file.metadata()["optimizer"])
            self.images = file.get_tensor("data.images")
            self.labels = file.get_tensor("data.labels").astype(np.int64)
            self.order = file.get_tensor("data.order").astype(np.int64)
            self.weights = {name.removeprefix("weights."): file.get_tensor(name)
                            for name in file.keys() if name.startswith("weights.")}

    @staticmethod
    def test_set(path):
        with safe_open(path, framework="np") as file:
            return file.get_tensor("test.images"), file.get_tensor("test.labels").astype(np.int64)

    def first_batches(self, size, count):
        """Indices of the batches with which Slipway's first epoch begins."""
        return [self.order[k * size:(k + 1) * size] for k in range(count)]


class FedOrder:
    """Indices of batch after batch; a new random order each epoch."""

    def __init__(self, count, batch, permutation):
        self.count, self.batch, self.permutation, self.at = count, batch, permutation, count

    def next(self):
        if self.at + self.batch > self.count:
            self.order, self.at = self.permutation(self.count), 0
        self.at += self.batch
        return self.order[self.at - self.batch:self.at]


def serve(side, version, images, batch):
    """side has step(k) → loss of the k-th step, on the first batches in turn; fed_step() → loss; wait(loss);
    number(loss); shuffle()."""
    shuffle = min(timed(side.shuffle) for _ in range(3))
    say({"version": version, "shuffle_seconds": shuffle, "images": images, "imported_mb": IMPORTED})
    done = 0
    for line in sys.stdin:
        command = json.loads(line)
        losses, loss = [], None
        began = time.perf_counter()
        for _ in range(command["steps"]):
            if command.get("fed"):
                loss = side.fed_step()
            else:
                loss = side.step(done)
                done += 1
            if command.get("losses"):
                losses.append(side.number(loss))
        side.wait(loss)
        answer = {"seconds": time.perf_counter() - began, "trained": batch * command["steps"]}
        if losses:
            answer["losses"] = losses
        say(answer)


def timed(call):
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def say(answer):
    print(json.dumps(answer), flush=True)


def unavailable(reason):
    say({"unavailable": " ".join(str(reason).split())[:300]})
    sys.exit(0)


# The batches that are kept ready as float32 for steps without feeding.
READY = 8
