"""Runs the programs that it reads, one JSON text a line, on a loop with virtual time, and prints the trace of each.

CPython 3.13 or newer. Two things that CPython leaves to chance are made definite: a task group cancels its tasks in the order they were made, and
as_completed() watches its futures in the order they were passed. A group always learns of its tasks by a done callback, as newer versions do.

Locks and the like (`sync_run.py`) leave nothing to chance but the order of equal items in a priority queue: items that are equal there are the same.
"""
import asyncio
import gc
import json
import selectors
import sys
import warnings

from sync_run import ProgramError, Sync

MAX_STEPS = 4000


class Deadlock(Exception):
    pass


class TooLong(Exception):
    pass


class VirtualSelector(selectors.DefaultSelector):
    loop = None

    def select(self, timeout=None):
        if timeout is None:
            raise Deadlock
        if timeout > 0:
            self.loop.now += timeout
        self.loop.steps += 1
        if self.loop.steps > MAX_STEPS:
            raise TooLong
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        selector = VirtualSelector()
        selector.loop = self
        self.now = 0
        self.steps = 0
        super().__init__(selector)

    def time(self):
        return self.now



class OrderedTimer(asyncio.TimerHandle):
    count = 0

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        OrderedTimer.count += 1
        self.serial = OrderedTimer.count

    def __lt__(self, other):
        return (self._when, self.serial) < (other._when, other.serial)


asyncio.events.TimerHandle = OrderedTimer


class Ordered(dict):
    def add(self, item):
        self[item] = None

    def discard(self, item):
        self.pop(item, None)

    def remove(self, item):
        del self[item]


class Group(asyncio.TaskGroup):
    def __init__(self):
        super().__init__()
        self._tasks = Ordered()

    def create_task(self, coro):
        if self._exiting and not self._tasks or self._aborting or not self._entered:
            coro.close()
            raise RuntimeError
        task = self._loop.create_task(coro)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)
        if self._aborting and not task.done():
            task.cancel()
        return task


class Completed(asyncio.tasks._AsCompletedIterator):
    def __init__(self, futures, timeout):
        super().__init__([], None)
        loop = asyncio.get_running_loop()
        self._todo = Ordered.fromkeys(futures)
        self._todo_left = len(self._todo)
        for future in self._todo:
            future.add_done_callback(self._handle_completion)
        if futures and timeout is not None:
            self._timeout_handle = loop.call_later(timeout, self._handle_timeout)


WHEN = [asyncio.FIRST_COMPLETED, asyncio.FIRST_EXCEPTION, asyncio.ALL_COMPLETED]


NAMES = [
    (ValueError, "ValueError"),
    (asyncio.BrokenBarrierError, "BrokenBarrier"),
    (asyncio.QueueEmpty, "QueueEmpty"),
    (asyncio.QueueFull, "QueueFull"),
    (asyncio.QueueShutDown, "QueueShutDown"),
]


def show(error):
    if isinstance(error, BaseExceptionGroup):
        return "Group[" + ",".join(show(e) for e in error.exceptions) + "]"
    if isinstance(error, asyncio.CancelledError):
        return "Cancelled(" + (str(error.args[0]) if error.args and error.args[0] not in (None, "") else "") + ")"
    if isinstance(error, asyncio.TimeoutError):
        return "Timeout"
    if isinstance(error, asyncio.InvalidStateError):
        return "InvalidState"
    if isinstance(error, ProgramError):
        return "Value(" + str(error) + ")"
    for kind, name in NAMES:
        if isinstance(error, kind):
            return name
    return "Runtime"


def value(v):
    if isinstance(v, BaseException):
        return show(v)
    if isinstance(v, list):
        return "[" + ",".join(value(x) for x in v) + "]"
    return "-" if v is None else str(v)


