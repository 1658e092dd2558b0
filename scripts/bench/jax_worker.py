"""JAX's worker: jax_worker.py INPUTS BATCH THREADS CONFIG. See peer_worker.py.

One jit-compiled function is the whole step: forward, loss, backward and Adam, its arguments donated. Maps are N×H×W×C,
which XLA's CPU convolution wants."""

import functools
import sys

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from peer_worker import READY, FedOrder, Inputs, pair, serve

# How a configuration pools; jit: the network has no pooling layer.
CONFIGS = ("jit", "jit, reduce_window pooling", "jit, reshape pooling")


def pooled(x, layer, maximum, form):
    kernel, stride, padding = pair(layer["kernel"]), pair(layer["stride"]), pair(layer["padding"])
    if form == "jit, reshape pooling":
        n, h, w, c = x.shape
        if kernel != stride or padding != (0, 0) or h % kernel[0] or w % kernel[1]:
            raise ValueError(f"pooling {kernel}, stride {stride}, padding {padding} of {h}×{w} is no reshape")
        windows = x.reshape(n, h // kernel[0], kernel[0], w // kernel[1], kernel[1], c)
        return windows.max(axis=(2, 4)) if maximum else windows.mean(axis=(2, 4))
    window = ((1, *kernel, 1), (1, *stride, 1), ((0, 0), *((p, p) for p in padding), (0, 0)))
    if maximum:
        return lax.reduce_window(x, -jnp.inf, lax.max, *window)
    return lax.reduce_window(x, 0.0, lax.add, *window) / (kernel[0] * kernel[1])


def forward(weights, x, layers, form):
    for entry in layers:
        layer, kind = entry["layer"], entry["kind"]
        name = layer["name"]
        if kind == "Conv2D":
            x = lax.conv_general_dilated(
                x, weights[name + ".weight"], pair(layer["stride"]), [(p, p) for p in pair(layer["padding"])],
                dimension_numbers=("NHWC", "HWIO", "NHWC")) + weights[name + ".bias"]
        elif kind in ("MaxPool2D", "AvgPool2D"):
            x = pooled(x, layer, kind == "MaxPool2D", form)
        elif kind == "ReLU":
            x = jax.nn.relu(x)
        elif kind == "Flatten":
            x = x.reshape(x.shape[0], -1)
        elif kind == "Dense":
            x = x @ weights[name + ".weight"] + weights[name + ".bias"]
        else:
            raise ValueError(f"layer {kind} is not known here")
    return x


def cross_entropy(weights, x, y, layers, form):
    logits = jax.nn.log_softmax(forward(weights, x.astype(jnp.float32), layers, form))
    return -jnp.mean(jnp.take_along_axis(logits, y[:, None], axis=1))


def adam(weights, gradients, m, v, t, rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8):
    """Kingma and Ba, ICLR 2015, with epsilon where PyTorch has it."""
    m = jax.tree.map(lambda m, g: beta1 * m + (1 - beta1) * g, m, gradients)
    v = jax.tree.map(lambda v, g: beta2 * v + (1 - beta2) * g * g, v, gradients)
    scale, root = rate / (1 - beta1**t), jnp.sqrt(1 - beta2**t)
    weights = jax.tree.map(lambda w, m, v: w - scale * m / (jnp.sqrt(v) / root + epsilon), weights, m, v)
    return weights, m, v


def arranged(network, weights):
    """Slipway's weights as JAX's: filters H×W×I×O, dense In×Out with the inputs of a flattened map in the order H×W×C."""
    arranged, shape = dict(weights), tuple(network["input"])
    flattened = None
    for entry in network["layers"]:
        layer, kind = entry["layer"], entry["kind"]
        if kind == "Conv2D":
            name = layer["name"] + ".weight"
            arranged[name] = weights[name].transpose(2, 3, 1, 0)
        if kind in ("Conv2D", "MaxPool2D", "AvgPool2D"):
            size = [(n + 2 * p - k) // s + 1 for n, p, k, s in zip(
                shape[1:], pair(layer["padding"]), pair(layer["kernel"]), pair(layer["stride"]))]
            shape = (layer.get("filters", shape[0]), *size)
        if kind == "Flatten":
            flattened = shape
        if kind == "Dense":
            name = layer["name"] + ".weight"
            w = weights[name]
            if flattened:
                w = w.reshape(len(w), *flattened).transpose(0, 2, 3, 1).reshape(len(w), -1)
            arranged[name], flattened = w.T, None
    return {name: jnp.asarray(np.ascontiguousarray(value)) for name, value in arranged.items()}


class Side:
    def __init__(self, inputs, batch, config):
        layers = inputs.network["layers"]

        @functools.partial(jax.jit, donate_argnums=(0,))
        def step(state, x, y):
            weights, m, v, t = state
            loss, gradients = jax.value_and_grad(cross_entropy)(weights, x, y, layers, config)
            return (*adam(weights, gradients, m, v, t + 1), t + 1), loss

        self.jitted = step
        weights = arranged(inputs.network, inputs.weights)
        zeros = {name: jnp.zeros_like(value) for name, value in weights.items()}
        self.state = (weights, zeros, {name: jnp.zeros_like(value) for name, value in weights.items()}, jnp.float32(0))
        self.images = np.ascontiguousarray(inputs.images.transpose(0, 2, 3, 1))
        self.labels = inputs.labels.astype(np.int32)
        self.ready = [(jnp.asarray(self.images[i], dtype=jnp.float32), jnp.asarray(self.labels[i]))
                      for i in inputs.first_batches(batch, READY)]
        self.order = FedOrder(len(self.labels), batch, np.random.default_rng(1).permutation)

    def step(self, k):
        self.state, loss = self.jitted(self.state, *self.ready[k % READY])
        return loss

    def fed_step(self):
        """Hands the bytes over: they become float32 within the compiled step."""
        indices = self.order.next()
        self.state, loss = self.jitted(self.state, self.images[indices], self.labels[indices])
        return loss

    def shuffle(self):
        np.random.default_rng(1).permutation(len(self.labels))

    def wait(self, loss):
        jax.block_until_ready((self.state, loss))

    def number(self, loss):
        return float(loss)


def main():
    inputs, batch, config = Inputs(sys.argv[1]), int(sys.argv[2]), sys.argv[4]
    if config not in CONFIGS:
        sys.exit(f"jax_worker: unknown configuration {config!r}; there are {CONFIGS}")
    serve(Side(inputs, batch, config), f"JAX {jax.__version__}", len(inputs.labels), batch)


if __name__ == "__main__":
    main()
