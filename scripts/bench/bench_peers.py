"""Times one training step of Slipway, PyTorch and JAX on the same networks, and writes docs/bench/peers.md and peers.json; with
--set networks, on those that people train, and writes networks.md and networks.json.

For every network, batch size and number of threads, each configuration of each system runs in a process of its own, pinned
to as many CPUs as it has threads. First a gate: all begin with the same weights and batches, and the losses of six steps must
agree with PyTorch's in float64, or nothing is timed. Then the processes train a block of steps in turn, round after round,
while the others wait. Where there is more than one thread, a block counts that ran while its CPUs were next to each other
(placement.py); others are listed apart. The results of each group stay in .cache/bench/, so that a run can be broken off and completed with
--resume, or one network measured again by itself; the table of a set is made of all that is there. A table that lacks groups of
the one in docs/bench/, or of a machine that was not quiet, stays in .cache/bench/ too.
"""

import argparse
import contextlib
import hashlib
import json
import pathlib
import re
import statistics
import subprocess
import sys
import time

import machine
import network
import placement
import report
import worker

STEPS_IN_GATE = 6
# How long a group waits in all for its CPUs to be next to each other, in seconds.
PATIENCE = 180
# The relative difference of the losses that float32 explains after steps of the optimizer. Networks with batch normalisation make
# more of rounding; slipway/subjects.go trains them so slowly that it holds for float32 PyTorch, too.
GATE_LATER = 2e-3
# A configuration that needs longer for a step, in ms, takes part in fewer rounds.
SLOW_ROUNDS = 2

# OPTIMIZER stands for the optimizer's name.
PYTORCH = ["eager", "eager, channels_last", "eager, fused OPTIMIZER", "eager, channels_last, fused OPTIMIZER",
           "compile, fused OPTIMIZER", "compile, channels_last, fused OPTIMIZER", "bf16 autocast, channels_last, fused OPTIMIZER"]
OPTIMIZERS = {"adam": "Adam", "sgd": "SGD"}


def arguments():
    parser = argparse.ArgumentParser(
        prog="bench-peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="A filter may be given several times. Examples:\n"
               "  scripts/bench/bench-peers\n"
               "  scripts/bench/bench-peers --network e1 --batch 32\n"
               "  scripts/bench/bench-peers --quick --network mlp --system Slipway --system JAX")
    parser.add_argument("--set", choices=list(report.PAGES), default="peers", help="the networks, and the page (%(default)s)")
    parser.add_argument("--network", action="append", help="one of the set's: " + "; ".join(
        f"{name}: {', '.join(page.titles)}" for name, page in report.PAGES.items()))
    parser.add_argument("--batch", action="append", type=int, help="images a step (each network's own)")
    parser.add_argument("--threads", action="append", type=int, help="threads (1 and all)")
    parser.add_argument("--system", action="append", help="Slipway, PyTorch or JAX")
    parser.add_argument("--config", metavar="REGEXP", help="only configurations whose name has a match")
    parser.add_argument("--instructions", choices=["avx2"], default="",
                        help="let no side use instructions beyond these: what a CPU without AVX-512 does; a page of its own, SET-avx2.md")
    parser.add_argument("--rounds", type=int, default=5, help="blocks of each configuration (%(default)s)")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a block (%(default)s)")
    parser.add_argument("--resume", action="store_true", help="leave out the groups whose results are there")
    parser.add_argument("--report", action="store_true", help="measure nothing, write the report of what is there")
    parser.add_argument("--keep-build", action="store_true", help="do not build Slipway's side again")
    parser.add_argument("--quick", action="store_true",
                        help="a smoke test: one round of short blocks; writes to .cache/bench/quick/, not to docs/bench/")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 0.05
    if options.rounds < 1 or not options.seconds > 0:
        parser.error("--rounds must be at least 1 and --seconds over 0")
    cores = len(machine.all_cpus())
    options.threads = options.threads or sorted({1, cores})
    if min(options.batch or [1]) < 1 or min(options.threads) < 1 or max(options.threads) > cores:
        parser.error(f"--batch must be at least 1, --threads 1 to {cores}")
    systems = ["Slipway", "PyTorch", "JAX"]
    names = {system.lower(): system for system in systems}
    options.system = [names.get(system.lower(), system) for system in options.system or systems]
    if unknown := set(options.system) - set(systems):
        parser.error(f"unknown system {', '.join(unknown)}; there are {', '.join(systems)}")
    return parser, options