class Machine:
    show = staticmethod(show)
    value = staticmethod(value)

    def __init__(self, program, loop):
        self.functions = program["functions"]
        self.loop = loop
        self.trace = []
        self.items = []
        self.lowest = []
        self.own = {}
        self.futures = [loop.create_future() for _ in range(3)]
        self.handles = []
        self.callbacks = {}
        self.raised = 0
        self.work = 0
        self.sync = Sync(self, program.get("primitives", {}))

    def who(self):
        try:
            task = asyncio.current_task(self.loop)
        except RuntimeError:
            task = None
        return "-" if task is None else str(self.own.get(task, "?"))

    def log(self, *parts):
        self.trace.append(f"{round(self.loop.now)} {self.who()} " + " ".join(str(p) for p in parts))

    def mine(self):
        return self.own[asyncio.current_task()]

    def item(self, i):
        return self.items[i % len(self.items)] if self.items else None

    def name(self, future):
        for i, item in enumerate(self.items):
            if item is future:
                return f"a{i}"
        for i, item in enumerate(self.futures):
            if item is future:
                return f"f{i}"
        return "?"

    def new_item(self, lowest=None):
        self.items.append(None)
        self.lowest.append(len(self.items) - 1 if lowest is None else lowest)
        return len(self.items) - 1

    async def function(self, index, place):
        task = asyncio.current_task()
        if task not in self.own:
            self.own[task] = place
            self.items[place] = task
        self.log("start", place)
        try:
            await self.body(self.functions[index], None, None)
        except BaseException as error:
            self.log("throws", place, show(error))
            raise
        self.log("returns", place)
        return place

    def coroutine(self, index):
        return self.function(index, self.new_item())

    async def operation(self, operation, place):
        task = asyncio.current_task()
        if task not in self.own:
            self.own[task] = place
            self.items[place] = task
        return await self.sync.perform(operation)

    def resolve(self, reference, coroutines=True):
        kind, i = reference
        if kind == "f":
            return self.futures[i], None
        if kind == "a":
            item = self.item(i)
            if item is None or self.lowest[i % len(self.items)] <= self.mine():
                return None, None
            return item, self.lowest[i % len(self.items)]
        place = self.new_item()
        make = self.operation if kind == "o" else self.function
        if coroutines:
            return make(i, place), place
        return self.start(make(i, place), place), place

    def resolve_all(self, references, coroutines=True):
        found = [self.resolve(r, coroutines) for r in references]
        found = [f for f in found if f[0] is not None]
        lowest = min((f[1] for f in found if f[1] is not None), default=1 << 30)
        return [f[0] for f in found], lowest

    def start(self, coroutine, place, create=None):
        task = (create or self.loop.create_task)(coroutine)
        self.items[place] = task
        self.own[task] = place
        return task

    def spawn(self, index, create=None):
        place = self.new_item()
        return self.start(self.function(index, place), place, create)

    def launch(self, make, create=None):
        """A task of its own for an awaitable of asyncio's own; None if there are enough tasks, or the group takes no more."""
        if len(self.items) >= 40:
            return None
        try:
            task = self.start(make(), self.new_item(), create)
            self.log("launched", self.own[task], task.done())
            return task
        except RuntimeError:
            self.log("refused")
            return None

    def act(self, action):
        kind, *args = action
        if kind == "log":
            self.log("act", args[0])
        elif kind == "set":
            future = self.futures[args[0]]
            if not future.done():
                future.set_result(args[1])
            self.log("act set", args[0])
        elif kind == "fail":
            future = self.futures[args[0]]
            if not future.done():
                future.set_exception(ProgramError("fail"))
                future._log_traceback = False
            self.log("act fail", args[0])
        elif kind == "cancel":
            item = self.item(args[0])
            if item is not None:
                self.log("act cancel", args[0] % len(self.items), item.cancel(args[1]))
        elif kind == "cancelF":
            self.log("act cancelF", self.futures[args[0]].cancel())
        elif kind == "raise":
            raise ProgramError("act")
        elif kind == "do":
            self.sync.act(args[0])

    async def body(self, statements, group, scope):
        for statement in statements:
            self.work += 1
            if self.work > 600:
                return
            await self.statement(statement, group, scope)

    async def statement(self, statement, group, scope):
        kind, *args = statement
        if kind == "log":
            self.log("log", args[0])
        elif kind == "sleep":
            await asyncio.sleep(args[0])
            self.log("slept")
        elif kind == "spawn":
            if len(self.items) < 40:
                task = self.spawn(args[0])
                self.log("spawned", self.own[task], task.done())
        elif kind == "groupSpawn":
            if len(self.items) < 40:
                try:
                    task = self.spawn(args[0], group.create_task)
                    self.log("spawned", self.own[task], task.done())
                except RuntimeError:
                    self.log("refused")
        elif kind == "cancel":
            item = self.item(args[0])
            if item is not None:
                self.log("cancel", args[0] % len(self.items), item.cancel(args[1]))
        elif kind == "await":
            if len(self.items) < 40:
                item, _ = self.resolve(args[0])
                if item is not None:
                    self.log("got", value(await item))
        elif kind == "set":
            try:
                self.futures[args[0]].set_result(args[1])
                self.log("set", args[0])
            except asyncio.InvalidStateError:
                self.log("set invalid")
        elif kind == "fail":
            try:
                self.futures[args[0]].set_exception(ProgramError("fail"))
                self.futures[args[0]]._log_traceback = False
                self.log("fail", args[0])
            except asyncio.InvalidStateError:
                self.log("fail invalid")
        elif kind == "cancelF":
            self.log("cancelF", args[0], self.futures[args[0]].cancel())
        elif kind == "new":
            self.futures[args[0]] = self.loop.create_future()
        elif kind == "gather":
            if len(self.items) < 40:
                items, lowest = self.resolve_all(args[0])
                outer = asyncio.gather(*items, return_exceptions=bool(args[1]))
                if args[2]:
                    self.log("gathered", value(await outer))
                else:
                    self.items[self.new_item(lowest)] = outer
        elif kind == "wait":
            items, _ = self.resolve_all([r for r in args[0] if r[0] != "c"], False)
            if items:
                done, pending = await asyncio.wait(items, timeout=args[1], return_when=WHEN[args[2]])
                self.log("waited", sorted(map(self.name, done)), sorted(map(self.name, pending)))
        elif kind == "waitFor":
            if len(self.items) < 40:
                item, _ = self.resolve(args[0])
                if item is not None:
                    self.log("waited for", value(await asyncio.wait_for(item, args[1])))
        elif kind == "shield":
            if len(self.items) < 40:
                item, lowest = self.resolve(args[0])
                if item is not None:
                    outer = asyncio.shield(item)
                    if args[1]:
                        self.log("shielded", value(await outer))
                    else:
                        self.items[self.new_item(1 << 30 if lowest is None else lowest)] = outer
        elif kind == "each":
            if len(self.items) < 36:
                items, _ = self.resolve_all(args[0], False)
                iterator = Completed(items, args[1])
                if args[2]:
                    async for future in iterator:
                        self.log("completed", self.name(future))
                else:
                    for coroutine in iterator:
                        self.log("result", value(await coroutine))
        elif kind == "raise":
            self.raised += 1
            raise ProgramError(str(self.raised))
        elif kind == "soon":
            self.handles.append(self.loop.call_soon(self.act, args[0]))
        elif kind == "later":
            self.handles.append(self.loop.call_later(args[0], self.act, args[1]))
        elif kind == "cancelH":
            if self.handles:
                self.handles[args[0] % len(self.handles)].cancel()
        elif kind == "uncancel":
            self.log("uncancel", asyncio.current_task().uncancel())
        elif kind == "state":
            self.log("state", asyncio.current_task().cancelling())
        elif kind == "cancelSelf":
            self.log("cancelSelf", asyncio.current_task().cancel(args[0]))
        elif kind == "onDone":
            item = self.item(args[0])
            if item is not None:
                place = args[0] % len(self.items)
                callback = self.callbacks.setdefault(place, lambda f: self.log("done", place, f.cancelled()))
                item.add_done_callback(callback)
        elif kind == "offDone":
            item = self.item(args[0])
            if item is not None:
                place = args[0] % len(self.items)
                self.log("off", item.remove_done_callback(self.callbacks.get(place)))
        elif kind == "inspect":
            item = self.item(args[0])
            if item is not None:
                try:
                    self.log("inspect", value(item.exception() or item.result()))
                except BaseException as error:
                    self.log("inspect", show(error))
        elif kind == "reschedule":
            try:
                scope.reschedule(None if args[0] is None else self.loop.time() + args[0])
                self.log("rescheduled")
            except RuntimeError:
                self.log("not rescheduled")
        elif kind == "expired":
            self.log("expired", scope.expired())
        elif kind == "timeout":
            inner = asyncio.timeout(args[0])
            try:
                async with inner:
                    await self.body(args[1], group, inner)
            finally:
                self.log("timeout over", inner.expired())
        elif kind == "group":
            async with Group() as inner:
                await self.body(args[0], inner, scope)
            self.log("group over")
        elif kind == "try":
            block, catches, handler, again, last = args
            try:
                try:
                    await self.body(block, group, scope)
                except BaseException as error:
                    if isinstance(error, (Deadlock, TooLong, GeneratorExit)):
                        raise
                    cancelled = isinstance(error, asyncio.CancelledError)
                    if catches == "none" or catches == "cancel" and not cancelled or catches == "error" and cancelled:
                        raise
                    self.log("caught", show(error))
                    await self.body(handler, group, scope)
                    if again:
                        raise error
            finally:
                if last is not None:
                    self.log("finally")
                    await self.body(last, group, scope)
        elif kind == "loop":
            for _ in range(args[0]):
                await self.body(args[1], group, scope)
        elif kind == "call":
            if len(self.items) < 40:
                self.log("called", value(await self.coroutine(args[0])))
        else:
            await self.sync.statement(statement, group, scope)


