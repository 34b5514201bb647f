"""How heavy the tail of an error is: Hill's estimator (Hill 1975, Annals of Statistics 3, 1163-1174), with weights.

Of numbers x with weights w, and with u the threshold that a share of the weight lies above,

    index = sum w / sum w log(x / u),    sums over x > u.

P(x > t) falls like t^-index: Student's law has its degrees of freedom. A light tail has no index; the estimate is
finite all the same, and grows as the share falls. It is empty where fewer than FEW different numbers lie above the
threshold, as where an error has few values.
"""

import numpy as np

Array = np.ndarray

SHARE = 0.02  # of the weight
FEW = 20


def tail_index(values: Array, weights: Array, share: float = SHARE) -> float:
    """Hill's estimate for the absolute values of numbers [N] with weights [N]; NaN where there is none."""
    sizes, weights = np.abs(values).ravel(), weights.ravel()
    order = np.argsort(-sizes, kind="stable")
    sizes, weights = sizes[order], weights[order] / weights.sum()
    last = min(int(np.searchsorted(weights.cumsum(), share)), len(sizes) - 1)
    above = (sizes > sizes[last]) & (weights > 0)
    if sizes[last] <= 0 or len(np.unique(sizes[above])) < FEW:
        return float("nan")
    logs = np.log(sizes[above] / sizes[last])
    return float(weights[above].sum() / (weights[above] * logs).sum())
