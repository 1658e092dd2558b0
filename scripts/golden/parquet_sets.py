"""Small sets in Parquet for dataset/testdata/parquet, written by Hugging Face's datasets and by pyarrow.

Picture i is grey, two pixels high and three wide, and all its pixels are 10·i, so that a test sees which is which.
"""

import io
import pathlib

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "dataset/testdata/parquet"


def png(i):
    file = io.BytesIO()
    Image.new("L", (3, 2), 10 * i).save(file, "PNG")
    return file.getvalue()


def pictures(first, n, path=None):
    return [{"bytes": png(i), "path": path and path % i} for i in range(first, first + n)]


def hugging_face():
    """As Dataset.to_parquet and push_to_hub write them: two files of a training part, one of a test part."""
    folder = FOLDER / "huggingface/data"
    folder.mkdir(parents=True, exist_ok=True)
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["ant", "bee", "wasp"])})
    for name, first, labels in (
        ("train-00000-of-00002", 0, [2, 0, 1]),
        ("train-00001-of-00002", 3, [1, 1]),
        ("validation-00000-of-00001", 5, [0, 2]),
    ):
        rows = {"image": pictures(first, len(labels), "%d.png"), "label": labels}
        datasets.Dataset.from_dict(rows, features=features).to_parquet(folder / f"{name}.parquet")


def cifar100():
    """The columns of CIFAR-100: img, fine_label and coarse_label, in row groups of two."""
    features = datasets.Features(
        {
            "img": datasets.Image(),
            "fine_label": datasets.ClassLabel(names=[f"fine {i}" for i in range(5)]),
            "coarse_label": datasets.ClassLabel(names=["coarse 0", "coarse 1"]),
        }
    )
    rows = {"img": pictures(0, 5), "fine_label": [4, 3, 2, 1, 0], "coarse_label": [1, 1, 1, 0, 0]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(FOLDER / "cifar100.parquet", batch_size=2)


def plain():
    """Without Hugging Face's metadata: words as labels, many pages, with and without a dictionary."""
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = pictures(0, 20)
    for i in (3, 11):
        rows[i] = rows[7]  # the same picture again
    for name, options in {
        "dictionary-snappy": {"compression": "snappy"},
        "dictionary-limit": {"compression": "zstd", "dictionary_pagesize_limit": 300},
        "pages-none": {"compression": "none", "use_dictionary": False},
        "pages-gzip-v2": {"compression": "gzip", "use_dictionary": False, "data_page_version": "2.0", "write_page_index": True},
        "pages-brotli": {"compression": "brotli", "use_dictionary": False, "row_group_size": 7},
        "pages-lz4": {"compression": "lz4", "use_dictionary": False, "write_page_checksum": True},
    }.items():
        table = pa.table({"image": pa.array(rows, kind), "label": ["wasp" if i % 3 else "ant" for i in range(20)]})
        pq.write_table(table, FOLDER / f"{name}.parquet", **{"data_page_size": 200, "write_batch_size": 3, **options})
    table = pa.table({"image": pa.array([rows[0], {"bytes": None, "path": "b.png"}], kind), "label": [0, 1]})
    pq.write_table(table, FOLDER / "no-bytes.parquet")
    table = pa.table({"image": pa.array(rows[:2], kind), "label": pa.array([0, None], pa.int64())})
    pq.write_table(table, FOLDER / "no-label.parquet")
    table = pa.table({"image": pa.array([[rows[0]], [rows[1]]], pa.list_(kind)), "label": [0, 1]})
    pq.write_table(table, FOLDER / "list.parquet")
    table = pa.table({"x": [1.0, 2.0], "label": [0, 1]})
    pq.write_table(table, FOLDER / "no-pictures.parquet")


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    hugging_face()
    cifar100()
    plain()
