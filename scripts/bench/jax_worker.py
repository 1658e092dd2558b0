"""JAX's worker: jax_worker.py INPUTS BATCH THREADS CONFIG. See peer_worker.py.

One jit-compiled function is the whole step: forward, loss, backward and the optimizer, its arguments donated. Maps are N×H×W×C,
which XLA's CPU convolution wants. Running statistics of batch normalisation are part of the state that a step takes and gives."""

import functools
import sys

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from network import INPUT, padding, pair, places
from peer_worker import READY, FedOrder, Inputs, serve

# How a configuration pools; jit: the network has no pooling layer.
CONFIGS = ("jit", "jit, reduce_window pooling", "jit, reshape pooling")


def pooled(x, layer, maximum, form):
    kernel, stride, around = pair(layer["kernel"]), pair(layer["stride"]), pair(layer["padding"])
    if form == "jit, reshape pooling":
        n, h, w, c = x.shape
        if kernel != stride or around != (0, 0) or h % kernel[0] or w % kernel[1]:
            raise ValueError(f"pooling {kernel}, stride {stride}, padding {around} of {h}×{w} is no reshape")
        windows = x.reshape(n, h // kernel[0], kernel[0], w // kernel[1], kernel[1], c)
        return windows.max(axis=(2, 4)) if maximum else windows.mean(axis=(2, 4))
    window = ((1, *kernel, 1), (1, *stride, 1), ((0, 0), *((p, p) for p in around), (0, 0)))
    if maximum:
        return lax.reduce_window(x, -jnp.inf, lax.max, *window)
    return lax.reduce_window(x, 0.0, lax.add, *window) / (kernel[0] * kernel[1])


def normalised(x, layer, weights, statistics):
    """Batch normalisation in training, and the statistics after it. The variance is E[x²] − E[x]², in one pass over x, as flax
    takes it."""
    name, axes = layer["name"], tuple(range(x.ndim - 1))
    count = x.size // x.shape[-1]
    mean = x.mean(axes)
    variance = jnp.maximum(0, jnp.square(x).mean(axes) - jnp.square(mean))
    momentum = layer.get("momentum", 0.1)
    after = {}
    for suffix, value in (("running_mean", mean), ("running_var", variance * (count / max(1, count - 1)))):
        before = statistics[f"{name}.{suffix}"]
        after[f"{name}.{suffix}"] = before + momentum * (value - before)
    scale = weights[name + ".weight"] * lax.rsqrt(variance + layer.get("epsilon", 1e-5))
    return (x - mean) * scale + weights[name + ".bias"], after


def affine(x, name, weights):
    return x + weights[name + ".bias"] if name + ".bias" in weights else x


def forward(weights, statistics, x, network, form):
    """The logits, and the running statistics after this batch."""
    values, after = {INPUT: x}, {}
    for place in places(network):
        layer, kind, name = place.layer, place.kind, place.name
        x, *others = (values[one] for one in place.inputs)
        if kind == "Conv2D":
            x = affine(lax.conv_general_dilated(
                x, weights[name + ".weight"], pair(layer["stride"]), padding(layer),
                dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=layer.get("groups", 1)), name, weights)
        elif kind == "BatchNorm":
            x, seen = normalised(x, layer, weights, statistics)
            after |= seen
        elif kind in ("MaxPool2D", "AvgPool2D"):
            x = pooled(x, layer, kind == "MaxPool2D", form)
        elif kind == "GlobalAvgPool":
            x = x.mean((1, 2), keepdims=True)
        elif kind in ("ReLU", "ReLU6"):
            x = jax.nn.relu(x) if kind == "ReLU" else jax.nn.relu6(x)
        elif kind == "Sigmoid":
            x = jax.nn.sigmoid(x)
        elif kind == "Flatten":
            x = x.reshape(x.shape[0], -1)
        elif kind == "Dense":
            x = affine(x @ weights[name + ".weight"], name, weights)
        elif kind in ("Add", "Mul"):
            for other in others:
                x = x + other if kind == "Add" else x * other
        elif kind != "Dropout" or layer.get("p"):
            raise ValueError(f"layer {name}: {kind} is not known here")
        values[name] = x
    return x, after


def cross_entropy(weights, statistics, x, y, network, form):
    logits, after = forward(weights, statistics, x.astype(jnp.float32), network, form)
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1)), after


