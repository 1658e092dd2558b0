"""A measured process: it trains for as many steps as it is told and answers with the time. All sides speak the same
lines of JSON, which slipway/worker.go describes."""

import json
import subprocess
import tempfile

import machine


class Unavailable(Exception):
    """This configuration cannot run here; the text says why."""


class Ended(Exception):
    """The process ended before it answered; the text has how, and the last of what it said. reason has it in a line."""

    def __init__(self, command, status, said):
        super().__init__(f"{command} ended with {status}:\n{said[-3000:]}")
        self.reason = ": ".join([f"its process ended with {status}", *said.splitlines()[-1:]])


class Worker:
    """One configuration of one side, in a process of its own, pinned to as many CPUs as it may use."""

    def __init__(self, command, environment, threads, batch):
        self.batch = batch
        self.log = tempfile.TemporaryFile(mode="w+")
        self.process = subprocess.Popen(
            [str(part) for part in command], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self.log, text=True, preexec_fn=machine.pinned_to(threads))
        self.introduction = self.read()
        if "unavailable" in self.introduction:
            self.close()
            raise Unavailable(self.introduction["unavailable"])

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.log.seek(0)
            said = self.log.read().strip()
            raise Ended(" ".join(map(str, self.process.args)), self.process.returncode, said)
        return json.loads(line)

    def run(self, steps, losses=False, fed=False):
        """Trains; fed: from the bytes of the whole set, which Slipway always does."""
        try:
            self.process.stdin.write(json.dumps({"steps": steps, "losses": losses, "fed": fed}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended, and read says how
        return self.read()

    def milliseconds(self, steps, fed=False):
        """The mean of a step; one with fewer images, the last of an epoch, counts as part of a step."""
        answer = self.run(steps, fed=fed)
        return 1000 * answer["seconds"] * self.batch / answer["trained"]

    def peak(self):
        return machine.peak_megabytes(self.process.pid)

    def close(self):
        for stream in (self.process.stdin, self.process.stdout, self.log):
            try:
                stream.close()
            except OSError:
                pass
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def slipway(network, batch, threads, engine, kernel, precision="float32"):
    more = {"SLIPWAY_KERNEL": kernel} if kernel else {}
    command = [machine.SLIPWAY, "worker", "-network", network, "-batch", batch, "-threads", threads, "-engine", engine, "-precision", precision]
    return Worker(command, machine.clean_environment(**more), threads, batch)


def peer(script, inputs, batch, threads, config, instructions=""):
    command = [machine.VENV_PYTHON, machine.ROOT / "scripts" / "bench" / script, inputs, batch, threads, config]
    return Worker(command, machine.peer_environment(threads, instructions), threads, batch)