def jax_configurations(places):
    """By the ways to pool: a reshape can where the windows lie side by side and leave nothing over."""
    pools = [place for place in places if place.kind in ("MaxPool2D", "AvgPool2D")]
    if not pools:
        return ["jit"]
    forms = ["jit, reduce_window pooling"]
    if all(network.is_tiling(place) for place in pools):
        forms.append("jit, reshape pooling")
    return forms


class Group:
    """The configurations of one network, batch size and number of threads."""

    def __init__(self, network, batch, threads, options, place):
        self.network, self.batch, self.threads, self.options, self.place = network, batch, threads, options, place
        self.page = report.PAGES[options.set]
        self.inputs = machine.CACHE / "inputs" / f"{network}.safetensors"
        self.workers, self.rows, self.missing, self.others = {}, {}, [], []

    def name(self):
        return f"{self.network}, batch {self.batch}, {report.threads(self.threads)}"

    def configurations(self, slipway):
        """Yields (system, config, start)."""
        for one in slipway["configurations"]:
            if one["name"] in self.page.left_out or self.options.instructions == "avx2" and one.get("kernel") == "avx512":
                continue
            if one.get("unavailable"):
                if self.wanted("Slipway", one["name"]):
                    self.missing.append(["Slipway", one["name"], one["unavailable"]])
                continue
            yield "Slipway", one["name"], lambda one=one: worker.slipway(
                self.network, self.batch, self.threads, one["engine"], one.get("kernel"), one.get("precision", "float32"))
        described = self.described()
        layers = network.places(json.loads(described["network"]))
        convolves = any(place.kind == "Conv2D" for place in layers)
        for config in PYTORCH:
            if "channels_last" in config and not convolves and not config.startswith("bf16"):
                continue
            config = config.replace("OPTIMIZER", OPTIMIZERS[json.loads(described["optimizer"])["name"]])
            yield "PyTorch", config, lambda config=config: self.peer("torch_worker.py", config)
        for config in jax_configurations(layers):
            yield "JAX", config, lambda config=config: self.peer("jax_worker.py", config)

    def described(self):
        """The network and the optimizer, as JSON, from the inputs' metadata."""
        with open(self.inputs, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            return json.loads(file.read(length))["__metadata__"]

    def peer(self, script, config):
        return worker.peer(script, self.inputs, self.batch, self.threads, config, self.options.instructions)

    def wanted(self, system, config):
        return system in self.options.system and (not self.options.config or re.search(self.options.config, config))

    def measure(self, slipway):
        say(f"{self.name()}: starting")
        layers = network.places(json.loads(self.described()["network"]))
        self.work = {"multiply_adds": self.batch * network.multiply_adds(layers), "passed_bytes": self.batch * network.passed_bytes(layers),
                     "peak": self.peak()}
        with contextlib.ExitStack() as stack:
            expected = self.reference()
            for system, config, start in self.configurations(slipway):
                if not self.wanted(system, config):
                    continue
                with self.listing(system, config):
                    started = stack.enter_context(start())
                    self.gate(system, config, started.run(STEPS_IN_GATE, losses=True)["losses"], expected)
                    self.plan(system, config, started)
                    self.workers[system, config] = started
            for number in range(self.options.rounds):
                say(f"{self.name()}: round {number + 1} of {self.options.rounds}")
                for key, one in list(self.workers.items()):
                    with self.listing(*key):
                        self.block(number, self.rows[key], one)
            for key, one in self.workers.items():
                self.rows[key]["peak_mb"] = one.peak()
        return self.result()

    @contextlib.contextmanager
    def listing(self, system, config):
        """Lists a configuration as missing that cannot run here, or a peer's that ends by itself. Slipway's must not end so."""
        try:
            yield
        except worker.Unavailable as error:
            self.missing.append([system, config, str(error)])
        except worker.Ended as error:
            if system == "Slipway":
                sys.exit(f"bench-peers: {self.name()}: {error}")
            say(f"{self.name()}: {system}, {config} is left out: {error}")
            self.missing.append([system, config, error.reason])
            self.workers.pop((system, config), None)
            self.rows.pop((system, config), None)

    def peak(self):
        """What the CPUs multiply out and copy at most."""
        more = {"SLIPWAY_KERNEL": self.options.instructions} if self.options.instructions else {}
        said = subprocess.run([machine.SLIPWAY, "peak", "-threads", str(self.threads)], check=True, capture_output=True, text=True,
                              env=machine.clean_environment(**more), preexec_fn=machine.pinned_to(self.threads))
        return json.loads(said.stdout)

    def reference(self):
        """The losses of the first steps in float64, kept in .cache/bench/reference/: PyTorch takes minutes for some networks."""
        made_of = hashlib.sha256(self.inputs.read_bytes())
        made_of.update(pathlib.Path(machine.VENV_PYTHON.parents[1] / "requirements.txt").read_bytes())
        path = machine.CACHE / "reference" / f"{self.network}-batch{self.batch}-{made_of.hexdigest()[:16]}.json"
        if path.exists():
            return json.loads(path.read_text())
        with self.peer("torch_worker.py", "float64") as reference:
            losses = reference.run(STEPS_IN_GATE, losses=True)["losses"]
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, json.dumps(losses))
        return losses

    def gate(self, system, config, losses, expected):
        """Ends the run unless the losses are those of PyTorch in float64."""
        if config.startswith("bf16"):
            return  # computes something else, and is not counted
        for step, (got, want) in enumerate(zip(losses, expected, strict=True)):
            allowed = (GATE_LATER if step else self.page.first_loss) * abs(want)
            if not abs(got - want) <= allowed:
                sys.exit(f"bench-peers: {self.name()}: {system}, {config} computes something else: its loss at step {step + 1} "
                         f"is {got:.7g}, PyTorch's in float64 is {want:.7g}. Nothing of this group was timed.\n"
                         f"  its losses      {losses}\n  in float64      {expected}")

    def plan(self, system, config, one):
        """Warms the worker up, and finds how many steps are a block."""
        one.run(1, fed=self.page.epoch_images is not None)
        ms = one.milliseconds(2)
        if ms < 100:
            ms = one.milliseconds(max(3, int(50 / max(ms, 0.1))))
        # Slipway's steps are always fed; the others train a block without feeding and, for the time of an epoch, half a block with it.
        length = 1000 * self.options.seconds
        self.rows[system, config] = {
            "system": system, "config": config, "version": one.introduction["version"],
            "images": one.introduction["images"], "shuffle_s": one.introduction["shuffle_seconds"],
            "imported_mb": one.introduction.get("imported_mb"), "slow": ms > self.page.slow_ms,
            "steps": max(1, round(length / ms)),
            "fed_steps": 0 if system == "Slipway" or self.page.epoch_images is None else max(1, round(length / ms / 2)),
            "blocks": [],
        }

    def block(self, number, row, one):
        if row["slow"] and number >= SLOW_ROUNDS:
            return
        time.sleep(0.05 if self.options.quick else 0.3)  # the worker before this one goes to sleep
        row["blocks"] += self.place.blocks(lambda: self.time(row, one))

    def time(self, row, one):
        """The milliseconds of a step, of one with feeding, and of the CPUs in a step, which others at work change least."""
        load = machine.Load(one.process.pid)
        ms = fed = one.milliseconds(row["steps"])
        cpu = 1000 * load.used() / row["steps"]
        if row["fed_steps"]:
            fed = one.milliseconds(row["fed_steps"], fed=True)
        if (others := load.others()) is not None:
            self.others.append(others)
        return ms, fed, cpu

    def result(self):
        rows = []
        for row in self.rows.values():
            near, apart = self.place.split(row["blocks"])
            ms, fed_ms, cpu_ms = zip(*(near or apart))
            fed = statistics.median(fed_ms) / 1000
            rows.append({
                "network": self.network, "batch": self.batch, "threads": self.threads,
                "system": row["system"], "config": row["config"],
                "ms_min": min(ms), "ms_median": statistics.median(ms),
                "ms_cpu": min(cpu_ms),
                "ms_apart": statistics.median(ms for ms, _, _ in apart) if apart else None,
                "blocks_near": len(near), "blocks_apart": len(apart), "distances": [max(distances) for distances, _ in row["blocks"]],
                "epoch_s": row["shuffle_s"] + fed * self.page.epoch_images / self.batch if self.page.epoch_images else None,
                "peak_mb": row["peak_mb"], "float32": not row["config"].startswith("bf16"),
                "steps": row["steps"], "version": row["version"], "imported_mb": row["imported_mb"],
            })
        return {"rows": rows, "work": self.work, "missing": self.missing, "header": machine.header(), "cpu": machine.cpu()[0],
                "others": [statistics.median(self.others), max(self.others)] if self.others else None,
                "settings": {"rounds": self.options.rounds, "seconds": self.options.seconds}}


