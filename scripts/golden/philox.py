"""The dropout masks of internal/ops/dropout.go, from the definition alone: Philox4x32-10 (Salmon et al., SC'11) in numpy."""

import hashlib
import struct

import numpy as np

MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
WEYL = 0x9E3779B9, 0xBB67AE85
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)


def philox(key, counters):
    """counters: n×4 words of 32 bits. Returns n×4 words."""
    c = [counters[:, i].astype(np.uint64) for i in range(4)]
    key0, key1 = key & 0xFFFFFFFF, key >> 32
    for _ in range(10):
        product0, product1 = MULTIPLIERS[0] * c[0], MULTIPLIERS[1] * c[2]
        c = [
            (product1 >> HALF) ^ c[1] ^ np.uint64(key0),
            product1 & LOW,
            (product0 >> HALF) ^ c[3] ^ np.uint64(key1),
            product0 & LOW,
        ]
        key0, key1 = (key0 + WEYL[0]) & 0xFFFFFFFF, (key1 + WEYL[1]) & 0xFFFFFFFF
    return np.stack(c, axis=1)


def mask(seed, layer, step, p, shape):
    """The factors by which dropout multiplies values of that shape, N×C×H×W or N×F, at a step."""
    digest = hashlib.sha256(struct.pack("<Q", seed) + b"dropout " + layer.encode()).digest()
    count = int(np.prod(shape))
    counters = np.zeros(((count + 3) // 4, 4), dtype=np.uint64)
    counters[:, 0] = np.arange(len(counters))
    counters[:, 2], counters[:, 3] = step & 0xFFFFFFFF, step >> 32
    words = philox(struct.unpack("<Q", digest[:8])[0], counters).reshape(-1)[:count]
    keep = np.float32(1 / (1 - p))
    return np.where(words < round(p * 2**32), np.float32(0), keep).reshape(shape)


def check():
    """The known answers of the authors' Random123 library."""
    for key, counter, want in [
        (0, [0] * 4, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        (0x299F31D0_A4093822, [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
         [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]),
    ]:
        got = philox(key, np.array([counter], dtype=np.uint64))
        assert got.tolist() == [want], got


check()
