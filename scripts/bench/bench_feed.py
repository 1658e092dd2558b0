"""Times how fast photographs are read for training at 224×224, decoded, cut by a random resized crop and flipped, in Slipway
and by PyTorch's DataLoader with torchvision's ImageFolder, and writes docs/bench/feed.md.

--data is a folder with photographs, such as hymenoptera_data with its train/ants, train/bees, val/ants and val/bees
(https://download.pytorch.org/tutorial/hymenoptera_data.zip). Its JPEGs are put into one folder for each class, with --copies
several times under other names. Nobody trains: both sides only make batches. The configurations take turns, round after round,
each run a process of its own. It fails where reading from the file of decoded pictures is slower than 0.95 of reading from
memory, on a set ten times -memory, by the CPU seconds of the runs beside each other, or takes more memory than -memory and
200 MB.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

import machine

SIZE, BATCH = 224, 32
SUFFIXES = (".jpg", ".jpeg")
TOO_MUCH, SLOWEST = 200.0, 0.95


def arguments():
    parser = argparse.ArgumentParser(prog="bench-feed", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, help="folder of photographs; without it nothing is measured")
    parser.add_argument("--copies", type=int, default=1, help="how often each photograph is there (%(default)s)")
    parser.add_argument("--rounds", type=int, default=4, help="runs of each (%(default)s)")
    parser.add_argument("--epochs", type=int, default=4, help="epochs of a run (%(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="Slipway's threads, and the DataLoader's workers (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="a smoke test; writes to .cache/bench/quick/")
    options = parser.parse_args()
    if options.quick:
        options.copies, options.rounds, options.epochs = 1, 1, 2
    if min(options.copies, options.rounds, options.threads) < 1 or options.epochs < 2:
        parser.error("--copies, --rounds and --threads must be at least 1, --epochs at least 2")
    return options


def gather(options, folder):
    """Links the photographs into a folder for each class, and returns how many there are and their bytes decoded."""
    from PIL import Image
    count = decoded = 0
    for path in sorted(options.data.rglob("*")):
        if path.suffix.lower() not in SUFFIXES:
            continue
        with Image.open(path) as image:
            decoded += image.width * image.height * 3 * options.copies
        place = folder / path.parent.name
        place.mkdir(exist_ok=True)
        for copy in range(options.copies):
            count += 1
            shutil.copyfile(path, place / f"{copy}-{path.parent.parent.name}-{path.name}")
    if count == 0:
        sys.exit(f"bench-feed: there are no JPEGs in {options.data}")
    return count, decoded


def configurations(options, photographs, cache, memory):
    """Name, command and whether its first epoch begins without decoded pictures."""
    def slipway(memory, cache, *more, epochs=options.epochs):
        return [machine.SLIPWAY, "feed", "-data", photographs, "-memory", memory, "-picture-cache", cache, "-resize", SIZE,
                "-batch", BATCH, "-threads", options.threads, "-epochs", epochs, *more]
    def torch(kind):
        return [sys.executable, machine.ROOT / "scripts" / "bench" / "torch_feed.py", photographs, SIZE, BATCH, options.threads,
                options.epochs, kind]
    return {
        "memory": ("Slipway, pictures in memory", slipway(memory * 11, "none", epochs=5 * options.epochs)),
        "file": ("Slipway, file of decoded pictures", slipway(memory, cache, epochs=5 * options.epochs)),
        "each": ("Slipway, decoding in each epoch", slipway(1, "none")),
        "torch": ("PyTorch, decoding in each epoch", torch("bytes")),
        "file values": ("Slipway, file of decoded pictures, float32", slipway(memory, cache, "-values")),
        "each values": ("Slipway, decoding in each epoch, float32", slipway(1, "none", "-values")),
        "torch values": ("PyTorch, decoding in each epoch, float32 by ToTensor", torch("values")),
    }


def run(name, command):
    done = subprocess.run([str(word) for word in command], env=machine.clean_environment(), capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"bench-feed: {name}: exit {done.returncode}\n{done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def speeds(epochs):
    return [epoch["images"] / epoch["seconds"] for epoch in epochs]


def row(name, runs):
    """A row of the table: of the epochs from the second on, of all runs, and of the first with what comes before it."""
    later = [epoch for epochs in runs for epoch in epochs[1:]]
    first = [epochs[0]["images"] / (epochs[0]["seconds"] + epochs[0]["open_seconds"]) for epochs in runs]
    cpu = [1000 * epoch["cpu_seconds"] / epoch["images"] for epoch in later]
    return {"name": name, "first": statistics.median(first), "speed": statistics.median(speeds(later)),
            "best": max(speeds(later)), "cpu": statistics.median(cpu), "least": min(cpu),
            "peak": max(epoch["peak_megabytes"] for epochs in runs for epoch in epochs)}


def ratio(over, under, what):
    """The median over the rounds of what an image took in the one and in the other, which ran one after the other."""
    def an_image(epochs):
        return sum(epoch[what] for epoch in epochs[1:]) / sum(epoch["images"] for epoch in epochs[1:])
    return statistics.median(an_image(a) / an_image(b) for a, b in zip(over, under, strict=True))


def markdown(options, rows, told, commands):
    import PIL
    import torch
    import torchvision
    lines = ["# Reading photographs: Slipway and PyTorch's DataLoader", "<!-- made by scripts/bench/bench-feed; not by hand -->"]
    lines.append("\n".join(machine.header(f"make bench-feed PHOTOGRAPHS={options.data.name}") + [
        f"- PyTorch {torch.__version__}, torchvision {torchvision.__version__}, Pillow {PIL.__version__}",
        f"- {told['images']:,} JPEGs, {told['decoded'] / 1e6:,.0f} MB decoded; `-memory` {told['memory'] / 1e6:,.0f} MB, a tenth",
        f"- {options.rounds} runs of each, taking turns, of {options.epochs} epochs, and of {5 * options.epochs} for the first two rows; load average before them "
        f"{told['before']}, after {told['after']}; other processes used {told['others']:.2f} cores"]))
    table = ["| | images/s, first epoch | from the second on, median | best | CPU ms an image, median | least | peak, MB |",
             "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    table += [f"| {r['name']} | {r['first']:.0f} | {r['speed']:.0f} | {r['best']:.0f} | {r['cpu']:.2f} | {r['least']:.2f} | "
              f"{r['peak']:.0f} |" for r in rows.values()]
    lines.append("\n".join(table))
    lines.append("\n".join([f"- **From the second epoch Slipway reads {rows['file']['speed'] / rows['torch']['speed']:.2f} times as "
                            "many images a second as PyTorch** with bytes, "
                            f"{rows['file values']['speed'] / rows['torch values']['speed']:.2f} times with float32 values. "
                            f"Decoding in each epoch it reads {rows['each']['speed'] / rows['torch']['speed']:.2f} and "
                            f"{rows['each values']['speed'] / rows['torch values']['speed']:.2f} times as many.",
                            f"- **The file of decoded pictures gives {told['ratio']:.3f} of the speed from memory**, by the CPU "
                            f"seconds of runs beside each other, the median of {options.rounds} rounds; {told['by time']:.3f} by their time.",
                            f"- **Peak memory with the file is -memory {rows['file']['peak'] - told['memory'] / 1e6:+.0f} MB.**"]))
    lines.append(f"""\
