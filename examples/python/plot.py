"""Measures a run and plots it: messages a second over time, and how long each send took.

    pip install 'rmq[plot]'
    python plot.py --seconds 5 --out run.png

Without matplotlib the figures are printed.
"""

# %% Arguments
import argparse
import time
from concurrent.futures import Future

import rmq


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--bytes", type=int, default=128)
    parser.add_argument("--in-flight", type=int, default=256)
    parser.add_argument("--out", default="run.png")
    parser.add_argument("namesrv", nargs="?", help="default: a cluster in this process")
    return parser.parse_args()


# %% The run
def measure(namesrv: str, seconds: float, size: int, in_flight: int) -> list[tuple[float, float]]:
    """When each send ended, and how long it took, in seconds."""
    ended: list[tuple[float, float]] = []
    under_way: list[Future[rmq.SendResult]] = []
    message = rmq.Message("plot", b"x" * size)
    with rmq.Producer("plot", namesrv) as producer:
        producer.send(message)
        start = time.perf_counter()
        while (now := time.perf_counter()) < start + seconds:
            future = producer.send_async(message)

            def note(_: "Future[rmq.SendResult]", began: float = now) -> None:
                end = time.perf_counter()
                ended.append((end - start, end - began))

            future.add_done_callback(note)
            under_way.append(future)
            if len(under_way) >= in_flight:
                for one in under_way:
                    one.result()
                under_way.clear()
        for one in under_way:
            one.result()
        producer.flush()
    return ended


# %% The plot
def show(ended: list[tuple[float, float]], out: str) -> None:
    took = sorted(latency for _, latency in ended)
    for name, part in (("half", 0.5), ("99 %", 0.99), ("99.9 %", 0.999)):
        latency = took[min(len(took) - 1, int(len(took) * part))]
        print(f"{name} of {len(took)} sends took less than {latency * 1000:.2f} ms")
    try:
        import matplotlib
    except ImportError:
        print("no plot: matplotlib is not installed")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (rate, latencies) = pyplot.subplots(2, 1, figsize=(8, 6))
    step = 0.1
    slots = int(max(end for end, _ in ended) / step) + 1
    counts = [0] * slots
    for end, _ in ended:
        counts[int(end / step)] += 1
    rate.plot([slot * step for slot in range(slots)], [count / step for count in counts])
    rate.set(xlabel="s", ylabel="messages a second", ylim=(0, None))
    latencies.hist([latency * 1000 for latency in took], bins=100, log=True)
    latencies.set(xlabel="ms", ylabel="sends")
    figure.tight_layout()
    figure.savefig(out)
    print(f"see {out}")


def main() -> None:
    given = arguments()
    if given.namesrv:
        show(measure(given.namesrv, given.seconds, given.bytes, given.in_flight), given.out)
        return
    with rmq.testing.Cluster() as cluster:
        show(measure(cluster.namesrv, given.seconds, given.bytes, given.in_flight), given.out)


if __name__ == "__main__":
    main()
