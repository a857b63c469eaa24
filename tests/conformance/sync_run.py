"""What the programs do to locks, events, conditions, semaphores, barriers and queues: `sync_interpret.ts` in Python."""
import asyncio
import contextlib


class ProgramError(ValueError):
    """What a program raises by itself."""


FAMILIES = {
    "Lock": lambda made, _: asyncio.Lock(),
    "Event": lambda made, _: asyncio.Event(),
    "Condition": lambda made, lock: asyncio.Condition(None if lock is None else made[lock]),
    "Semaphore": lambda made, n: asyncio.Semaphore(n),
    "BoundedSemaphore": lambda made, n: asyncio.BoundedSemaphore(n),
    "Barrier": lambda made, n: asyncio.Barrier(n),
    "Queue": lambda made, n: asyncio.Queue(n),
    "PriorityQueue": lambda made, n: asyncio.PriorityQueue(n),
    "LifoQueue": lambda made, n: asyncio.LifoQueue(n),
}


def waiting(futures):
    return sum(not future.done() for future in futures or ())


class Sync:
    def __init__(self, host, primitives):
        self.host = host
        self.primitives = {}
        for name, (kind, argument) in primitives.items():
            self.primitives[name] = FAMILIES[kind](self.primitives, argument)
        self.waiting = {name: [] for name in primitives}
        self.counters = [0, 0]
        self.items = 0

    def state(self, target):
        primitive = self.primitives[target]
        if target[0] == "e":
            return [primitive.is_set()]
        if target[0] == "b":
            return [primitive.n_waiting, primitive.broken]
        if target[0] == "q":
            return [primitive.qsize(), primitive.empty(), primitive.full()]
        return [primitive.locked()]

    def statistics(self, target):
        """What Skein's `statistics()` tells, from the inside of CPython's."""
        primitive = self.primitives[target]
        if target[0] == "l":
            return [primitive.locked(), waiting(primitive._waiters)]
        if target[0] == "c":
            return [waiting(primitive._waiters), primitive.locked(), waiting(primitive._lock._waiters)]
        if target[0] == "e":
            return [primitive.is_set(), waiting(primitive._waiters)]
        if target[0] == "s":
            return [primitive._value, waiting(primitive._waiters)]
        if target[0] == "b":
            return [primitive.parties, primitive.n_waiting, primitive.broken]
        return [primitive.maxsize, primitive.qsize(), primitive._unfinished_tasks, waiting(primitive._getters), waiting(primitive._putters)]

    def next_item(self, target):
        """Items are all different, so that each can be followed; some of a priority queue are equal and the same."""
        self.items += 1
        if not isinstance(self.primitives[target], asyncio.PriorityQueue):
            return self.items
        return 50000 if self.items % 5 == 0 else self.items * 37 % 101 * 1000 + self.items

    def predicate(self, target, counter, least, bad):
        def check():
            count = self.counters[counter]
            self.host.log("predicate", target, count)
            if count == bad:
                raise ProgramError("predicate")
            return count if count >= least else 0
        return check

    def operation(self, operation):
        kind, target, *args = operation
        primitive = self.primitives[target]
        if kind == "acquire":
            return primitive.acquire()
        if kind in ("waitEvent", "waitNotified", "arrive"):
            return primitive.wait()
        if kind == "waitHolding":
            return self.wait_holding(primitive)
        if kind == "waitUntil":
            return primitive.wait_for(self.predicate(target, *args))
        if kind == "put":
            return primitive.put(self.next_item(target))
        if kind == "get":
            return primitive.get()
        if kind == "join":
            return primitive.join()
        if kind == "reset":
            return primitive.reset()
        return primitive.abort()

    async def wait_holding(self, condition):
        async with condition:
            return await condition.wait()

    def act(self, actions):
        for action in actions:
            kind, target, *args = action
            try:
                done = self.act_one(kind, target, args)
            except Exception as error:
                done = self.host.show(error)
            self.host.log(kind, target, self.host.value(done), *self.state(target))

    def act_one(self, kind, target, args):
        primitive = self.primitives[target]
        if kind == "release":
            return primitive.release()
        if kind == "setEvent":
            return primitive.set()
        if kind == "clearEvent":
            return primitive.clear()
        if kind == "notify":
            return primitive.notify(args[0])
        if kind == "notifyAll":
            return primitive.notify_all()
        if kind == "count":
            self.counters[args[0]] += 1
            return self.counters[args[0]]
        if kind == "putNowait":
            return primitive.put_nowait(self.next_item(target))
        if kind == "getNowait":
            return primitive.get_nowait()
        if kind == "taskDone":
            return primitive.task_done()
        if kind == "shutdown":
            return primitive.shutdown(bool(args[0]))
        if kind == "cancelWaiting":
            waiting = [task for task, kind in self.waiting[target] if kind.startswith(args[0]) and not task.done()]
            return waiting[args[1] % len(waiting)].cancel(args[2]) if waiting else None
        return self.statistics(target)

    @contextlib.contextmanager
    def tracked(self, kind, target):
        """Lets `cancelWaiting` find the task meanwhile."""
        entry = asyncio.current_task(), kind
        self.waiting[target].append(entry)
        try:
            yield
        finally:
            self.waiting[target].remove(entry)

    async def operate(self, operation, awaitable, rethrow):
        kind, target, *_ = operation
        self.host.log(kind, target)
        try:
            with self.tracked(kind, target):
                result = await awaitable
            self.host.log("did", kind, target, self.host.value(result), *self.state(target))
            return result
        except BaseException as error:
            self.host.log("failed", kind, target, self.host.show(error), *self.state(target))
            if rethrow or not isinstance(error, Exception):
                raise

    async def perform(self, operation):
        return await self.operate(operation, self.operation(operation), True)

    async def statement(self, statement, group, scope):
        kind, *args = statement
        host = self.host
        if kind == "do":
            self.act(args[0])
        elif kind == "operate":
            await self.operate(args[0], self.operation(args[0]), args[1])
        elif kind == "within":
            await self.operate(args[1], asyncio.wait_for(self.operation(args[1]), args[0]), False)
        elif kind == "launch":
            task = host.launch(lambda: self.operation(args[0]), group.create_task if args[1] else None)
            if task is not None:
                self.waiting[args[0][1]].append((task, args[0][0]))
        elif kind == "with":
            await self.block(args[0], args[1], group, scope)
        elif kind == "guarded":
            await self.guarded(args[0], args[1], group, scope)
        elif kind == "produce":
            await self.produce(*args)
        elif kind == "consume":
            await self.consume(*args)
        else:
            raise AssertionError(kind)

    async def block(self, target, body, group, scope):
        entering = contextlib.ExitStack()
        self.host.log("with", target)
        try:
            with entering:
                entering.enter_context(self.tracked("acquire", target))
                async with self.primitives[target]:
                    entering.close()
                    self.host.log("entered", target, *self.state(target))
                    await self.host.body(body, group, scope)
        finally:
            self.host.log("left", target, *self.state(target))

    async def guarded(self, target, body, group, scope):
        await self.operate(["acquire", target], self.operation(["acquire", target]), True)
        try:
            await self.host.body(body, group, scope)
        finally:
            self.act([["release", target]])

    async def produce(self, target, count, delay):
        for _ in range(count):
            await self.operate(["put", target], self.operation(["put", target]), True)
            if delay is not None:
                await asyncio.sleep(delay)

    async def consume(self, target, count, delay, tell):
        for _ in range(count):
            try:
                await self.operate(["get", target], self.operation(["get", target]), True)
            except asyncio.QueueShutDown:
                return
            if delay is not None:
                await asyncio.sleep(delay)
            if tell:
                self.act([["taskDone", target]])