What each does:

- Slipway reads batches of {BATCH} as training does, on {options.threads} threads, a batch whole before the next begins: decode, random
  resized crop to {SIZE}×{SIZE} from the picture's own size, flip, as bytes 3×{SIZE}×{SIZE}. Its first epoch is counted with opening
  the set, when every file is read and decoded once, and written into the file of decoded pictures. Random numbers follow from
  seed, epoch and index.
- PyTorch is `ImageFolder` with `RandomResizedCrop({SIZE})` and `RandomHorizontalFlip()`, read by a `DataLoader` with
  {options.threads} worker processes that stay for all epochs. The first rows' transform ends in `torch.from_numpy(np.array(image))`,
  bytes {SIZE}×{SIZE}×3; the last row's in `ToTensor()`. Pillow decodes by libjpeg-turbo.
- float32 rows also make values 0…1 of the bytes, 3×{SIZE}×{SIZE}.
- CPU is what the process, or all processes, computed. Others on the machine change it less than the time.
- Peak is the high-water mark of the resident set; PyTorch's is the sum of its processes', in which shared pages count for each.""")
    lines.append("Commands:\n\n```\n" + "\n".join(commands) + "\n```")
    return "\n\n".join(lines) + "\n"


def readable(command, places):
    text = " ".join(str(word) for word in command)
    for place, name in places.items():
        text = text.replace(str(place), name)
    return text.replace(str(machine.ROOT) + "/", "")


def measure(options, scratch):
    photographs, cache = scratch / "photographs", scratch / "cache"
    photographs.mkdir()
    images, decoded = gather(options, photographs)
    memory = decoded // 10
    sides = configurations(options, photographs, cache, memory)
    runs = {key: [] for key in sides}
    before, load = machine.busy_ticks(), os.getloadavg()
    start = os.times()
    for number in range(options.rounds):
        print(f"bench-feed: round {number + 1} of {options.rounds}, load average {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
        for key, (name, command) in sides.items():
            shutil.rmtree(cache, ignore_errors=True)
            runs[key].append(run(name, command))
    end = os.times()
    own = end.children_user + end.children_system - start.children_user - start.children_system
    others = max(0.0, (machine.busy_ticks() - before) / machine.TICKS - own) / (end.elapsed - start.elapsed)
    rows = {key: row(sides[key][0], runs[key]) for key in sides}
    told = {"images": images, "decoded": decoded, "memory": memory, "others": others,
            "before": f"{load[0]:.2f}", "after": f"{os.getloadavg()[0]:.2f}",
            "ratio": ratio(runs["memory"], runs["file"], "cpu_seconds"), "by time": ratio(runs["memory"], runs["file"], "seconds")}
    places = {photographs: "PHOTOGRAPHS", cache: "CACHE", sys.executable: "python", machine.SLIPWAY: "slipway-bench"}
    return markdown(options, rows, told, [readable(command, places) for _, command in sides.values()]), rows, told


def main():
    options = arguments()
    if options.data is None or not options.data.is_dir():
        why = "no photographs are given" if options.data is None else f"{options.data} is no folder"
        print(f"bench-feed: skipped: {why}; give a folder of JPEGs with --data, or make bench-feed PHOTOGRAPHS=FOLDER",
              file=sys.stderr)
        return
    machine.take_children_along()
    machine.build_slipway()
    with tempfile.TemporaryDirectory(dir=machine.CACHE) as scratch:
        text, rows, told = measure(options, pathlib.Path(scratch))
    folder = machine.CACHE / "quick" if options.quick else machine.DOCS
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "feed.md").write_text(text)
    print(text)
    print(f"bench-feed: written: {folder / 'feed.md'}", file=sys.stderr)
    if told["ratio"] < SLOWEST:
        sys.exit(f"bench-feed: the file of decoded pictures gives {told['ratio']:.3f} of the speed from memory, below {SLOWEST}")
    if rows["file"]["peak"] > told["memory"] / 1e6 + TOO_MUCH:
        sys.exit(f"bench-feed: {rows['file']['peak']:.0f} MB is more than -memory and {TOO_MUCH:.0f} MB")


if __name__ == "__main__":
    main()
