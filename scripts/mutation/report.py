"""The tables of docs/mutation.md."""

import pathlib
import platform

BEGIN, END = "<!-- measured: scripts/mutation/mutation writes this -->", "<!-- end of what was measured -->"
STATUSES = ("KILLED", "LIVED", "NOT COVERED", "TIMED OUT")


def cpu():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def mutants(result):
    return sum(result["counts"].values())


def line(result):
    return f"{mutants(result)} mutants, " + ", ".join(f"{result['counts'].get(status, 0)} {status.lower()}" for status in STATUSES)


def row(name, counts, *rest):
    return "| " + " | ".join([name, str(sum(counts.values()))] + [str(counts.get(status, 0)) for status in STATUSES] + list(rest)) + " |"


def tables(results, slow):
    text = []
    heading = "| mutants | killed | lived | not covered | timed out |"
    text += ["| package | files |" + heading[1:], "| --- |" + " ---: |" * 6]
    for package in slow:
        counts, files = {}, [file for file in results if file.rpartition("/")[0] == package]
        for file in files:
            for status, count in results[file]["counts"].items():
                counts[status] = counts.get(status, 0) + count
        if files:
            text.append(row(f"{package} | {len(files)}", counts))
    text += ["", "| file " + heading + " commit | date | CPU |", "| --- |" + " ---: |" * 5 + " --- | --- | --- |"]
    for file in sorted(results):
        result = results[file]
        text.append(row(file, result["counts"], result["commit"], result["date"], result["cpu"]))
    text += ["", "Without these tests, which are slow:", ""]
    for package, tests in slow.items():
        if tests and any(file.startswith(package + "/") for file in results):
            text.append(f"- {package}: " + ", ".join(f"`{test}`" for test in tests))
    return "\n".join(text)


def write(page, results, slow):
    before, after = page.read_text().split(BEGIN)[0], page.read_text().split(END)[1]
    page.write_text(before + BEGIN + "\n" + tables(results, slow) + "\n" + END + after)


def untold(page, results):
    """The survivors whose line of code the hand-written part of the page does not quote."""
    told = page.read_text().split(END)[1]
    return [f"{file}:{s['line']}:{s['column']}: {s['status'].lower()}: {s['type']}: {s['code']}"
            for file, result in sorted(results.items()) for s in result["survivors"] if f"`{s['code']}`" not in told]
