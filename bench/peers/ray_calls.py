"""Round trips of 128 bytes between actors of Ray, as bench/calls/ray.ts orders them.

Reads "WIDTH PAIRS SECONDS" lines and answers "@CALLS_PER_SECOND"; other output is Ray's own. WIDTH calls are
submitted and awaited together, the way of Ray's own microbenchmark.
"""

import sys
import time

import ray

PAYLOAD = bytes(128)


def drive(target, width, seconds):
    count = 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        if width == 1:
            ray.get(target.echo.remote(PAYLOAD))
        else:
            ray.get([target.echo.remote(PAYLOAD) for _ in range(width)])
        count += width
    return count


@ray.remote(num_cpus=0)
class Echo:
    def echo(self, data):
        return data


@ray.remote(num_cpus=0)
class Driver:
    def drive(self, target, width, seconds):
        return drive(target, width, seconds)


def main():
    ray.init(
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=100_000_000,
        _node_ip_address="127.0.0.1",
    )
    echoes = [Echo.remote() for _ in range(4)]
    drivers = [Driver.remote() for _ in range(4)]
    ray.get([echo.echo.remote(PAYLOAD) for echo in echoes])
    print(f"@{ray.__version__}", flush=True)
    for line in sys.stdin:
        width, pairs, seconds = line.split()
        width, pairs, seconds = int(width), int(pairs), float(seconds)
        start = time.perf_counter()
        if pairs == 1:
            count = drive(echoes[0], width, seconds)
        else:
            counts = [d.drive.remote(e, width, seconds) for d, e in zip(drivers, echoes)]
            count = sum(ray.get(counts))
        print(f"@{count / (time.perf_counter() - start)}", flush=True)
    ray.shutdown()


main()
