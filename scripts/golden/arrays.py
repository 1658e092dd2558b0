"""Golden arrays for dataset/testdata/arrays: .npy and .npz files as NumPy writes them.

types.npz holds the same images, two of 16x16 with each value from 0 to 255 once, in every type that is read;
the others are sets under the names of Keras and MedMNIST, and what is refused.
"""

import pathlib

import numpy as np

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "dataset/testdata/arrays"


def write(name, array, version=None):
    with open(FOLDER / name, "wb") as f:
        np.lib.format.write_array(f, array, version=version, allow_pickle=True)


def types():
    images = np.stack([np.arange(256), np.arange(256)[::-1]]).reshape(2, 16, 16)
    shares = images / 255
    kinds = {name: images.astype(name) for name in ("u1", "<u2", ">u4", "<u8", "<i2", ">i2", "<i4", ">i4", "<i8")}
    kinds |= {f"whole{name}": images.astype(name) for name in ("<f2", ">f4", "<f8")}
    kinds |= {f"share{name}": shares.astype(name) for name in ("<f2", ">f2", "<f4", ">f4", "<f8", ">f8")}
    kinds["factor"] = images.astype(np.float32) * np.float32(1 / 255)
    kinds["tensor"] = (images.astype(np.float32) / np.float32(255)).astype(np.float64)
    np.savez_compressed(FOLDER / "types.npz", **{key.replace("<", "_l").replace(">", "_b"): a for key, a in kinds.items()})


def sets():
    generator = np.random.default_rng(1)
    draw = lambda *shape: generator.integers(0, 256, shape, dtype=np.uint8)
    grey, colour = draw(7, 4, 3), draw(9, 5, 6, 3)
    labels = np.arange(9, dtype=np.uint8) % 3
    np.savez(FOLDER / "keras.npz", x_train=grey[:5], y_train=labels[:5], x_test=grey[5:], y_test=labels[5:7].astype(np.int64))
    column = labels.reshape(-1, 1)
    np.savez_compressed(
        FOLDER / "medmnist.npz", train_images=colour[:4], val_images=colour[4:6], test_images=colour[6:],
        train_labels=column[:4], val_labels=column[4:6], test_labels=column[6:],
    )
    np.savez(FOLDER / "plain.npz", images=colour.transpose(0, 3, 1, 2), labels=labels)
    np.savez(FOLDER / "unnamed.npz", grey[:5], labels[:5])


def versions():
    grey = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    write("version1.npy", grey)
    write("version2.npy", grey, (2, 0))
    write("version3.npy", grey, (3, 0))


def refused():
    grey = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    write("fortran.npy", np.asfortranarray(grey))
    write("object.npy", np.array([grey[0], None], dtype=object))
    write("text.npy", np.array(["ant", "bee"]))
    write("bytes.npy", np.array([b"ant", b"bee"]))
    write("bool.npy", grey > 3)
    write("complex.npy", grey.astype(np.complex64))
    write("fields.npy", np.zeros(2, dtype=[("x", "<f4"), ("y", "<i8")]))
    write("time.npy", np.zeros(2, dtype="datetime64[s]"))


FOLDER.mkdir(parents=True, exist_ok=True)
types()
sets()
versions()
refused()
print(f"numpy {np.__version__}: {FOLDER}")
