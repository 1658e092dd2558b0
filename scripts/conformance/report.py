"""The table, as Markdown and as JSON."""

import datetime
import json
import os
import pathlib
import platform
import subprocess

from runner import cores

DIGITS = "MNIST's test images"  # the set of rows that name none
FIELDS = ("model", "model_sha256", "variant", "runtime", "title", "version", "precision", "pixels", "set", "images", "accuracy", "labels_differ", "max_abs_diff", "max_rel_diff", "images_per_s",
          "cold_start_s", "install_mb", "batch", "threads", "host", "status", "reasons", "changed_labels", "tolerance", "reference", "reference_range", "measured", "load_before")


def line(row):
    """One row as a line of progress."""
    head = f"{row['model']} in {row['runtime']} {row['version']}: {row['status']}"
    if "accuracy" in row:
        head += (f"; accuracy {row['accuracy']:.2%}, {row['labels_differ']} labels differ, largest difference {row['max_abs_diff']:.2e} "
                 f"({row['max_rel_diff']:.1e} of the range), {row['images_per_s']:,.0f} images/s")
    return head + "".join(f"; {reason}" for reason in row["reasons"][:3])


def cpu():
    try:
        fields = dict(map(str.strip, entry.split(":", 1)) for entry in pathlib.Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines() if ":" in entry)
    except OSError:
        return platform.processor() or platform.machine()
    family = f" (family {fields['cpu family']}, model {fields['model']})" if "cpu family" in fields else ""
    flags = [flag for flag in ("avx2", "fma", "avx512f", "avx512_vnni", "amx_tile") if flag in fields.get("flags", "").split()]
    return f"{fields.get('model name', platform.machine())}{family}, {cores()} cores" + (f", {' '.join(flags)}" if flags else "")


def tool(*command):
    try:
        words = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout.split()
    except (OSError, subprocess.TimeoutExpired):
        return "none"
    return next((word for word in words if any(c.isdigit() for c in word)), "unknown")


def header(command, tolerance):
    return {
        "command": command, "date": datetime.date.today().isoformat(), "cpu": cpu(), "system": f"{platform.system()} {platform.release()}",
        "load_average": round(os.getloadavg()[0], 2), "tolerance": tolerance,
        "versions": {"Go": tool("go", "version"), "Python": platform.python_version(), "Node": tool("node", "--version"), "Rust": tool("rustc", "--version")},
    }


def add(rows, target, runtimes, command, tolerance):
    """Writes the table again with the rows in place of their like; its head says which run the others are of, and that these were added."""
    file = target.with_suffix(".json")
    if not file.is_file():
        write(rows, target, command, tolerance)
        return
    document = json.loads(file.read_text())
    new = {(row["model"], row["runtime"]) for row in rows}
    kept = [row for row in document.pop("rows") if (row["model"], row["runtime"]) not in new and row["runtime"] in runtimes]
    document.pop("generated_by")
    this = header(command, tolerance)
    document["added"] = [entry for entry in document.get("added", []) if entry["command"] != command] + [{key: this[key] for key in ("command", "date", "cpu", "load_average")}]
    both = sorted(kept + rows, key=lambda row: (pathlib.PurePath(row["model"]).stem, runtimes.index(row["runtime"])))
    written(both, target, document)


def kept(target, models):
    """The rows of graphs that are not run this time, and of their variants."""
    file = target.with_suffix(".json")
    if not models or not file.is_file():
        return []
    stems = [model.stem for model in models]
    return [row for row in json.loads(file.read_text())["rows"]
            if any(pathlib.PurePath(row["model"]).stem == stem or row["model"].startswith(f"{stem}-") for stem in stems)]


def write(rows, target, command, tolerance, kept=()):
    """Writes the table of rows and of those that were kept, whose runs the head goes on naming."""
    head = header(command, tolerance)
    if kept:
        head["added"] = json.loads(target.with_suffix(".json").read_text()).get("added", [])
    written(sorted([*kept, *rows], key=lambda row: pathlib.PurePath(row["model"]).stem), target, head)


def written(rows, target, head):
    target.parent.mkdir(parents=True, exist_ok=True)
    command = head["command"]
    document = {"generated_by": command, **head, "rows": [{field: row[field] for field in FIELDS if field in row} for row in rows]}
    replace(target.with_suffix(".json"), json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    replace(target.with_suffix(".md"), markdown(rows, head))


def replace(path, text):
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text)
    os.replace(temporary, path)


