"""The rows of the pools: see pool_rows.mjs. `threads` or `processes`."""
import queue
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from threading import Thread

from serve import check, quantile, rate, serve

PROCESSES = sys.argv[1] == "processes"
Executor = ProcessPoolExecutor if PROCESSES else ThreadPoolExecutor
WORKERS = 2
UNIT = 5


def same(x):
    return x


def work(turns):
    x = 1
    for _ in range(turns):
        x = (x * 1664525 + 1013904223) & 0xFFFFFFFF
    return x


def touch(data):
    return len(data) + data[0] + data[-1]


def turns_of_unit():
    start = time.perf_counter()
    work(200_000)
    return round(200_000 * UNIT / 1000 / (time.perf_counter() - start))


def records(items):
    return [
        {"id": i, "name": f"record {i}", "tags": ["first", "second"], "score": i / 7, "open": i % 2 == 0}
        for i in range(items)
    ]


opened = None
held = None


def pool():
    global opened
    if opened is None:
        opened = Executor(WORKERS)
    return opened


def burst(request):
    n = request["n"]
    target = pool() if request.get("workers", WORKERS) == WORKERS else held
    results = None

    def run():
        nonlocal results
        futures = [target.submit(same, i) for i in range(n)]
        results = [future.result() for future in futures]

    speed = rate(n, run)
    check(results == list(range(n)), "burst")
    return speed


def concurrent(request):
    n, concurrency = request["n"], request["concurrency"]
    target = pool()
    done = queue.SimpleQueue()
    results = []

    def run():
        if concurrency == 1:
            for i in range(n):
                results.append(target.submit(same, i).result())
            return
        for i in range(concurrency):
            target.submit(same, i).add_done_callback(done.put)
        for i in range(concurrency, n + concurrency):
            results.append(done.get().result())
            if i < n:
                target.submit(same, i).add_done_callback(done.put)

    speed = rate(n, run)
    check(sum(results) == n * (n - 1) // 2, "concurrent")
    return speed


def first(request):
    start = time.perf_counter()
    fresh = Executor(WORKERS)
    futures = [fresh.submit(same, i) for i in range(request["n"])]
    results = [future.result() for future in futures]
    elapsed = (time.perf_counter() - start) * 1000
    fresh.shutdown()
    check(results == list(range(request["n"])), "first")
    return elapsed


def speedup(request):
    target = pool()
    turns = turns_of_unit()
    each = [unit * turns for unit in request["units"]]
    sequential = parallel = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        expected = [work(one) for one in each]
        sequential = min(sequential, time.perf_counter() - start)
        start = time.perf_counter()
        futures = [target.submit(work, one) for one in each]
        results = [future.result() for future in futures]
        parallel = min(parallel, time.perf_counter() - start)
        check(results == expected, "speedup")
    return sequential / parallel


def timed(n, run):
    times = []
    for _ in range(n):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1000)
    return quantile(times)


def object_(request):
    target = pool()
    sent = records(request["items"])
    back = None

    def run():
        nonlocal back
        back = target.submit(same, sent).result()

    elapsed = timed(request["n"], run)
    check(back == sent, "object")
    return elapsed


def buffer(request):
    # A thread sees the very object.
    if request["mode"] != ("cloned" if PROCESSES else "shared"):
        return None
    target = pool()
    data = b"\7" * request["bytes"]
    result = None

    def run():
        nonlocal result
        result = target.submit(touch, data).result()

    elapsed = timed(request["n"], run)
    check(result == touch(data), "buffer")
    return elapsed


def latency(request):
    target = pool()
    long = turns_of_unit() * request["units"]
    times = []
    over = False

    def keep_busy():
        while not over:
            target.submit(work, long).result()

    busy = Thread(target=keep_busy)
    busy.start()
    for i in range(request["n"]):
        time.sleep(0.001)
        start = time.perf_counter()
        check(target.submit(same, i).result() == i, "latency")
        times.append((time.perf_counter() - start) * 1000)
    over = True
    busy.join()
    return {"p50": quantile(times), "p99": quantile(times, 0.99)}


def hold(request):
    global held
    turns = turns_of_unit()
    start = time.perf_counter()
    held = Executor(request["workers"])
    futures = [held.submit(work, turns) for _ in range(request["workers"])]
    for future in futures:
        future.result()
    return (time.perf_counter() - start) * 1000


def let_go(_):
    held.shutdown()
    return 0


if __name__ == "__main__":
    serve({
        "burst": burst,
        "concurrent": concurrent,
        "first": first,
        "speedup": speedup,
        "object": object_,
        "buffer": buffer,
        "latency": latency,
        "hold": hold,
        "letGo": let_go,
    })
