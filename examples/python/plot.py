"""Measures a run and plots it: messages a second over time, and how long each send took.

    pip install 'rmq[plot]'
    python plot.py --seconds 5 --out run.png

Without matplotlib the figures are printed.
"""

# %% Arguments
import argparse
import time
from collections import deque
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
    under_way: deque[Future[rmq.SendResult]] = deque()
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
                under_way.popleft().result()
        for one in under_way:
            one.result()
        producer.flush()
    return ended


# %% The plot
def show(ended: list[tuple[float, float]], seconds: float, out: str) -> None:
    took = sorted(latency * 1000 for _, latency in ended)
    parts = []
    for name, part in (("half", 0.5), ("99 %", 0.99), ("99.9 %", 0.999)):
        parts.append((name, took[min(len(took) - 1, int(len(took) * part))]))
        print(f"{name} of {len(took)} sends took at most {parts[-1][1]:.2f} ms")
    try:
        import matplotlib
    except ImportError:
        print("no plot: matplotlib is missing; pip install 'rmq[plot]' brings it")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (rate, latencies) = pyplot.subplots(2, 1, figsize=(8, 6))
    # What ended after the last whole slot was not sent at the full rate.
    slots = max(1, int(seconds / 0.1))
    step = seconds / slots
    counts = [0.0] * slots
    for end, _ in ended:
        if end < seconds:
            counts[min(slots - 1, int(end / step))] += 1 / step
    rate.stairs(counts, [slot * step for slot in range(slots + 1)], fill=True, alpha=0.6)
    rate.set(title=f"{len(ended):,} sends", xlabel="time (s)", ylabel="sends a second")
    rate.set(xlim=(0, seconds), ylim=(0, None))
    rate.yaxis.set_major_formatter("{x:,.0f}")
    latencies.hist(took, bins=100, log=True, alpha=0.6)
    for (name, latency), style in zip(parts, ("-", "--", ":")):
        label = f"{name}: {latency:.2f} ms"
        latencies.axvline(latency, color="black", linestyle=style, label=label)
    latencies.set(xlabel="time that a send took (ms)", ylabel="sends", xlim=(0, None))
    latencies.yaxis.set_major_formatter("{x:,.0f}")
    latencies.legend()
    figure.tight_layout()
    figure.savefig(out)
    print(f"see {out}")


def main() -> None:
    given = arguments()

    def run(namesrv: str) -> None:
        ended = measure(namesrv, given.seconds, given.bytes, given.in_flight)
        show(ended, given.seconds, given.out)

    if given.namesrv:
        run(given.namesrv)
        return
    with rmq.testing.Cluster() as cluster:
        run(cluster.namesrv)


if __name__ == "__main__":
    main()
