"""How sure a number of a benchmark is: means, standard errors, paired differences, percentiles. Pure functions.

Questions about one medium are not independent, so the spread is taken between media ("clusters"). Sources:

* Miller 2024, "Adding Error Bars to Evals" (arXiv 2411.00640): clustered standard errors, paired differences.
* Cameron & Miller 2015, "A Practitioner's Guide to Cluster-Robust Inference" (J. Human Resources 50(2)):
  the correction G/(G-1) for few clusters, and t with G-1 degrees of freedom.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")


FEW = 30
"""Clusters below which the interval of a share is Wilson's: the spread of so few says little, and of none nothing."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and how sure it is.

    Attributes:
        n: number of values (for :func:`macro` of groups that have any).
        clusters: number of distinct clusters.
        mean: ``None`` if there is no value.
        se: its standard error; ``None`` if fewer than two clusters leave no spread to see.
    """

    n: int
    clusters: int
    mean: float | None
    se: float | None


@dataclass(frozen=True, slots=True)
class Difference:
    """The mean of ``b - a`` over the same questions.

    Attributes:
        n: number of pairs.
        clusters: number of distinct clusters.
        mean: mean difference; ``None`` if there is no pair.
        se: its clustered standard error; ``None`` with fewer than two clusters.
        low: lower end of the confidence interval; ``None`` where ``se`` is.
        high: its upper end.
        p: two-sided probability of so large a difference by chance alone.
    """

    n: int
    clusters: int
    mean: float | None
    se: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None


def accuracy(credits: Sequence[float], clusters: Sequence[Hashable]) -> Estimate:
    """Return the mean credit and its cluster-robust standard error.

    ``SE² = G/(G-1) · Σ_c (Σ_{i in c} (s_i - s̄))² / n²``: Miller 2024, with the correction of Cameron & Miller
    2015. With one question per cluster it is the usual ``s / √n``.

    Args:
        credits: one per question, 0..1.
        clusters: for each question, what it shares with others: its medium.

    Raises:
        ValueError: the two differ in length.
    """
    n = len(credits)
    mean, sums = _residuals(credits, clusters)
    if n == 0:
        return Estimate(0, 0, None, None)
    return Estimate(n, len(sums), mean, _se(sums))


def macro(groups: Sequence[tuple[Sequence[float], Sequence[Hashable]]]) -> Estimate:
    """Return the unweighted mean of the groups' means, and its standard error; empty groups are left out.

    The standard errors of the groups are propagated: ``Var = Σ_g Σ_h Cov(g, h) / k²`` with ``Cov(g, g) = SE_g²``.
    Groups that ask about the same medium are not independent; their covariance is the product of the cluster sums
    (Cameron & Miller 2015). Where no medium is shared it is ``√(Σ SE_g²) / k``.

    Args:
        groups: for each group the credits and the clusters, as in :func:`accuracy`.
    """
    found = [(_residuals(credits, clusters)) for credits, clusters in groups if len(credits)]
    if not found:
        return Estimate(0, 0, None, None)
    k = len(found)
    mean = sum(value for value, _ in found) / k
    shared = len({cluster for _, sums in found for cluster in sums})
    spreads = [_se(sums) for _, sums in found]
    if any(se is None for se in spreads):
        return Estimate(k, shared, mean, None)
    variance = sum(se**2 for se in spreads if se is not None)
    for i, (_, one) in enumerate(found):
        for _, other in found[i + 1 :]:
            product = sum(one[c] * other[c] for c in one.keys() & other.keys())
            count = len(one.keys() | other.keys())
            variance += 2 * product * count / (count - 1)
    return Estimate(k, shared, mean, math.sqrt(max(0.0, variance)) / k)


def paired(a: Sequence[float], b: Sequence[float], clusters: Sequence[Hashable], *, level: float = 0.95) -> Difference:
    """Return how much better ``b`` does than ``a`` on the same questions.

    The differences per question are averaged, and their spread is clustered (Miller 2024); interval and
    p come from t with ``G - 1`` degrees of freedom (Cameron & Miller 2015).

    Args:
        a: credits of one run.
        b: credits of the other, of the same questions in the same order.
        clusters: as in :func:`accuracy`.
        level: of the confidence interval.

    Raises:
        ValueError: the lengths differ.
    """
    if len(a) != len(b):
        raise ValueError(f"{len(a)} and {len(b)} credits are no pairs")
    found = accuracy([y - x for x, y in zip(a, b, strict=True)], clusters)
    if found.mean is None or found.se is None:
        return Difference(found.n, found.clusters, found.mean)
    low, high = interval(found, level=level)
    return Difference(
        found.n, found.clusters, found.mean, found.se, low, high, _p(found.mean, found.se, found.clusters)
    )


def interval(found: Estimate, *, level: float = 0.95) -> tuple[float | None, float | None]:
    """Return the confidence interval of an estimate, from t with ``clusters - 1`` degrees of freedom.

    It is not cut off at 0 and 1; both ends are ``None`` where there is no standard error.
    """
    if found.mean is None or found.se is None or found.clusters < 2:
        return None, None
    from scipy.special import stdtrit

    reach = float(stdtrit(found.clusters - 1, 0.5 + level / 2)) * found.se
    return found.mean - reach, found.mean + reach


def wilson(share: float, n: int, *, z: float = 1.96) -> tuple[float, float]:
    """Return the score interval of a share of ``n`` (Wilson 1927, JASA 22): it holds for few, and at 0 and 1."""
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def word_errors(said: str, heard: str) -> tuple[int, int]:
    """Return how many words of ``said`` differ in ``heard`` (changed, left out or added), and how many there are.

    Case and punctuation do not count.
    """
    wanted, found = (_WORD.findall(text.lower().replace("’", "'")) for text in (said, heard))
    row = list(range(len(found) + 1))
    for n, word in enumerate(wanted, 1):
        diagonal, row[0] = row[0], n
        for m, other in enumerate(found, 1):
            diagonal, row[m] = row[m], min(row[m] + 1, row[m - 1] + 1, diagonal + (word != other))
    return row[-1], len(wanted)


def percentile(values: Sequence[float], q: float) -> float | None:
    """Return the ``q``-th percentile (0..100), linear between neighbours (type 7 of Hyndman & Fan 1996).

    ``None`` if there is no value.
    """
    return float(np.percentile(np.asarray(values, dtype=float), q)) if len(values) else None


def median(values: Sequence[float]) -> float | None:
    """Return the median; ``None`` if there is no value."""
    return percentile(values, 50)


def _residuals(credits: Sequence[float], clusters: Sequence[Hashable]) -> tuple[float, Mapping[Hashable, float]]:
    """Return the mean, and for each cluster the sum of what its values differ from it, divided by n."""
    if len(credits) != len(clusters):
        raise ValueError(f"{len(credits)} credits and {len(clusters)} clusters; there must be one cluster per credit")
    if not credits:
        return 0.0, {}
    mean = math.fsum(credits) / len(credits)
    sums: dict[Hashable, float] = {}
    for credit, cluster in zip(credits, clusters, strict=True):
        sums[cluster] = sums.get(cluster, 0.0) + (credit - mean) / len(credits)
    return mean, sums


def _se(sums: Mapping[Hashable, float]) -> float | None:
    count = len(sums)
    if count < 2:
        return None
    return math.sqrt(math.fsum(value**2 for value in sums.values()) * count / (count - 1))


def _p(mean: float, se: float, clusters: int) -> float:
    from scipy.special import stdtr

    if se <= 1e-12:
        return 1.0 if abs(mean) <= 1e-12 else 0.0
    return float(2 * stdtr(clusters - 1, -abs(mean) / se))
