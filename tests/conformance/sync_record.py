"""Records what CPython does with random programs of tasks that use locks, events, conditions, semaphores, barriers and
queues, and cancel each other: a JSON text a line with the program and its trace.

    python3.13 sync_record.py 2000 | gzip -9n > sync_corpus.jsonl.gz
"""
import asyncio
import json
import random
import sys

ALL = """lock lock sem sem wait set clear cwait notify notify_all barrier put put get get put_nowait get_nowait join
task_done turns turns cancel cancel reset abort shutdown""".split()
KINDS = [
    ALL,
    "lock lock cancel turns".split(),
    "sem sem release cancel turns".split(),
    "cwait cwait notify notify_all lock cancel turns".split(),
    "barrier barrier barrier cancel turns reset abort".split(),
    "put get put get cancel turns put_nowait get_nowait join task_done shutdown".split(),
    "wait set clear cancel turns".split(),
]


def generate(seed):
    rng = random.Random(seed)
    words = rng.choice(KINDS)
    count = rng.randint(2, 7)
    tasks = [
        [[rng.choice(words), rng.randint(0, 3), rng.randint(0, count - 1)] for _ in range(rng.randint(1, 7))]
        for _ in range(count)
    ]
    return {"tasks": tasks, "value": rng.randint(0, 3), "parties": rng.randint(1, 3), "maxsize": rng.randint(0, 2)}


async def turns(n):
    for _ in range(n):
        await asyncio.sleep(0)


async def execute(program):
    trace = []
    tasks = []
    lock = asyncio.Lock()
    semaphore = asyncio.Semaphore(program["value"])
    event = asyncio.Event()
    condition = asyncio.Condition()
    barrier = asyncio.Barrier(program["parties"])
    queue = asyncio.Queue(program["maxsize"])

    async def step(i, j, word, n, k):
        if word == "lock":
            async with lock:
                trace.append([i, j, "in"])
                await turns(n)
        elif word == "sem":
            async with semaphore:
                trace.append([i, j, "in"])
                await turns(n)
        elif word == "release":
            semaphore.release()
        elif word == "wait":
            await event.wait()
        elif word == "set":
            event.set()
        elif word == "clear":
            event.clear()
        elif word == "cwait":
            async with condition:
                trace.append([i, j, "in"])
                await condition.wait()
                trace.append([i, j, "woken"])
                await turns(n)
        elif word == "notify":
            async with condition:
                condition.notify(n)
                await turns(n)
        elif word == "notify_all":
            async with condition:
                condition.notify_all()
        elif word == "barrier":
            return await barrier.wait()
        elif word == "reset":
            await barrier.reset()
        elif word == "abort":
            await barrier.abort()
        elif word == "put":
            await queue.put(i * 100 + j)
        elif word == "get":
            return await queue.get()
        elif word == "put_nowait":
            queue.put_nowait(i * 100 + j)
        elif word == "get_nowait":
            return queue.get_nowait()
        elif word == "join":
            await queue.join()
        elif word == "task_done":
            queue.task_done()
        elif word == "shutdown":
            queue.shutdown(n == 0)
        elif word == "turns":
            await turns(n + 1)
        elif word == "cancel" and k != i:
            return tasks[k].cancel()

    async def run(i, steps):
        for j, (word, n, k) in enumerate(steps):
            try:
                trace.append([i, j, word, await step(i, j, word, n, k)])
            except asyncio.CancelledError:
                trace.append([i, j, word, "cancelled"])
                if n == 0:
                    raise
            except Exception as error:
                trace.append([i, j, word, type(error).__name__])

    def state():
        trace.append([
            lock.locked(), semaphore.locked(), semaphore._value, event.is_set(), condition.locked(),
            barrier.n_waiting, barrier.broken, queue.qsize(), queue._unfinished_tasks,
        ])

    for i, steps in enumerate(program["tasks"]):
        tasks.append(asyncio.create_task(run(i, steps)))
    await turns(80)
    state()
    for _ in range(20):
        for task in tasks:
            task.cancel()
        await turns(5)
    state()
    trace.append([task.done() for task in tasks])
    return trace


for seed in range(int(sys.argv[1])):
    program = generate(seed)
    print(json.dumps({"program": program, "trace": asyncio.run(execute(program))}, separators=(",", ":")))
