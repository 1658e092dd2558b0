"""The tables of bench-peers."""

import dataclasses
import json

from network import PASSES

# Cores that others may use while a group is measured.
QUIET = 0.1

COMMON_NOTES = """\
- A virtual machine's CPUs are at times next to each other and at times on cores without a common cache. A block counts if a cache
  line took 0.7 to 1.5 times its usual short time from one to the other and back, before and after it; "apart" is the
  median of the other blocks, and "0 counted" that there are only such.
- "Of the CPUs" is the time that the process's threads computed in a step, together, in the block with the least: others at work
  change it less than the time that went by.
- All have huge pages, where Linux gives them to who asks: Slipway asks by itself, the peers by GLIBC_TUNABLES=glibc.malloc.hugetlb=1,
  with which they are faster than a user of theirs finds them.
- Peak is the resident set's high-water mark of the process, data set included. PyTorch's wheel holds CUDA, which costs
  memory at import: {imported}.
- bf16 computes in lower precision: it is listed and not counted. "Best peer" is the best float32 one.
- Before a group is timed, the losses of six steps of each float32 configuration must agree with those of PyTorch in float64."""


@dataclasses.dataclass(frozen=True)
class Page:
    """A set of networks, and the page of its tables."""
    title: str
    titles: dict  # of the networks, by name, in the page's order
    notes: str
    # An epoch's images; None: the page has no epochs, and no step is timed with feeding.
    epoch_images: int | None
    # A configuration that needs longer for a step, in ms, takes part in fewer rounds.
    slow_ms: float
    # The relative difference of the first loss that float32 explains.
    first_loss: float
    # Slipway's configurations that are left out.
    left_out: tuple = ()


PEERS = Page(
    title="One training step: Slipway, PyTorch and JAX",
    titles={
        "e1": "E1: two 5×5 convolutions (32, 64) with max pooling, dense 128 and 10",
        "lenet5": "LeNet-5 with average pooling: 6 and 16 5×5 filters, dense 120, 84 and 10",
        "conv4": "Four 3×3 convolutions (32, 32, 64, 64) with two max poolings, dense 128 and 10",
        "strided": "3×32×32 images, three 3×3 convolutions of stride 2 (32, 64, 64), dense 10",
        "mlp": "MLP 784-512-512-10",
    },
    notes="""\
How to read it:

- A step is forward, loss, backward and Adam. Slipway's is its trainer's whole step: it also makes the float32 values of the
  batch from bytes and counts the right answers. The peers' batches lie ready as float32.
- An epoch is 60,000 images, shuffled, and fed from bytes: the time of a step with feeding times the steps, and the shuffle.
  The peers index arrays in memory; no loader stands between.
- Minimum and median are over the blocks of a configuration; all sides take turns. A side with n threads is pinned to n CPUs.
""" + COMMON_NOTES,
    epoch_images=60_000,  # MNIST's training set, also for networks that are timed on fewer images
    slow_ms=500,
    first_loss=2e-5,
)

NETWORKS = Page(
    title="One training step of residual and depthwise networks: Slipway, PyTorch and JAX",
    titles={
        "resnet20": "ResNet-20: 3×32×32 images, 16 to 64 channels, 10 classes",
        "resnet18_cifar": "ResNet-18 in CIFAR form: 3×32×32 images, a 3×3 stem without pooling, 64 to 512 channels, 10 classes",
        "resnet18": "ResNet-18: 3×224×224 images, 1,000 classes",
        "mobilenet_v2_cifar": "MobileNetV2 in CIFAR form: 3×32×32 images, strides of 1 in stem and second stage, 10 classes",
        "mobilenet_v2": "MobileNetV2: 3×224×224 images, 1,000 classes",
        "efficientnet_lite0": "EfficientNet-Lite0: 3×224×224 images, 1,000 classes",
    },
    notes="""\
How to read it:

- The networks are the zoo's (`slipway-bench network -network NAME` prints one), without the dropout before the last layer of the
  last three: each side would draw other masks. Batch normalisation is in training, its running statistics kept.
- A step is forward, loss, backward and SGD with momentum 0.9 and weight decay 1e-4. Slipway's is its trainer's whole step: it also
  makes the float32 values of the batch from bytes and counts the right answers. The peers' batches lie ready as float32.
- Images are MNIST's digits, enlarged, in three colours: 10,240 of 32×32 pixels, 208 of 224×224.
- Minimum and median are over the blocks of a configuration; all sides take turns. A side with n threads is pinned to n CPUs.
- Slipway's portable kernels and its engine gorgonia, which are for checking, are not measured here.
""" + COMMON_NOTES,
    epoch_images=None,
    slow_ms=10_000,
    # PyTorch's batch normalisation of channels_last maps rounds more than its other one: of EfficientNet-Lite0, with 49 of them, the
    # first loss is 2.3e-5 from that of contiguous maps.
    first_loss=1e-4,
    left_out=("native portable", "gorgonia"),
)

PAGES = {"peers": PEERS, "networks": NETWORKS}


def threads(count):
    return "1 thread" if count == 1 else f"{count} threads"