def sgd(weights, gradients, velocity, config):
    """Momentum as PyTorch has it: v = μ·v + g, w −= rate·v; the decay is part of g."""
    rate, momentum, decay = config["learning_rate"], config.get("momentum", 0), config.get("weight_decay", 0)
    velocity = jax.tree.map(lambda v, g, w: momentum * v + (g + decay * w), velocity, gradients, weights)
    return jax.tree.map(lambda w, v: w - rate * v, weights, velocity), velocity


def optimizer(config, weights):
    """The first state of an optimizer, and its function of weights, gradients and state."""
    def zeros():
        return jax.tree.map(jnp.zeros_like, weights)
    if config["name"] == "adam" and not config.get("weight_decay"):
        def step(weights, gradients, state):
            m, v, t = state
            weights, m, v = adam(weights, gradients, m, v, t + 1, config["learning_rate"], config["beta1"], config["beta2"],
                                 config["epsilon"])
            return weights, (m, v, t + 1)
        return (zeros(), zeros(), jnp.float32(0)), step
    if config["name"] == "sgd" and not config.get("nesterov"):
        return zeros(), lambda weights, gradients, state: sgd(weights, gradients, state, config)
    raise ValueError(f"optimizer {config} is not known here")


def adam(weights, gradients, m, v, t, rate, beta1, beta2, epsilon):
    """Kingma and Ba, ICLR 2015, with epsilon where PyTorch has it."""
    m = jax.tree.map(lambda m, g: beta1 * m + (1 - beta1) * g, m, gradients)
    v = jax.tree.map(lambda v, g: beta2 * v + (1 - beta2) * g * g, v, gradients)
    scale, root = rate / (1 - beta1**t), jnp.sqrt(1 - beta2**t)
    weights = jax.tree.map(lambda w, m, v: w - scale * m / (jnp.sqrt(v) / root + epsilon), weights, m, v)
    return weights, m, v


def arranged(network, weights):
    """Slipway's weights as JAX's: filters H×W×I×O, dense In×Out with the inputs of a flattened map in the order H×W×C."""
    arranged, flattened = dict(weights), {}
    for place in places(network):
        name = place.name + ".weight"
        if place.kind == "Conv2D":
            arranged[name] = weights[name].transpose(2, 3, 1, 0)
        if place.kind == "Flatten" and len(place.shape) == 3:
            flattened[place.name] = place.shape
        elif flattened.get(place.inputs[0]) and place.kind in ("ReLU", "ReLU6", "Sigmoid", "Dropout"):
            flattened[place.name] = flattened[place.inputs[0]]
        if place.kind == "Dense":
            w = weights[name]
            if shape := flattened.get(place.inputs[0]):
                w = w.reshape(len(w), *shape).transpose(0, 2, 3, 1).reshape(len(w), -1)
            arranged[name] = w.T
    return {name: jnp.asarray(np.ascontiguousarray(value)) for name, value in arranged.items()}


class Side:
    def __init__(self, inputs, batch, config):
        network = inputs.network
        tensors = arranged(network, inputs.weights)
        statistics = {name: value for name, value in tensors.items() if name.endswith((".running_mean", ".running_var"))}
        weights = {name: value for name, value in tensors.items() if name not in statistics}
        first, update = optimizer(inputs.optimizer, weights)

        @functools.partial(jax.jit, donate_argnums=(0,))
        def step(state, x, y):
            weights, statistics, moments = state
            (loss, statistics), gradients = jax.value_and_grad(cross_entropy, has_aux=True)(
                weights, statistics, x, y, network, config)
            weights, moments = update(weights, gradients, moments)
            return (weights, statistics, moments), loss

        self.jitted = step
        self.state = (weights, statistics, first)
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
