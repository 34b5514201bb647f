"""Gold between the points of a curve: monotone cubics in the square root of KL (PCHIP, Fritsch & Butland 1984).

The same as scipy's PchipInterpolator to the last bit, for many curves at once: a sweep may have thousands of seeds, and
each of them has points of its own.

Shapes: N curves of n points each, G points of KL.
"""

from collections.abc import Sequence

import numpy as np

LEAST_KL = 1e-9  # nats; less is the reference
LEAST_DISTANCE = 1e-9  # square roots of nats; points that are no farther apart are one

Array = np.ndarray


def distinct_points(kl: Array, gold: Array) -> tuple[Array, Array]:
    """Points of rising KL [n], of which those that are one but for rounding are: the largest KL, the mean gold.

    Best-of-n and the oracle end in many such points, where the response with the highest score is all but certain.
    """
    last = np.diff(np.sqrt(kl), append=np.inf) > LEAST_DISTANCE
    group = np.cumsum(last) - last
    return kl[last], np.bincount(group, gold) / np.bincount(group)


def known_points(kl: Array, gold: Array) -> tuple[Array, Array]:
    """The distinct points of rising KL [n] of a curve away from the reference, and their gold [n]."""
    known, mean = kl, gold
    if not np.all(np.diff(kl) > 0):
        known, place = np.unique(kl, return_inverse=True)
        mean = np.bincount(place, gold) / np.bincount(place)
    known, mean = known[known > LEAST_KL], mean[known > LEAST_KL]
    return distinct_points(known, mean) if len(known) else (known, mean)


def interpolate_each(curves: Sequence[tuple[Array, Array]], at: Array) -> Array:
    """Gold [N, G] at KL `at` [G] on curves through the reference and points (kl [n], gold [n]); NaN beyond them."""
    found = np.full((len(curves), len(at)), np.nan)
    points = [known_points(kl, gold) for kl, gold in curves]
    counts = np.array([len(kl) for kl, _ in points], dtype=int)
    for count in np.unique(counts):
        rows = np.flatnonzero(counts == count)
        if count == 0:
            found[rows] = np.where(at == 0.0, 0.0, np.nan)
            continue
        kl, gold = (np.array([points[row][which] for row in rows]) for which in (0, 1))
        start = np.zeros((len(rows), 1))
        here = cubic(np.hstack([start, np.sqrt(kl)]), np.hstack([start, gold]), np.sqrt(at))
        found[rows] = np.where(at == kl[:, -1:], gold[:, -1:], here)  # the root of the last may round to either side
    return found


def cubic(x: Array, y: Array, at: Array) -> Array:
    """The monotone cubics through points x, y [N, n], x rising, at the places `at` [G]; NaN beyond the points."""
    width, rise = np.diff(x), np.diff(y) / np.diff(x)
    slope = slopes(width, rise)
    bend = (slope[:, :-1] + slope[:, 1:] - 2 * rise) / width
    terms = (y[:, :-1], slope[:, :-1], (rise - slope[:, :-1]) / width - bend, bend / width)
    after = np.zeros((len(x), len(at)), dtype=int)  # the piece of each place
    for knot in x.T[1:-1]:
        after += at >= knot[:, None]
    first, second, third, fourth = (np.take_along_axis(term, after, axis=1) for term in terms)
    step = at - np.take_along_axis(x, after, axis=1)
    square = step * step
    found = ((first + second * step) + third * square) + fourth * (square * step)
    return np.where((at < x[:, :1]) | (at > x[:, -1:]), np.nan, found)


def slopes(width: Array, rise: Array) -> Array:
    """The slope at each point, [N, n]: a weighted harmonic mean of those on both sides, 0 where these differ in sign.

    width, rise: of the pieces between points and their slopes, [N, n - 1].
    """
    if rise.shape[1] == 1:
        return np.repeat(rise, 2, axis=1)
    sign = np.sign(rise)
    flat = (sign[:, 1:] != sign[:, :-1]) | (rise[:, 1:] == 0) | (rise[:, :-1] == 0)
    first, second = 2 * width[:, 1:] + width[:, :-1], width[:, 1:] + 2 * width[:, :-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = (first / rise[:, :-1] + second / rise[:, 1:]) / (first + second)
    middle = np.zeros_like(inverse)
    middle[~flat] = 1.0 / inverse[~flat]
    left = end_slope(width[:, 0], width[:, 1], rise[:, 0], rise[:, 1])
    right = end_slope(width[:, -1], width[:, -2], rise[:, -1], rise[:, -2])
    return np.column_stack([left, middle, right])


def end_slope(near: Array, far: Array, rise: Array, beyond: Array) -> Array:
    """The slope at an end, [N], from the widths and slopes of the two pieces next to it."""
    slope = ((2 * near + far) * rise - near * beyond) / (near + far)
    turns = np.sign(slope) != np.sign(rise)
    steep = (np.sign(rise) != np.sign(beyond)) & (np.abs(slope) > 3.0 * np.abs(rise))
    return np.where(turns, 0.0, np.where(~turns & steep, 3.0 * rise, slope))