def ordered(groups, page):
    networks = list(page.titles)
    def key(group):
        row = group["rows"][0]
        return networks.index(row["network"]) if row["network"] in networks else 99, row["batch"], row["threads"]
    return sorted(groups, key=key)


def as_json(groups, page):
    """An array of rows, one a line."""
    lines = []
    for group in ordered(groups, page):
        for row in group["rows"]:
            kept = {name: row[name] for name in ("network", "batch", "threads", "system", "config", "ms_min", "ms_median",
                                                 "epoch_s", "peak_mb", "float32", "version")}
            kept |= {name: row[name] for name in ("ms_cpu", "ms_apart") if row.get(name) is not None}
            if kept["epoch_s"] is None:
                del kept["epoch_s"]
            for name, digits in (("ms_min", 4), ("ms_median", 4), ("ms_cpu", 4), ("ms_apart", 4), ("epoch_s", 3), ("peak_mb", 1)):
                if name in kept:
                    kept[name] = None if kept[name] is None else round(kept[name], digits)
            lines.append(json.dumps(kept | {"cpu": group["cpu"]}, ensure_ascii=False))
    return "[\n" + ",\n".join(lines) + "\n]\n"


def as_markdown(groups, page, instructions=""):
    groups = ordered(groups, page)
    lines = head(groups)
    if instructions == "avx2":
        lines.append("- no side uses instructions beyond AVX2: PyTorch by ATEN_CPU_CAPABILITY, ONEDNN_MAX_CPU_ISA and "
                     "MKL_ENABLE_INSTRUCTIONS, JAX by --xla_cpu_max_isa, Slipway by SLIPWAY_KERNEL")
    parts = [f"# {page.title}" + (", AVX2" if instructions == "avx2" else ""), "<!-- made by scripts/bench/bench-peers; not by hand -->",
             "\n".join(lines), "## Best float32 peer ÷ Slipway", ratios(groups)]
    if text := bounds(groups):
        parts += ["## What the cores allow", BOUNDS_NOTES.format(passes=PASSES), text]
    parts.append(page.notes.format(imported=imported(groups)))
    network = None
    for group in groups:
        row = group["rows"][0]
        if row["network"] != network:
            network = row["network"]
            parts.append(f"## {page.titles.get(network, network)}")
        parts.append(f"### {network}, batch {row['batch']}, {threads(row['threads'])}")
        parts.append(table(group))
    if text := missing(groups):
        parts += ["## Left out", text]
    return "\n\n".join(parts) + "\n"


def head(groups):
    """The lines of all groups' headers, each once."""
    lines = list(dict.fromkeys(line for group in groups for line in group["header"]))
    versions = list(dict.fromkeys(row["version"] for group in groups for row in group["rows"] if row["system"] != "Slipway"))
    lines.append(f"- {', '.join(versions) or 'no peers'}")
    settings = list(dict.fromkeys((g["settings"]["rounds"], g["settings"]["seconds"]) for g in groups))
    lines.append("- " + "; ".join(f"rounds: {rounds}, of blocks of {seconds:g} s" for rounds, seconds in settings))
    distances = [seen for group in groups for row in group["rows"] if row["threads"] > 1 for seen in row.get("distances", [])]
    if distances:
        distant = sum(row["blocks_apart"] for group in groups for row in group["rows"] if row["threads"] > 1 and "distances" in row)
        lines.append(f"- a cache line from CPU to CPU and back: {min(distances):.0f} ns at best, {max(distances):.0f} at worst; "
                     f"{distant} of {len(distances)} blocks of several threads ran with the CPUs apart")
    loads = [group["others"] for group in groups if group["others"]]
    if loads:
        lines.append(f"- other processes used {busy(groups):.2f} cores in the median block of the worst "
                     f"group, {max(load[1] for load in loads):.2f} in the worst block")
        if busy(groups) > QUIET:
            lines.append("- **The machine was not quiet: these figures are not for publication.**")
    return lines


def busy(groups):
    """The cores that others used in the median block of the worst group."""
    return max((group["others"][0] for group in groups if group["others"]), default=0.0)


def imported(groups):
    values = {}
    for group in groups:
        for row in group["rows"]:
            if row["imported_mb"]:
                values.setdefault(row["version"], []).append(row["imported_mb"])
    return "; ".join(f"{version} {sum(v) / len(v):.0f} MB" for version, v in values.items()) or "not measured"


def table(group):
    distant = any(row.get("ms_apart") is not None for row in group["rows"])
    epochs = any(row["epoch_s"] is not None for row in group["rows"])
    cpu = any(row.get("ms_cpu") for row in group["rows"])
    lines = ["| system | configuration | ms a step, min | median |" + " of the CPUs |" * cpu + " images/s |" + " epoch, s |" * epochs + " peak, MB |" +
             " apart, median |" * distant,
             "| --- | --- | ---: | ---: |" + " ---: |" * cpu + " ---: |" + " ---: |" * epochs + " ---: |" + " ---: |" * distant]
    for row in group["rows"]:
        name = row["config"] if row["float32"] else f"*{row['config']}* (not float32)"
        rate = row["batch"] / row["ms_median"] * 1000
        peak = "" if row["peak_mb"] is None else f"{row['peak_mb']:.0f}"
        spent = f" {figure(row['ms_cpu'])} |" if cpu else ""
        epoch = f" {row['epoch_s']:.2f} |" if epochs else ""
        lines.append(f"| {row['system']} | {name} | {figure(row['ms_min'])} | {figure(row['ms_median'])} |{spent} {figure_of_rate(rate)} |"
                     f"{epoch} {peak} |" + f" {apart(row)} |" * distant)
    return "\n".join(lines)


