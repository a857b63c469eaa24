"""CPython's side of bench/_loop_cases.ts: prints operations a second by name, as JSON."""
import asyncio
import json
import time

ROUNDS = 3


async def switching(n):
    for _ in range(n):
        await asyncio.sleep(0)


async def nothing():
    pass


async def switch():
    await asyncio.gather(*(asyncio.create_task(switching(100)) for _ in range(1000)))


async def create():
    for _ in range(100):
        for _ in range(1000):
            last = asyncio.create_task(nothing())
        await last


async def call_soon():
    loop = asyncio.get_running_loop()

    def callback():
        pass

    for _ in range(100):
        for _ in range(10_000):
            loop.call_soon(callback)
        await asyncio.sleep(0)


async def timers():
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    left = 1_000_000

    def fired():
        nonlocal left
        left -= 1
        if left == 0:
            done.set_result(None)

    for i in range(1_000_000):
        loop.call_later(i * 7919 % 100 / 1000, fired)
    await done


def measure(main, operations):
    rates = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        asyncio.run(main())
        rates.append(operations / (time.perf_counter() - start))
    return sorted(rates)[ROUNDS // 2]


print(json.dumps({
    "switch between 1,000 tasks": measure(switch, 100_000),
    "create and finish a task": measure(create, 100_000),
    "callSoon": measure(call_soon, 1_000_000),
    "set and fire a timer, of 1,000,000": measure(timers, 1_000_000),
}))
