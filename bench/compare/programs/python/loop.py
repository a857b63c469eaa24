"""The rows of the loop: see loop_skein.ts. `asyncio` or `uvloop`."""
import asyncio
import sys
import time
import tracemalloc

from serve import check, serve

if sys.argv[1] == "uvloop":
    import uvloop

    loop = uvloop.new_event_loop()
else:
    loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)


async def switching(n):
    for _ in range(n):
        await asyncio.sleep(0)


async def chain_(depth, n):
    if depth > 1:
        await chain_(depth - 1, n)
    else:
        for _ in range(n):
            await asyncio.sleep(0)


async def nothing():
    pass


async def number(n):
    return n


async def switch(request):
    n, tasks = request["n"], request["tasks"]
    await asyncio.gather(*(loop.create_task(switching(n // tasks)) for _ in range(tasks)))


async def create(request):
    left = request["n"]
    while left > 0:
        for _ in range(min(left, 1000)):
            last = loop.create_task(nothing())
        await last
        left -= 1000


async def gather(request):
    n, tasks = request["n"], request["tasks"]
    for _ in range(0, n, tasks):
        results = await asyncio.gather(*(number(i) for i in range(tasks)))
    check(results == list(range(tasks)), "gather")


async def chain(request):
    n, depth = request["n"], request["depth"]
    await asyncio.gather(*(loop.create_task(chain_(depth, n // 10)) for _ in range(10)))


async def call_soon(request):
    left = request["n"]
    calls = 0

    def callback():
        nonlocal calls
        calls += 1

    while left > 0:
        for _ in range(min(left, 10_000)):
            loop.call_soon(callback)
        await asyncio.sleep(0)
        left -= 10_000
    check(calls == request["n"], "call_soon")


async def timers(request):
    n, span = request["n"], request["span"]
    done = loop.create_future()
    left = (n + 1) // 2

    def fired():
        nonlocal left
        left -= 1
        if left == 0:
            done.set_result(None)

    handles = [loop.call_later(i * 7919 % span / 1000, fired) for i in range(n)]
    for i in range(1, n, 2):
        handles[i].cancel()
    await done


async def queue(request):
    n = request["n"]
    channel = asyncio.Queue(1)

    async def produce():
        for i in range(n):
            await channel.put(i)

    async def consume():
        total = 0
        for _ in range(n):
            total += await channel.get()
        return total

    producer = loop.create_task(produce())
    total = await loop.create_task(consume())
    await producer
    check(total == n * (n - 1) // 2, "queue")


async def free(request):
    one = asyncio.Lock()
    for _ in range(request["n"]):
        async with one:
            pass


async def lock(request):
    n, tasks = request["n"], request["tasks"]
    one = asyncio.Lock()

    async def locking():
        for _ in range(n // tasks):
            async with one:
                await asyncio.sleep(0)

    await asyncio.gather(*(loop.create_task(locking()) for _ in range(tasks)))


async def semaphore(request):
    permits = asyncio.Semaphore(0)

    async def passing():
        async with permits:
            pass

    tasks = [loop.create_task(passing()) for _ in range(request["n"])]
    await asyncio.sleep(0)
    permits.release()
    await asyncio.gather(*tasks)


async def ten(request):
    permits = asyncio.Semaphore(10)

    async def passing():
        async with permits:
            await asyncio.sleep(0)

    await asyncio.gather(*(loop.create_task(passing()) for _ in range(request["n"])))


async def parked_on(future):
    await future


async def cancel(request):
    # A future each: to cancel a task is to cancel what it waits for.
    tasks = [loop.create_task(parked_on(loop.create_future())) for _ in range(request["n"])]
    await asyncio.sleep(0)
    start = time.perf_counter()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    speed = request["n"] / (time.perf_counter() - start)
    check(all(task.cancelled() for task in tasks), "cancel")
    return speed


async def parked(request):
    n = request["n"]
    event = loop.create_future()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    tasks = [loop.create_task(parked_on(event)) for _ in range(n)]
    await asyncio.sleep(0)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    event.set_result(None)
    await asyncio.wait(tasks)
    return (after - before) / n


def row(main, rated=True):
    def run(request):
        async def timed():
            start = time.perf_counter()
            figure = await main(request)
            return request["n"] / (time.perf_counter() - start) if rated else figure

        return loop.run_until_complete(timed())

    return run


serve({
    "switch": row(switch),
    "create": row(create),
    "gather": row(gather),
    "chain": row(chain),
    "callSoon": row(call_soon),
    "timers": row(timers),
    "queue": row(queue),
    "free": row(free),
    "lock": row(lock),
    "semaphore": row(semaphore),
    "ten": row(ten),
    "cancel": row(cancel, rated=False),
    "parked": row(parked, rated=False),
})
