"""Makes golden.safetensors with the reference implementation.

    python3 -m venv venv && venv/bin/pip install safetensors==0.8.0 numpy==2.4.6
    venv/bin/python make_golden.py

Given a file's name, it reads that file instead, checks that it holds the same,
and exits with 1 when it does not: the Go test passes it a file written by Go.
"""

import pathlib
import sys

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save

TENSORS = {
    "conv1.weight": np.arange(-12, 12, dtype=np.float32).reshape(2, 1, 3, 4) / 8,
    "running.mean": np.array([1e-300, -0.0, np.inf], dtype=np.float64),
    "epoch": np.array(3, dtype=np.int64),
    "order": np.array([[2, -1], [2**31 - 1, -(2**31)]], dtype=np.int32),
    "image": np.arange(250, 256, dtype=np.uint8),
    "half": np.array([1.5, -2**-24, 65504.0, np.inf], dtype=np.float16),
    "empty": np.zeros((0, 5), dtype=np.float32),
}
METADATA = {"format": "np", "Größe": "<7 & \"quotes\">\n"}


def main() -> int:
    if len(sys.argv) == 2:
        found = load_file(sys.argv[1])
        assert found.keys() == TENSORS.keys(), found.keys()
        for name, want in TENSORS.items():
            got = found[name]
            assert got.dtype == want.dtype and got.shape == want.shape, name
            assert got.tobytes() == want.tobytes(), name
        with safe_open(sys.argv[1], framework="np") as f:
            assert f.metadata() == METADATA, f.metadata()
        return 0
    target = pathlib.Path(__file__).with_name("golden.safetensors")
    target.write_bytes(save(TENSORS, METADATA))
    return 0


sys.exit(main())