def apart(row):
    """The median of the blocks that ran with the CPUs apart, of how many."""
    if row.get("ms_apart") is None:
        return ""
    count = "1 block" if row["blocks_apart"] == 1 else f"{row['blocks_apart']} blocks"
    return f"{figure(row['ms_apart'])} ({count}{', 0 counted' if not row['blocks_near'] else ''})"


def ratios(groups):
    """One line a group and kernel set: by the medians, and by the minima."""
    epochs = any(row["epoch_s"] is not None for group in groups for row in group["rows"])
    cpu = all(row.get("ms_cpu") for group in groups for row in group["rows"])
    lines = ["| network | batch | threads | best peer | ms | Slipway | ms | ratio of medians | of minima |" + " of CPU time |" * cpu + " of epochs |" * epochs,
             "| --- | ---: | ---: | --- | ---: | --- | ---: | ---: | ---: |" + " ---: |" * cpu + " ---: |" * epochs]
    for group in groups:
        rows = [row for row in group["rows"] if row["float32"]]
        peers = [row for row in rows if row["system"] != "Slipway"]
        native = [row for row in rows if row["system"] == "Slipway" and row["config"].startswith("native")]
        for own in native or [row for row in rows if row["system"] == "Slipway"]:
            if not peers:
                continue
            best = min(peers, key=lambda row: row["ms_median"])
            spent = f" {min(row['ms_cpu'] for row in peers) / own['ms_cpu']:.2f} |" if cpu else ""
            epoch = f" {min(row['epoch_s'] for row in peers) / own['epoch_s']:.2f} |" if epochs else ""
            lines.append(
                f"| {own['network']} | {own['batch']} | {own['threads']} | {best['system']}, {best['config']} | "
                f"{figure(best['ms_median'])} | {own['config']} | {figure(own['ms_median'])} | "
                f"**{best['ms_median'] / own['ms_median']:.2f}** | "
                f"{min(row['ms_min'] for row in peers) / own['ms_min']:.2f} |{spent}{epoch}")
    return "\n".join(lines) if len(lines) > 2 else "Both Slipway and a peer are needed."


BOUNDS_NOTES = """\
A step multiplies out its convolutions and dense layers forward, for the weights' gradients and for the inputs'. "At the peak" is
the time of that at the speed of a dense layer whose weights and images lie in the second-level caches, measured before the group
on the same CPUs; "reached" is that time of the step's. Winograd's convolutions multiply less, so that more than 100 % can be
reached. "Passes" is the time of {passes} passes over the maps of the convolutions at the speed of copies from and to memory, which a
network with batch normalisation makes where each layer reads and writes by itself and no cache holds a map. Where it is long
beside the multiplications, memory is what bounds a step, and what is fused or held in caches is what is gained."""


def bounds(groups):
    """A line for each group: the work of a step, and the least time that it takes by the cores' measured peak."""
    lines = ["| network | batch | threads | GFLOP a step | GFLOP/s at most | at the peak, ms | Slipway's step, ms | reached | maps, MB | GB/s at most | passes, ms |",
             "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for group in groups:
        own = [row["ms_min"] for row in group["rows"] if row["system"] == "Slipway" and row["config"].startswith("native")]
        if not own or not group.get("work"):
            continue
        row, work = group["rows"][0], group["work"]
        gflop, peak = 2 * work["multiply_adds"] / 1e9, work["peak"]
        floor, passes = 1000 * gflop / peak["gflops"], 1000 * work["passed_bytes"] / 1e9 / peak["gbytes"]
        lines.append(f"| {row['network']} | {row['batch']} | {row['threads']} | {gflop:.2f} | {peak['gflops']:.0f} | {figure(floor)} | "
                     f"{figure(min(own))} | {100 * floor / min(own):.0f} % | {work['passed_bytes'] / PASSES / 1e6:.1f} | {peak['gbytes']:.1f} | "
                     f"{figure(passes)} |")
    return "\n".join(lines) if len(lines) > 2 else ""


def missing(groups):
    reasons = {}
    for group in groups:
        for system, config, reason in group["missing"]:
            reasons.setdefault((system, config, reason), 0)
    return "\n".join(f"- {system}, {config}: {reason}" for system, config, reason in reasons)


def figure_of_rate(images):
    """Images a second."""
    return f"{images:.1f}" if images < 10 else f"{images:,.0f}"


def figure(ms):
    return f"{ms:.3f}" if ms < 10 else f"{ms:.1f}"