def say(text):
    print(f"bench-peers: {text}", file=sys.stderr, flush=True)


def unfit(path, groups):
    """Why the table must not take the place of the one in the JSON file path; empty where it may. That one is hours of a quiet machine."""
    if (busy := report.busy(groups)) > report.QUIET:
        return f"the machine was not quiet: others used {busy:.2f} cores"
    if not path.exists():
        return ""
    def names(rows):
        return dict.fromkeys(f"{row['network']}, batch {row['batch']}, {report.threads(row['threads'])}" for row in rows)
    here = names(row for group in groups for row in group["rows"])
    if lost := [name for name in names(json.loads(path.read_text())) if name not in here]:
        return (f"{path} has groups that this table lacks: {'; '.join(lost)}. Measure them too, or remove that file to begin "
                "a new table")
    return ""


def main():
    parser, options = arguments()
    machine.take_children_along()
    suffix = f"-{options.instructions}" if options.instructions else ""
    folder = machine.CACHE / (("quick" if options.quick else "peers") + suffix)
    folder.mkdir(parents=True, exist_ok=True)
    docs = folder if options.quick else machine.DOCS
    if not options.report:
        measure(parser, options, folder)
    page = report.PAGES[options.set]
    groups = [json.loads(path.read_text()) for name in page.titles for path in sorted(folder.glob(f"{name}-batch*-threads*.json"))]
    here = [group for group in groups if group["cpu"] == machine.cpu()[0]]
    if len(here) < len(groups):
        say(f"{len(groups) - len(here)} groups in {folder} are from another CPU and left out; remove them")
    if not here:
        sys.exit(f"bench-peers: there are no results of the set {options.set}")
    docs.mkdir(parents=True, exist_ok=True)
    name = options.set + suffix
    if not options.quick and (reason := unfit(docs / f"{name}.json", here)):
        say(f"{docs / name}.md stays as it is: {reason}")
        docs = folder
    write(docs / f"{name}.json", report.as_json(here, page))
    text = report.as_markdown(here, page, options.instructions)
    write(docs / f"{name}.md", text)
    print(text)
    say(f"written: {docs / name}.md, {docs / name}.json")