def on_error(machine):
    def handler(loop, context):
        if "never" not in context["message"] and "hield" not in context["message"] and "destroyed" not in context["message"]:
            machine.log("handler", show(context["exception"]))
    return handler


def execute(program):
    loop = VirtualLoop()
    machine = Machine(program, loop)
    loop.set_exception_handler(on_error(machine))
    if program["eager"]:
        loop.set_task_factory(asyncio.eager_task_factory)

    async def main():
        return await machine.function(0, machine.new_item())

    def attempt(what, make):
        try:
            machine.log(what, value(loop.run_until_complete(make())))
        except Deadlock:
            machine.log(what, "deadlock")
        except TooLong:
            machine.log(what, "too long")
            raise
        except BaseException as error:
            machine.log(what, show(error))

    async def finish():
        left = [t for t in machine.items if isinstance(t, asyncio.Task) and not t.done()]
        for task in left:
            task.cancel("end")
        return await asyncio.gather(*left, return_exceptions=True)

    try:
        attempt("main", main)
        attempt("finish", finish)
        attempt("finish", finish)
    except TooLong:
        pass
    for i, item in enumerate(machine.items):
        state = "none" if item is None else "pending" if not item.done() else "cancelled" if item.cancelled() else show(item.exception()) if item.exception() else value(item.result())
        machine.trace.append(f"end {i} {state}")
    loop.set_exception_handler(lambda loop, context: None)
    return machine.trace


def main():
    sys.unraisablehook = lambda *args: None
    sys.setrecursionlimit(3000)
    warnings.simplefilter("ignore")
    gc.disable()
    for n, line in enumerate(sys.stdin):
        print(json.dumps(execute(json.loads(line)), separators=(",", ":")), flush=True)
        if n % 50 == 49:
            gc.collect()


if __name__ == "__main__":
    main()
