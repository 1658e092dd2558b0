"""Runs one runtime on one model in a process of its own, and keeps what it answered."""

import array
import csv
import datetime
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import install
import sets
from places import CACHE, ROOT

RESULTS = CACHE / "results"


class Failed(Exception):
    """A runtime did not answer; the text says why."""


def cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def digest(*parts):
    total = hashlib.sha256()
    for part in parts:
        total.update(hashlib.sha256(part if isinstance(part, bytes) else str(part).encode()).digest())
    return total.hexdigest()


def row(runtime, model, data, threads, again, say):
    """Returns the row of a runtime that ran, with its logits as bytes, or of one that failed, with the reason."""
    base = {"model": model.name, "runtime": runtime.name, "title": runtime.title, "version": runtime.version, "precision": "float32", "pixels": data.pixels.name, "set": data.title,
            "model_sha256": hashlib.sha256(model.read_bytes()).hexdigest()}
    try:
        with install.alone():
            megabytes = runtime.install()
        key = digest(model.read_bytes(), runtime.version, data.count, threads, data.digest, *map(sets.floats, data.pixels.tables), data.taken,
                     *(file.read_bytes() for file in runtime.sources if file.is_file()))
        kept = RESULTS / f"{model.stem}-{runtime.name}-{key[:16]}"
        if again or not kept.with_suffix(".json").is_file():
            say(f"{model.name} in {runtime.name} {runtime.version}: running {data.count} images")
            measure(runtime, model, data, threads, kept)
        said = json.loads(kept.with_suffix(".json").read_text())
        logits = kept.with_suffix(".logits").read_bytes()
        if said["version"] != runtime.version:
            raise Failed(f"version {said['version']} ran, {runtime.version} is pinned")
        return {**base, **said, "install_mb": round(megabytes, 1), "images_per_s": round(data.count / said["seconds"], 1), "status": "ran", "logits": logits}
    except (Failed, install.Failed, OSError) as error:
        return {**base, "status": "failed", "reasons": [str(error).replace(f"{ROOT}/", "")]}


def measure(runtime, model, data, threads, kept):
    RESULTS.mkdir(parents=True, exist_ok=True)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(dir=RESULTS) as folder:
        if runtime.convert:
            process(runtime.convert(model, shape_text(data)), runtime.limit, folder)
        target = pathlib.Path(folder) / "logits"
        said = infer(runtime, model, data, threads, target) if runtime.through_infer else worker(runtime, model, data, threads, target)
        said.setdefault("version", runtime.version)
        said["measured"] = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        said["load_before"] = round(load, 2)
        os.replace(target, kept.with_suffix(".logits"))
        # The description is written last: it says that the result is whole.
        temporary = target.with_suffix(".json")
        temporary.write_text(json.dumps(said, indent=1))
        os.replace(temporary, kept.with_suffix(".json"))


def shape_text(data):
    return ",".join(map(str, data.taken.shape))


def worker(runtime, model, data, threads, target):
    started = time.time()
    output = process(runtime.command(model, data.inputs, data.count, target, threads, shape_text(data)), runtime.limit, target.parent,
                     {"CONFORMANCE_BATCH": str(data.taken.batch)} if data.taken.batch else {})
    try:
        said = json.loads(output.strip().splitlines()[-1])
    except (ValueError, IndexError):
        raise Failed(f"the worker's last line is no JSON: {output[-300:]!r}") from None
    said["cold_start_s"] = round(said.pop("first_answer") - started, 3)
    return said


def infer(runtime, model, data, threads, target):
    """The product's own command, which writes its logits as CSV. Its cold start is a whole process over the first images."""
    table = target.with_suffix(".csv")
    common = [*runtime.command(), "-model", model, "-threads", threads, *data.pixels.flags]
    started = time.time()
    process([*common, "-data", data.first], runtime.limit, target.parent)
    cold = time.time() - started
    said = json.loads(process([*common, "-data", data.folder, "-json", "-o", table], runtime.limit, target.parent))
    logits = array.array("f")
    with open(table, newline="") as file:
        lines = csv.reader(file)
        first = next(lines).index("logit_0")
        for line in lines:
            logits.extend(map(float, line[first:]))
    if sys.byteorder == "big":
        logits.byteswap()
    target.write_bytes(logits.tobytes())
    return {"version": said["version"], "precision": "float32", "batch": said["batch"], "threads": said["threads"],
            "seconds": data.count / said["images_per_second"], "cold_start_s": round(cold, 3)}


def process(command, limit, folder, environment={}):
    """Runs a command in a process group of its own, so that none of its children outlives it; returns its standard output."""
    command = [str(part) for part in command]
    errors = pathlib.Path(folder) / "stderr"
    with open(errors, "w+") as stderr:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, stdin=subprocess.DEVNULL, text=True, start_new_session=True,
                                 env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment})
        try:
            output, _ = child.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            raise Failed(f"took longer than {limit} s") from None
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
    if child.returncode:
        last = [line.strip() for line in errors.read_text(errors="replace").splitlines() if line.strip()][-4:]
        raise Failed(f"exit code {child.returncode}: {' / '.join(last) or 'no message'}")
    return output