def measure(parser, options, folder):
    """Measures the groups that are asked for; each one's results are a file in the folder."""
    if removed := machine.removed_variables():
        say(f"unset for all sides: {', '.join(removed)}")
    if not options.keep_build:
        machine.build_slipway()
    slipway = json.loads(subprocess.run([machine.SLIPWAY, "describe"], check=True, capture_output=True, text=True).stdout)
    batches = {one["name"]: one["batches"] for one in slipway["networks"] if one["set"] == options.set}
    names = options.network or list(batches)
    if unknown := set(names) - set(batches):
        parser.error(f"unknown network {', '.join(unknown)}; the set {options.set} has {', '.join(batches)}")
    seen = {}
    for name in names:
        inputs = machine.CACHE / "inputs" / f"{name}.safetensors"
        inputs.parent.mkdir(exist_ok=True)
        subprocess.run([machine.SLIPWAY, "inputs", "-network", name, "-o", inputs], check=True, env=machine.clean_environment())
        for batch in options.batch or batches[name]:
            for threads in options.threads:
                path = folder / f"{name}-batch{batch}-threads{threads}.json"
                if options.resume and path.exists():
                    continue
                place = placement.Placement(machine.cpus_of(threads), 0 if options.quick else PATIENCE, seen.get(threads, ()))
                result = Group(name, batch, threads, options, place).measure(slipway)
                seen[threads] = place.seen
                if not result["rows"]:
                    sys.exit("bench-peers: no configuration is left by the filters, or none can run here")
                write(path, json.dumps(result, indent=1))


def write(path: pathlib.Path, text):
    part = path.with_name(path.name + ".part")
    part.write_text(text.rstrip("\n") + "\n")
    part.replace(path)


if __name__ == "__main__":
    main()
