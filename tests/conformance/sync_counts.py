"""Counts what the programs that it reads, one JSON text a line, do to locks and the like: how often each statement, operation and action ran, and how
often the states were reached that are hard to get right. CPython 3.13 or newer. `programs.ts` prints the programs.
"""
import asyncio
import collections
import gc
import json
import sys
import warnings

import run

counts = collections.Counter()


def waiting_place(frame):
    """Which wait a future is made for."""
    place = frame.f_code.co_qualname
    while frame is not None:
        frame = frame.f_back
        if frame is not None and frame.f_code.co_filename.endswith("asyncio/locks.py"):
            place += " in " + frame.f_code.co_qualname
    return place


def barrier_of(frame):
    """The barrier that a future is made for, if any."""
    while frame is not None:
        if frame.f_code.co_qualname == "Barrier.wait":
            return frame.f_locals["self"]
        frame = frame.f_back
    return None


class Watched(asyncio.Future):
    def __init__(self, loop, place, barrier):
        super().__init__(loop=loop)
        self.place = place
        self.barrier = barrier
        self.cancels = 0
        counts["waits", place] += 1

    def set_result(self, result):
        caller = sys._getframe(1).f_code.co_qualname
        counts["woken", self.place] += 1
        if caller == "Queue.shutdown":
            counts["woken by shutdown", self.place] += 1
        super().set_result(result)

    def cancel(self, msg=None):
        if sys._getframe(1).f_code.co_qualname in ("Queue.put", "Queue.get"):
            return super().cancel(msg)
        self.cancels += 1
        if self.cancels == 2:
            counts["cancelled twice", self.place] += 1
        if self.barrier is not None:
            counts["barrier", "waiter cancelled while " + self.barrier._state.value] += 1
        if not self.done():
            counts["cancelled while waiting", self.place] += 1
        elif not self.cancelled():
            counts["woken and cancelled in the same tick", self.place] += 1
        return super().cancel(msg)


def create_future(self):
    frame = sys._getframe(1)
    if frame.f_code.co_filename.endswith(("asyncio/locks.py", "asyncio/queues.py")):
        return Watched(self, waiting_place(frame), barrier_of(frame))
    return asyncio.Future(loop=self)


def count_calls(owner, name, key):
    method = getattr(owner, name)

    def counted(self, *args):
        for what in key(self, *args):
            counts[what] += 1
        return method(self, *args)

    setattr(owner, name, counted)


def barrier_wait(wait):
    async def counted(self):
        fills = self._count + 1 < self.parties
        state = self._state.value
        counts["barrier", "waited for while " + state] += 1
        try:
            return await wait(self)
        except asyncio.BrokenBarrierError:
            counts["barrier", "broken while waiting" if fills and state == "filling" else "found broken"] += 1
            raise
    return counted


run.VirtualLoop.create_future = create_future
count_calls(run.Machine, "statement", lambda self, statement, *_: [("statement", statement[0])])
count_calls(run.Sync, "operation", lambda self, operation: [("operation", operation[0])])
count_calls(run.Sync, "act_one", lambda self, kind, target, args: [("action", kind)])
for kind in (asyncio.Lock, asyncio.Semaphore):
    count_calls(kind, "release", lambda self: [("released with waiters", type(self).__name__ + " " + str(min(2, len(self._waiters or ()))))])
asyncio.Barrier.wait = barrier_wait(asyncio.Barrier.wait)

sys.unraisablehook = lambda *args: None
sys.setrecursionlimit(3000)
warnings.simplefilter("ignore")
gc.disable()
programs = 0
for line in sys.stdin:
    program = json.loads(line)
    programs += 1
    for event in run.execute(program):
        _, who, what, *rest = event.split() + [""] * 3
        if what in ("did", "failed"):
            counts["outcome", " ".join([what, rest[0], rest[2].split("(")[0] if what == "failed" else ""])] += 1
        elif what == "main":
            counts[what, rest[0].split("(")[0].split("[")[0] if not rest[0].isdigit() else "result"] += 1
        elif what == "finish":
            counts[what, "deadlock" if rest[0] == "deadlock" else "nothing left" if rest[0] == "[]" else "all ended"] += 1
        elif rest and what in ("release", "notify", "notifyAll", "putNowait", "getNowait", "taskDone", "shutdown", "cancelWaiting"):
            counts["outcome", what + " " + (rest[1] if not rest[1].isdigit() else "result")] += 1
    if programs % 50 == 0:
        gc.collect()
print(programs, "programs")
for key, count in sorted(counts.items()):
    print(f"{count:8} {key[0]}: {key[1]}")
