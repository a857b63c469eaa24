"""The contestants' side of the protocol, for CPython: see serve.mjs."""
import json
import sys
import time


def serve(rows):
    for line in sys.stdin:
        request = json.loads(line)
        try:
            row = rows.get(request["row"])
            start = time.perf_counter()
            figures = None if row is None else row(request)
            elapsed = (time.perf_counter() - start) * 1000
            if figures is None:
                answer = {"none": True}
            else:
                answer = {"figures": figures if isinstance(figures, dict) else {"value": figures}, "elapsed": elapsed}
        except Exception as error:
            answer = {"error": repr(error)}
        print("answer: " + json.dumps(answer), flush=True)


def rate(n, run):
    """Operations a second."""
    start = time.perf_counter()
    run()
    return n / (time.perf_counter() - start)


def quantile(numbers, share=0.5):
    ordered = sorted(numbers)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def check(holds, what):
    """For results, after the time was taken."""
    if not holds:
        raise AssertionError(f"Wrong result: {what}")
