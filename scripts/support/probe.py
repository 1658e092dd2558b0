"""Asks the runtimes and writes infer/support.json; probe-runtimes says what for."""

import collections
import datetime
import json
import pathlib
import re
import select
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "conformance"))

import install  # noqa: E402
from places import CACHE, HERE as CONFORMANCE, ROOT  # noqa: E402

TARGET = ROOT / "infer" / "support.json"
FOLDER = ROOT / ".cache" / "support"
LIMIT = 120  # seconds for one case


def interpreter(name, pins):
    install.python(name, pins)
    return CACHE / name / "venv" / "bin" / "python"


def answers(python, runtime, cases, results):
    """Asks all cases, and those that were not answered rightly once more with constants."""
    ask(python, runtime, [case["name"] for case in cases], results)
    ask(python, runtime, [case["constant"] for case in cases if case.get("constant") and results[case["name"]]["state"] != "right"], results)
    return results


def ask(python, runtime, names, results):
    """Asks a worker; one that dies is started again behind the case that killed it."""
    left = [name for name in names if name not in results]
    while left:
        worker = subprocess.Popen([python, HERE / "worker.py", runtime, FOLDER / "cases"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, text=True)
        try:
            for name in list(left):
                try:
                    worker.stdin.write(name + "\n")
                    worker.stdin.flush()
                    answer = read(worker)
                except (BrokenPipeError, TimeoutError):
                    answer = None
                left.remove(name)
                if answer is None:
                    worker.kill()
                    worker.wait()
                    how = f"signal {-worker.returncode}" if worker.returncode < 0 else f"exit code {worker.returncode}"
                    results[name] = {"state": "crashed", "message": f"the process ended: {how}"}
                    break
                results[name] = {"state": answer["state"], "message": answer["message"]}
        finally:
            worker.stdin.close()
            worker.kill()
            worker.wait()


def read(worker):
    """One answer: a worker prints nothing else, and no line before it is asked for the next."""
    if not select.select([worker.stdout], [], [], LIMIT)[0]:
        raise TimeoutError
    line = worker.stdout.readline()
    return json.loads(line) if line.startswith("{") else None


def accepted(cases, results, kind):
    """The oldest and the newest of the versions that give the right answer, without a gap down from 13 and up from it."""
    values = {case["value"]: results[case["name"]]["state"] == "right" for case in cases if case["kind"] == kind}
    middle = 13 if kind == "opset" else 7
    if not values[middle]:
        raise SystemExit(f"{kind} {middle} is refused; something else is wrong")
    oldest = newest = middle
    while values.get(oldest - 1):
        oldest -= 1
    while values.get(newest + 1):
        newest += 1
    refusal = lambda value: next((clean(results[c["name"]]["message"]) for c in cases if c["kind"] == kind and c["value"] == value), "")
    found = {"oldest": oldest, "newest": newest}
    # Only what was refused is a limit; where the runtime took all, it was asked no further.
    if oldest - 1 in values:
        found["older"] = refusal(oldest - 1)
    if newest + 1 in values:
        found["newer"] = refusal(newest + 1)
    return found


def clean(message):
    """A message without paths of this machine, which a reader has no use for."""
    message = re.sub(r"\S*/cases/\S*?model\.onnx", "the model", message)
    message = re.sub(r"Exception from \S+?: ", "", message)
    message = re.sub(r"\S*/(\w+\.(?:cc|cpp|hpp|h|rs|py)\b)", r"\1", message)
    message = re.sub(r"^Check .*? failed at \S+ (FrontEnd API failed with OpConversionFailure: )?", "", message)
    message = re.sub(r"OpenCV\(\S+\) \S+: error: \(\S+ error\) in function '\w+' >? ?", "", message)
    message = message.split(" Stack backtrace")[0]
    return message if len(message) <= 160 else message[:160] + "…"


def better(a, b):
    """The better of two results; refused is better than crashed."""
    order = ["crashed", "refused", "failed", "wrong", "unread", "right"]
    return b if b and order.index(b["state"]) > order.index(a["state"]) else a


def operators(cases, results):
    counts = collections.defaultdict(lambda: {"cases": 0, "loaded": 0, "right": 0, "message": ""})
    for case in cases:
        if case["kind"] != "operator":
            continue
        row, result = counts[case["value"]], better(results[case["name"]], results.get(case["constant"]))
        row["cases"] += 1
        row["loaded"] += result["state"] in ("failed", "wrong", "unread", "right")
        row["right"] += result["state"] in ("unread", "right")
        if not row["message"] and result["state"] != "right":
            row["message"] = clean(result["message"])
    for row in counts.values():
        if row["right"]:
            del row["message"]
    return dict(sorted(counts.items()))


def kept(name, version, ask):
    """The answers of a version are kept: asking again costs nothing."""
    file = FOLDER / "answers" / f"{name}-{version}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    results = json.loads(file.read_text()) if file.is_file() else {}
    try:
        return ask(results)
    finally:
        file.write_text(json.dumps(results))


def main():
    onnx = interpreter("onnx-reference", CONFORMANCE / "pins" / "onnx-reference.txt")
    suites = sorted((ROOT / ".cache" / "onnx-backend-tests").iterdir())
    if not (FOLDER / "cases" / "cases.json").is_file():
        subprocess.run([onnx, HERE / "cases.py", FOLDER / "cases", suites[-1], ROOT / "graphs" / "e1.onnx"], check=True)
    cases = json.loads((FOLDER / "cases" / "cases.json").read_text())
    stamps = [case for case in cases if case["kind"] != "operator"]

    pins = lambda name: CONFORMANCE / "pins" / f"{name}.txt"
    runtimes = []
    for title, name, runtime, package, file in (
            ("onnxruntime", "onnxruntime-python", "onnxruntime", "onnxruntime", pins("onnxruntime-python")),
            ("OpenVINO", "openvino", "openvino", "openvino", pins("openvino")),
            ("OpenCV DNN", "opencv", "opencv", "opencv-python-headless", pins("opencv")),
            ("tract", "tract-python", "tract", "tract", HERE / "requirements-tract.txt")):
        version = install.pinned_python(file, package)
        print(f"probe-runtimes: {title} {version}", file=sys.stderr, flush=True)
        python = interpreter(name, file)
        results = kept(runtime, version, lambda results: answers(python, runtime, cases, results))
        runtimes.append({"runtime": title, "version": version, "opset": accepted(cases, results, "opset"), "ir": accepted(cases, results, "ir"),
                         "operators": operators(cases, results)})

    releases = []
    for version in (HERE / "releases.txt").read_text().split():
        print(f"probe-runtimes: onnxruntime {version}", file=sys.stderr, flush=True)
        file = FOLDER / "pins" / f"onnxruntime-{version}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        old = tuple(map(int, version.split("."))) < (1, 19)
        file.write_text(f"onnxruntime=={version}\nnumpy=={'1.26.4' if old else '2.4.6'}\ncoloredlogs==15.0.1\nflatbuffers==25.12.19\npackaging==26.3\nprotobuf==6.33.5\n")
        python = interpreter(f"onnxruntime-{version}", file)
        results = kept("onnxruntime", version, lambda results: answers(python, "onnxruntime", stamps, results))
        releases.append({"version": version, "opset": accepted(stamps, results, "opset")["newest"], "ir": accepted(stamps, results, "ir")["newest"]})
    newest = runtimes[0]
    releases.append({"version": newest["version"], "opset": newest["opset"]["newest"], "ir": newest["ir"]["newest"]})

    TARGET.write_text(json.dumps({
        "made_by": "scripts/support/probe-runtimes", "date": datetime.date.today().isoformat(), "suite": f"ONNX's backend tests {suites[-1].name}",
        "runtimes": runtimes, "onnxruntime_releases": releases,
    }, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    try:
        main()
    except install.Failed as problem:
        sys.exit(f"probe-runtimes: {problem}")
