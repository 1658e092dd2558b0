#!/usr/bin/env python3
"""Times JAX's training step of E1 on a GPU, as gpu-check compares Slipway's with.

usage: jax_steps.py [--device gpu] [--steps 500] BATCH...

The data set lies on the device, pixels are 0...255, and each step takes its images by index, as Slipway's does; one jitted
function makes the step, with Adam written out, and gives its memory back. The loss is read once in 16 steps. Matrix products are in
float32 ("highest"), and again as JAX makes them by default. Prints one JSON object a line: mode, batch, microseconds a step
(median of 5 rounds).
"""
import argparse
import functools
import json
import statistics
import time

import jax
import jax.numpy as jnp

LAYERS = [("conv1", (5, 5, 1, 32)), ("conv2", (5, 5, 32, 64)), ("fc1", (1024, 128)), ("fc2", (128, 10))]


def initial(key):
    weights = {}
    for name, shape in LAYERS:
        key, one = jax.random.split(key)
        fan_in = 1
        for size in shape[:-1]:
            fan_in *= size
        weights[name] = (jax.random.uniform(one, shape, minval=-1, maxval=1) * fan_in**-0.5, jnp.zeros(shape[-1]))
    return weights


def loss(weights, images, labels, precision):
    x = images.astype(jnp.float32)
    for name in ("conv1", "conv2"):
        kernel, bias = weights[name]
        x = jax.lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"), precision=precision)
        x = jax.nn.relu(x + bias)
        x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    x = x.reshape(len(x), -1)
    x = jax.nn.relu(jnp.dot(x, weights["fc1"][0], precision=precision) + weights["fc1"][1])
    x = jnp.dot(x, weights["fc2"][0], precision=precision) + weights["fc2"][1]
    return -jnp.mean(jax.nn.log_softmax(x)[jnp.arange(len(labels)), labels])


@functools.partial(jax.jit, static_argnames="precision", donate_argnames="state")
def step(state, images, labels, indices, precision):
    weights, m, v, count = state
    value, gradient = jax.value_and_grad(loss)(weights, images[indices], labels[indices], precision)
    count = count + 1
    m = jax.tree.map(lambda a, g: 0.9 * a + 0.1 * g, m, gradient)
    v = jax.tree.map(lambda a, g: 0.999 * a + 0.001 * g * g, v, gradient)
    rate = 1e-3 * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
    weights = jax.tree.map(lambda w, a, b: w - rate * a / (jnp.sqrt(b) + 1e-8), weights, m, v)
    return (weights, m, v, count), value


def measure(batch, precision, steps):
    key = jax.random.PRNGKey(0)
    images = jax.random.randint(key, (8192, 28, 28, 1), 0, 256).astype(jnp.uint8)
    labels = jax.random.randint(key, (8192,), 0, 10)
    indices = jax.random.permutation(key, 8192)[:batch]
    weights = initial(key)
    zeros = lambda: jax.tree.map(jnp.zeros_like, weights)  # noqa: E731
    state = (weights, zeros(), zeros(), jnp.float32(0))
    rounds = []
    for round in range(6):  # the first compiles
        value, began = None, time.perf_counter()
        for i in range(steps):
            state, value = step(state, images, labels, indices, precision)
            if i % 16 == 15:
                value.item()
        value.block_until_ready()
        rounds.append((time.perf_counter() - began) / steps * 1e6)
    return statistics.median(rounds[1:])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="gpu")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("batch", type=int, nargs="+")
    arguments = parser.parse_args()
    jax.config.update("jax_platforms", arguments.device if arguments.device == "cpu" else "cuda")
    for batch in arguments.batch:
        for precision in ("highest", "default"):
            line = {"mode": f"jit, {precision} precision", "batch": batch, "jax": jax.__version__}
            try:
                line["microseconds"] = measure(batch, precision, arguments.steps)
            except Exception as error:  # a mode that does not work on this machine is a line of the report, not its end
                line["error"] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
