# SPDX-License-Identifier: MIT
"""Medians, quartiles, ratios, and when two figures are the same."""
import math

# Two copies of one program differ by so much even in a quiet hour.
NOISE_MIN = 0.005
# Two that differ by more say nothing.
NOISE_MAX = 0.25


def quantile(values, q):
    """The value below which the share `q` of `values` lies, interpolated."""
    ordered = sorted(values)
    at = q * (len(ordered) - 1)
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])


def median(values):
    """The value in the middle."""
    return quantile(values, 0.5)


def summary(values):
    """Median and quartiles."""
    return {'median': median(values), 'low': quantile(values, 0.25),
            'high': quantile(values, 0.75)}


def ratios(ours, theirs):
    """Round by round: what ran at nearly the same time is compared."""
    return [a / b for a, b in zip(ours, theirs) if b > 0]


def noise(again):
    """How far two copies of one program lie apart in half of all rounds.

    `again`: the ratios of the one to the other. A difference below it means
    nothing."""
    if not again:
        return NOISE_MIN
    found = summary(again)
    return max(NOISE_MIN, abs(found['low'] - 1), abs(found['high'] - 1))


def verdict(ratio, limit):
    """What `ratio` (ours to theirs; less is better) says, beyond `limit`."""
    if abs(ratio - 1) <= limit:
        return 'tie'
    return 'faster' if ratio < 1 else 'slower'


def percentile(buckets, percent):
    """Of a histogram: [value, count] pairs. The least value that `percent` of
    all are no greater than."""
    total = sum(count for _, count in buckets)
    rank = max(1, math.ceil(percent / 100 * total))
    seen = 0
    value = 0
    for value, count in sorted(buckets):
        seen += count
        if seen >= rank:
            break
    return value


def merged(histograms):
    """One histogram of several."""
    counts = {}
    for buckets in histograms:
        for value, count in buckets:
            counts[value] = counts.get(value, 0) + count
    return sorted([value, count] for value, count in counts.items())


# Where a latency curve is drawn.
CURVE = (0.1, 1, 5, 10, 25, 50, 75, 90, 95, 98, 99, 99.5, 99.8, 99.9, 99.95, 99.99, 100)


def latencies(histograms):
    """What is kept of the latencies of several runs, in nanoseconds."""
    buckets = merged(histograms)
    return {'count': sum(count for _, count in buckets),
            'p50': percentile(buckets, 50), 'p99': percentile(buckets, 99),
            'p99_9': percentile(buckets, 99.9), 'max': percentile(buckets, 100),
            'curve': [[percent, percentile(buckets, percent)] for percent in CURVE]}