def markdown(rows, head):
    versions = ", ".join(f"{name} {version}" for name, version in head["versions"].items())
    lines = [
        f"<!-- Made by `{head['command']}`; do not edit. -->",
        "# Conformance",
        "",
        "Every graph of `graphs/` on its test set, fed in float32 as the graph records it, in every runtime, compared with",
        f"the trainer's logits. A runtime agrees when no logit differs by more than {head['tolerance']:.0e} of the range (max−min) of the trainer's, and",
        "each label that differs has a top-2 margin below that in the trainer's logits.",
        "",
        "So are their variants, which `export` makes: labels that differ are always counted against the trainer's. float16 and int8 have weights of their own:",
        "onnxruntime (Python) is held against the graph, within `export`'s limits, and the other runtimes against its answer, by the tolerance that is named.",
        "A runtime that does not know a variant's operators refuses; its message is below the table.",
        "",
        f"- command: `{head['command']}`",
        f"- {head['date']}; CPU: {head['cpu']}; {head['system']}",
        f"- {versions}",
        *(f"- added by `{entry['command']}`, {entry['date']}; CPU: {entry['cpu']}" for entry in head.get("added", [])),
    ]
    for model in dict.fromkeys(row["model"] for row in rows):
        formula = next(row["pixels"] for row in rows if row["model"] == model)
        lines += ["", f"## {model}", "", tested(model, rows) + f" A pixel x of 0…255 is fed as {formula_text(formula)}." + said_of([row for row in rows if row["model"] == model]), "",
                  "| runtime | version | precision | images | accuracy | labels that differ | largest difference | of the range | images/s | cold start | size | |",
                  "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |"]
        lines += [table_row(row) for row in rows if row["model"] == model]
        notes = [f"- {row['title']}: {reason}" for row in rows if row["model"] == model for reason in row["reasons"]]
        notes += [f"- {row['title']}: image {c['image']} is {c['runtime']}, the {row.get('reference', 'trainer')}'s {c['trainer']}; its top-2 margin there is {c['margin']:.1e} of the range"
                  for row in rows if row["model"] == model for c in row.get("changed_labels", []) if c["explained"]]
        lines += ["", *notes] if notes else []
    loads = [row["load_before"] for row in rows if "load_before" in row]
    lines += [
        "",
        "Images/s is the time in the runtime alone; cold start is from the start of the process to the first batch's answer (for `infer`, the whole",
        "process over the first 64 images), conversions done before. Size is what is installed, in MB, without Python, Node or a Java runtime but",
        "with Chromium. Batches, threads and hosts are in the JSON beside this file.",
    ]
    if loads and max(loads) > 0.5:
        lines += ["", f"Other work ran on the machine meanwhile (load average before the runs {min(loads):.1f} to {max(loads):.1f} on {cores()} cores): the speeds are lower",
                  "bounds and rank nothing."]
    return "\n".join(lines) + "\n"


def tested(model, rows):
    """Which images a graph is run on."""
    row = next(row for row in rows if row["model"] == model)
    return f"On {row.get('set', DIGITS)}."


def formula_text(formula):
    """The formula, a channel after the other where each has its own."""
    return formula if ";" not in formula else f"{formula}, the channels in their order"


def said_of(rows):
    """What a variant's rows are held against."""
    variant = next((row["variant"] for row in rows if "variant" in row), None)
    if not variant:
        return ""
    text = f" This is {rows[0]['model'].split('-')[0]}.onnx as {variant}."
    for row in rows:
        if row.get("reference", "trainer") != "trainer":
            return text + f" Others differ from onnxruntime (Python) by at most {row['tolerance']:.0e} of the range."
    return text


def table_row(row):
    if "accuracy" not in row:
        status = row["status"] if row["status"] == "refuses" else f"**{row['status']}**"
        return f"| {row['title']} | {row['version']} | {row['precision']} | | | | | | | | | {status} |"
    title = row["title"] + (f" ({row['host']})" if "host" in row else "")
    return (f"| {title} | {row['version']} | {row['precision']} | {row['images']:,} | {row['accuracy']:.2%} | {row['labels_differ']} | {row['max_abs_diff']:.2e} | "
            f"{row['max_rel_diff']:.1e} | {row['images_per_s']:,.0f} | {row['cold_start_s']:.2f} s | {row['install_mb']:,.0f} MB | "
            f"{'agrees' if row['status'] == 'agrees' else '**disagrees**'} |")
