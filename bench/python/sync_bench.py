"""CPython's side of bench/_sync_cases.ts: prints operations a second of one run by name, as JSON."""
import asyncio
import json
import time

LOCKS = 200_000
ITEMS = 100_000
WAITERS = 10_000


async def free_lock():
    lock = asyncio.Lock()
    for _ in range(LOCKS):
        async with lock:
            pass


async def handoff():
    queue = asyncio.Queue(1)

    async def produce():
        for i in range(ITEMS):
            await queue.put(i)

    producer = asyncio.create_task(produce())
    for _ in range(ITEMS):
        await queue.get()
    await producer


async def waiters():
    semaphore = asyncio.Semaphore(10)

    async def job():
        async with semaphore:
            await asyncio.sleep(0)

    await asyncio.gather(*(asyncio.create_task(job()) for _ in range(WAITERS)))


def measure(main, operations):
    start = time.perf_counter()
    asyncio.run(main())
    return operations / (time.perf_counter() - start)


print(json.dumps({
    "take a free lock and release it": measure(free_lock, LOCKS),
    "hand an item over through a queue of one": measure(handoff, ITEMS),
    "10,000 waiters on a semaphore of ten": measure(waiters, WAITERS),
}))
