"""Logistic regressions, and how well they do on photos that they were not fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

STEPS = 4000  # at most, of projected gradient descent with momentum (Nesterov) and restarts
PRECISION = 1e-6  # of standardised weights, at which it ends
CLASS_STEPS = 300  # of gradient descent, of the multinomial regression
FOLDS = 10
REPEATS = 5  # of the cross-validation, with other folds


@dataclass(frozen=True)
class Fitted:
    """Weights [M] of standardised columns and a bias; `means`, `scales` [M] standardise."""

    weights: np.ndarray
    bias: float
    means: np.ndarray
    scales: np.ndarray

    def log_odds(self, columns: np.ndarray) -> np.ndarray:
        return ((columns - self.means) / self.scales) @ self.weights + self.bias


def fit(columns: np.ndarray, bad: np.ndarray, importance: np.ndarray, penalty: float) -> Fitted:
    """Minimise the weighted log loss plus `penalty` / 2 times the squared weights, none of them below 0.

    Args:
        columns: [N, M]. bad: [N] in 0..1. importance: [N].
    """
    means, scales = columns.mean(0), columns.std(0) + 1e-9
    x = np.c_[(columns - means) / scales, np.ones(len(columns))]
    ridge = np.r_[np.full(columns.shape[1], penalty), 0.0]
    lowest = np.r_[np.zeros(columns.shape[1]), -np.inf]
    # The largest curvature of the loss bounds the step.
    rate = 1 / (0.25 * np.linalg.norm(x * np.sqrt(importance)[:, None], 2) ** 2 + penalty)
    found = ahead = np.zeros(x.shape[1])
    momentum = 1.0
    for _ in range(STEPS):
        error = importance * (1 / (1 + np.exp(-(x @ ahead))) - bad)
        last, found = found, np.maximum(ahead - rate * (x.T @ error + ridge * ahead), lowest)
        if np.abs(found - last).max() < PRECISION:
            break
        if ((ahead - found) * (found - last)).sum() > 0:
            momentum = 1.0  # it overshot
        following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        ahead = found + (momentum - 1) / following * (found - last)
        momentum = following
    return Fitted(found[:-1], float(found[-1]), means, scales)


def fit_classes(columns: np.ndarray, classes: np.ndarray, penalty: float) -> np.ndarray:
    """Weights and, last, biases [M + 1, K] of a multinomial regression: its log loss plus `penalty` / 2 times weights².

    Rare classes count as much as frequent ones.

    Args:
        columns: [N, M]. classes: [N], 0 to K - 1.
    """
    scales = columns.std(0) + 1e-9
    x = np.c_[columns / scales, np.ones(len(columns))]
    ridge = np.r_[np.full(columns.shape[1], penalty), 1e-3][:, None]
    truth = np.eye(classes.max() + 1)[classes]
    importance = (len(classes) / (truth.sum(0) * truth.shape[1]))[classes][:, None]
    found = np.zeros((x.shape[1], truth.shape[1]))
    rate = 1 / (
        0.5 * np.linalg.norm(x * np.sqrt(importance), 2) ** 2 + penalty
    )  # the largest curvature of the loss bounds the step
    for _ in range(CLASS_STEPS):
        found -= rate * (x.T @ (importance * (likelihood(x @ found) - truth)) + ridge * found)
    return found / np.r_[scales, 1.0][:, None]


def likelihood(scores: np.ndarray) -> np.ndarray:
    """How likely each class is, by its score, [N, K]."""
    odds = np.exp(scores - scores.max(1, keepdims=True))
    return odds / odds.sum(1, keepdims=True)


def folds_of(groups: Sequence[str], repeat: int) -> np.ndarray:
    """The fold of each row, [N]; rows of a group share theirs, which another repeat draws anew."""
    names, index = np.unique(groups, return_inverse=True)
    return (np.random.default_rng(repeat).permutation(len(names)) % FOLDS)[index]


def cross_validated(
    columns: np.ndarray, bad: np.ndarray, importance: np.ndarray, groups: Sequence[str], penalty: float
) -> np.ndarray:
    """The probability of each row by models that saw no row of its group, [REPEATS, N]."""
    found = np.empty((REPEATS, len(columns)))
    for repeat in range(REPEATS):
        fold = folds_of(groups, repeat)
        for held_out in range(FOLDS):
            rest, out = fold != held_out, fold == held_out
            if out.any():
                model = fit(columns[rest], bad[rest], importance[rest], penalty)
                found[repeat, out] = 1 / (1 + np.exp(-model.log_odds(columns[out])))
    return found


def cross_validated_classes(columns: np.ndarray, classes: np.ndarray, groups: Sequence[str], penalty: float) -> float:
    """The share of rows whose class is the likeliest by a model that saw no row of their group."""
    right = []
    for repeat in range(REPEATS):
        fold = folds_of(groups, repeat)
        for held_out in np.unique(fold):
            rest, out = fold != held_out, fold == held_out
            found = fit_classes(columns[rest], classes[rest], penalty)
            right += ((np.c_[columns[out], np.ones(out.sum())] @ found).argmax(1) == classes[out]).tolist()
    return float(np.mean(right))
