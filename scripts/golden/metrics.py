"""Figures of scikit-learn and scipy for predictions made by a formula.

    metrics.py [--out tests/data/golden]

Written: metrics.json. Inputs are not stored; they follow from a case's numbers, with a generator that starts at "seed":
    next():  state = state * 6364136223846793005 + 1442695040888963407 mod 2^64;  gives state >> 33 (31 bits)
A case of classes draws for each of n samples, in this order:
    label = next() mod used * stride            (used * stride may leave classes absent)
    classes scores: real: fp32((next() / 2^31 - 0.5) * 8)     tied: next() mod 5 - 2
    if next() mod 4 < boost: score[label] += 4  (fp32)
    constant: score[0] = 9, afterwards
    if next() mod 10 < ignored: the sample has no label (-1) and does not count
A case of values (regression) draws for each sample:
    target = (next() mod 26) / 5
    guess = fp32(target * slope + (next() / 2^31 - 0.5) * noise);  levels: rounded down to a multiple of 1/4
tests/train/metrics.c draws the same and compares.
"""
import argparse
import json
import math
import os

import numpy as np
import scipy
import scipy.stats
import sklearn
from sklearn import metrics as sk

CLASS_CASES = [
    # name, classes, used, stride, n, scores, boost, ignored
    ("two classes", 2, 2, 1, 211, "real", 2, 0),
    ("two classes, ties", 2, 2, 1, 90, "tied", 1, 0),
    ("two classes, one never a label", 2, 1, 1, 40, "real", 1, 0),
    ("three classes", 3, 3, 1, 500, "real", 1, 0),
    ("five classes, all are in the top five", 5, 5, 1, 64, "real", 0, 0),
    ("six classes, ties", 6, 6, 1, 300, "tied", 1, 0),
    ("28 classes", 28, 28, 1, 1000, "real", 3, 0),
    ("28 classes, absent ones", 28, 5, 3, 60, "real", 3, 0),
    ("28 classes, absent ones never predicted either", 28, 5, 3, 60, "real", 4, 0),
    ("28 classes, ties", 28, 28, 1, 400, "tied", 1, 0),
    ("28 classes, always the first", 28, 28, 1, 140, "constant", 1, 0),
    ("77 classes, some without a label", 77, 77, 1, 900, "real", 3, 3),
    ("one sample, right", 4, 1, 1, 1, "real", 4, 0),
]
VALUE_CASES = [
    # name, n, slope, noise, levels
    ("close", 300, 1.0, 1.0, 0),
    ("far, ties on both sides", 257, 0.5, 6.0, 1),
    ("the other way round", 128, -1.0, 2.0, 0),
    ("three samples", 3, 1.0, 0.5, 0),
]


class Generator:
    def __init__(self, seed): self.state = seed

    def next(self):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return self.state >> 33


def draw_classes(seed, classes, used, stride, n, scores, boost, ignored):
    g = Generator(seed)
    labels, x = np.zeros(n, int), np.zeros((n, classes), np.float32)
    for i in range(n):
        label = g.next() % used * stride
        for c in range(classes):
            x[i, c] = g.next() % 5 - 2.0 if scores == "tied" else np.float32((g.next() / 2.0**31 - 0.5) * 8)
        if g.next() % 4 < boost: x[i, label] += np.float32(4)
        if scores == "constant": x[i, 0] = 9
        labels[i] = -1 if g.next() % 10 < ignored else label
    return labels, x


def calibration_error(labels, x, bins=15):
    """Expected calibration error: bins (k/15, (k+1)/15] of the top probability (Guo et al. 2017)."""
    z = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
    p = z / z.sum(1, keepdims=True)
    top, right = p.max(1), x.argmax(1) == labels
    bin_of = np.digitize(top, np.linspace(0, 1, bins + 1)[1:-1], right=True)
    return sum(abs(right[bin_of == b].mean() - top[bin_of == b].mean()) * (bin_of == b).mean()
               for b in range(bins) if (bin_of == b).any())


def class_figures(labels, x):
    keep = labels >= 0
    labels, x = labels[keep], x[keep]
    guess, classes = x.argmax(1), x.shape[1]
    macro = dict(average="macro", zero_division=0)
    figures = {
        "accuracy": sk.accuracy_score(labels, guess),
        "f1": sk.f1_score(labels, guess, **macro),
        "precision": sk.precision_score(labels, guess, **macro),
        "recall": sk.recall_score(labels, guess, **macro),
        "f1_micro": sk.f1_score(labels, guess, average="micro"),
        "f1_weighted": sk.f1_score(labels, guess, average="weighted", zero_division=0),
        "mcc": sk.matthews_corrcoef(labels, guess),
        "ece": calibration_error(labels, x),
        # scikit-learn refuses a table of scores for two classes; where 5 classes or fewer exist all are right.
        "top5_accuracy": sk.top_k_accuracy_score(labels, x, k=5, labels=range(classes)) if classes > 5 else 1.0,
    }
    p, r, f, support = sk.precision_recall_fscore_support(labels, guess, labels=range(classes), zero_division=0)
    return figures, {"precision": p.tolist(), "recall": r.tolist(), "f1": f.tolist(), "support": support.tolist()}


def draw_values(seed, n, slope, noise, levels):
    g = Generator(seed)
    target, guess = np.zeros(n), np.zeros(n, np.float32)
    for i in range(n):
        target[i] = (g.next() % 26) / 5
        v = target[i] * slope + (g.next() / 2.0**31 - 0.5) * noise
        guess[i] = np.float32(math.floor(v * 4) / 4 if levels else v)
    return target, guess


def value_figures(target, guess):
    guess = guess.astype(np.float64)
    return {"mse": sk.mean_squared_error(target, guess), "mae": sk.mean_absolute_error(target, guess),
            "pearson": scipy.stats.pearsonr(guess, target).statistic,
            "spearman": scipy.stats.spearmanr(guess, target).statistic}


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--out", default="tests/data/golden")
    a = p.parse_args()
    classes, values = [], []
    for seed, (name, *numbers) in enumerate(CLASS_CASES, 1001):
        labels, x = draw_classes(seed, *numbers)
        figures, each = class_figures(labels, x)
        keys = ("classes", "used", "stride", "n", "scores", "boost", "ignored")
        classes.append({"name": name, "seed": seed, **dict(zip(keys, numbers)),
                        "figures": {k: float(v) for k, v in figures.items()}, "each": each})
    for seed, (name, *numbers) in enumerate(VALUE_CASES, 2001):
        figures = value_figures(*draw_values(seed, *numbers))
        values.append({"name": name, "seed": seed, **dict(zip(("n", "slope", "noise", "levels"), numbers)),
                       "figures": {k: float(v) for k, v in figures.items()}})
    path = os.path.join(a.out, "metrics.json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"made_by": "scripts/golden/metrics.py",
                   "versions": {"scikit-learn": sklearn.__version__, "scipy": scipy.__version__, "numpy": np.__version__},
                   "classes": classes, "values": values}, f, indent=None, separators=(",", ":"))
        f.write("\n")
    print(f"{path}: {len(classes)} cases of classes, {len(values)} of values")


if __name__ == "__main__":
    main()
