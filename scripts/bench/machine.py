"""What the benchmarks run on and with: folders, the environment of a measured process, the CPU, the load by others."""

import datetime
import os
import pathlib
import platform
import shlex
import signal
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "bench"
VENV_PYTHON = ROOT / ".cache" / "bench-venv" / "bin" / "python"
SLIPWAY = CACHE / "slipway-bench"
DOCS = ROOT / "docs" / "bench"

# Variables that change which kernels or how many threads a library uses. A peer is measured without them.
TUNING = ("OPENBLAS", "GOTO", "BLIS", "NVPL", "OMP", "GOMP", "KMP", "MKL", "DNNL", "ONEDNN", "ATEN", "TORCH", "PYTORCH",
          "XLA", "JAX", "TF_NUM", "TF_ENABLE", "TF_XLA", "VECLIB", "GOMAXPROCS", "GOGC", "GOMEMLIMIT", "GODEBUG", "SLIPWAY", "LD_PRELOAD", "MALLOC",
          "GLIBC_TUNABLES", "THP_")

TICKS = os.sysconf("SC_CLK_TCK")


def build_slipway():
    CACHE.mkdir(parents=True, exist_ok=True)
    subprocess.run(["go", "build", "-o", SLIPWAY, "./scripts/bench/slipway"], cwd=ROOT, check=True)


def take_children_along():
    """Makes SIGTERM end the program as an error does, so that it ends what it started."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def clean_environment(**more):
    """The environment without anything that tunes a library, and with the variables given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(TUNING)}
    kept.update({name: str(value) for name, value in more.items()})
    return kept


# What keeps PyTorch (its own kernels, oneDNN's, MKL's) and JAX from instructions beyond AVX2.
AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}


def peer_environment(threads, instructions=""):
    return clean_environment(
        **(AVX2 if instructions == "avx2" else {}),
        # Slipway asks for huge pages by itself: with them PyTorch's eager step of MobileNetV2 took 264 ms and 281 without.
        GLIBC_TUNABLES="glibc.malloc.hugetlb=1",
        OMP_NUM_THREADS=threads, MKL_NUM_THREADS=threads, CUDA_VISIBLE_DEVICES="", JAX_PLATFORMS="cpu",
        XLA_FLAGS=f"--xla_cpu_multi_thread_eigen={'false' if threads == 1 else 'true'}" +
                  (" --xla_cpu_max_isa=AVX2" if instructions == "avx2" else ""),
        # No helper processes, which would outlive the compilation.
        TORCHINDUCTOR_COMPILE_THREADS=1, TORCHINDUCTOR_CACHE_DIR=CACHE / "inductor",
        PYTHONDONTWRITEBYTECODE=1, PYTHONWARNINGS="ignore", TF_CPP_MIN_LOG_LEVEL=2,
    )


def removed_variables():
    return sorted(name for name in os.environ if name.startswith(TUNING))


def all_cpus():
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count()))


def cpus_of(threads):
    """The CPUs that a process of so many threads is kept on."""
    return all_cpus()[:threads]


def on_cpus(cpus):
    """A preexec_fn that keeps a process on those CPUs."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    return lambda: os.sched_setaffinity(0, cpus)


def pinned_to(threads):
    """A preexec_fn that keeps a process on as many CPUs as it has threads."""
    return on_cpus(cpus_of(threads))


def cpu():
    """The CPU's name and those of its features that decide which kernels can run."""
    try:
        fields = {}
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            fields.setdefault(name.strip(), value.strip())
    except OSError:
        return platform.processor() or platform.machine(), []
    flags = fields.get("flags", fields.get("Features", "")).split()
    name = fields.get("model name", platform.machine())
    if "cpu family" in fields:
        name += f" (family {fields['cpu family']}, model {fields['model']}, stepping {fields.get('stepping', '?')})"
    wanted = ["avx2", "fma", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "asimd", "sve"]
    return name, [flag for flag in wanted if flag in flags]


def commit():
    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    revision = git("rev-parse", "--short=12", "HEAD") or "unknown"
    return revision + (" and changes" if git("status", "--porcelain", "--untracked-files=no") else "")


def header(command=None):
    """Lines of Markdown that say what was measured where, when and by which command."""
    name, flags = cpu()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return [
        f"- CPU: {name}, {len(all_cpus())} cores; {', '.join(flags) or 'none of the features asked for'}",
        f"- {platform.system()} {platform.release()}, {memory:.0f} GiB of memory",
        f"- {datetime.date.today().isoformat()}, Slipway at {commit()}",
        f"- command: `{command or ' '.join(shlex.quote(a) for a in ['scripts/bench/' + caller()] + sys.argv[1:])}`",
    ]


def caller():
    """The name of the script that a person calls: bench-peers for bench_peers.py."""
    return pathlib.Path(sys.argv[0]).stem.replace("_", "-")


def peak_megabytes(pid):
    """The resident set's high-water mark of a live process, in MiB; None where the system does not tell."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return None


class Load:
    """How much of the machine others used between two moments, in cores."""

    def __init__(self, pid):
        self.pid, self.own, self.busy, self.time = pid, own_ticks(pid), busy_ticks(), os.times().elapsed

    def used(self):
        """The CPUs' seconds that the process itself took since then, on all its threads."""
        return (own_ticks(self.pid) - self.own) / TICKS

    def others(self):
        elapsed = os.times().elapsed - self.time
        if self.busy is None or elapsed <= 0.1:
            return None
        return max(0.0, (busy_ticks() - self.busy) / TICKS - self.used()) / elapsed


def busy_ticks():
    try:
        with open("/proc/stat") as file:
            fields = [int(field) for field in file.readline().split()[1:]]
    except OSError:
        return None
    return sum(fields[:3]) + sum(fields[5:8])  # all but idle and iowait; guests are within user


def own_ticks(pid):
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])
