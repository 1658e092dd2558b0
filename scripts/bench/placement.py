"""Whether the CPUs of a measurement share a cache just now.

A virtual machine's CPUs need not stay where they are: the hypervisor puts two of them next to each other, or on cores that
share no cache, for seconds or minutes. Threads that work on the same data then take up to twice as long, whichever system
runs them. What tells is how long a cache line takes from one CPU to another and back."""

import json
import subprocess
import time

import machine

# Two CPUs are next to each other where the distance is between these shares of the usual short one: further apart they share no
# cache, and much closer they are one core's two halves.
CLOSEST, FURTHEST = 0.7, 1.5
# How often a block is repeated that ran with the CPUs apart.
REPEATS = 2


def distance(cpus):
    """The longest of the ways from the first of the CPUs to another, in nanoseconds; 0 for one CPU."""
    def way(other):
        said = subprocess.run([machine.SLIPWAY, "distance"], check=True, capture_output=True, text=True,
                              preexec_fn=machine.on_cpus([cpus[0], other]))
        return json.loads(said.stdout)["nanoseconds"]
    return max(map(way, cpus[1:]), default=0)


class Placement:
    """The distances seen, and how long to wait for a short one: that many seconds in all."""

    def __init__(self, cpus, patience, seen=(), measure=distance, sleep=time.sleep):
        self.cpus, self.patience, self.measure, self.sleep = cpus, patience, measure, sleep
        self.seen = list(seen)
        while len(self.seen) < 8:  # enough to know what is usual
            self.look()
            self.sleep(0.2 if patience else 0)

    def look(self):
        """The distance now."""
        self.seen.append(self.measure(self.cpus))
        return self.seen[-1]

    def usual(self):
        """The usual short distance: the first quartile of those seen, so that neither rare short ones nor many long ones move it."""
        return sorted(self.seen)[len(self.seen) // 4]

    def apart(self, *distances):
        """Whether the CPUs were not next to each other at one of those distances."""
        usual = self.usual()
        return not all(CLOSEST * usual <= seen <= FURTHEST * usual for seen in distances)

    def wait(self):
        """Waits for the CPUs to be next to each other, while there is patience, and returns the distance."""
        while self.apart(now := self.look()) and self.patience > 0:
            self.sleep(1)
            self.patience -= 1
        return now

    def blocks(self, run):
        """Runs a block, again where the CPUs were apart before or after it and there is patience. Returns of each the distances before
        and after it, and the result."""
        blocks = []
        while True:
            before, result, after = self.wait(), run(), self.look()
            blocks.append(((before, after), result))
            if not self.apart(before, after) or self.patience <= 0 or len(blocks) > REPEATS:
                return blocks

    def split(self, blocks):
        """The results of the blocks that ran next to each other, and of the others, by what is usual until now."""
        near = [result for distances, result in blocks if not self.apart(*distances)]
        return near, [result for distances, result in blocks if self.apart(*distances)]
