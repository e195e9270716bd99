"""seqeval's figures for tags drawn by a formula, in every scheme and in none.

    entities.py [--out tests/data/golden]

Written: entities.json. Generator as in metrics.py. A case has "tags" (ids are their places) and n texts; of each are drawn
    words = next() mod 12 + 1
    of each word: label = next() mod tags; guess = label, or where next() mod 4 = 0: next() mod tags
tests/train/entities.c draws the same and compares.
"""
import argparse
import os
import warnings
from importlib.metadata import version

import seqeval.metrics as sq

import bert
from metrics import Generator

warnings.filterwarnings("ignore")
CASES = [
    ("BIO", ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"], 120),
    ("inside only, as IOB1", ["O", "I-PER", "I-LOC", "B-PER"], 90),
    ("BIOES", ["O", "B-A", "I-A", "E-A", "S-A", "B-B", "I-B", "E-B", "S-B"], 200),
    ("one type", ["B-Disease", "I-Disease", "O"], 60),
    ("a type with hyphens", ["B-creative-work", "I-creative-work", "O", "B-work", "S-work"], 80),
]


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--out", default="tests/data/golden")
    a = p.parse_args()
    cases = []
    for seed, (name, tags, n) in enumerate(CASES, 1):
        g, wanted, guessed = Generator(seed), [], []
        for _ in range(n):
            words, w, x = g.next() % 12 + 1, [], []
            for _ in range(words):
                label = g.next() % len(tags)
                guess = g.next() % len(tags) if g.next() % 4 == 0 else label
                w.append(tags[label]), x.append(tags[guess])
            wanted.append(w), guessed.append(x)
        figures = {"accuracy": sq.accuracy_score(wanted, guessed)}
        for key, f in ("f1", sq.f1_score), ("precision", sq.precision_score), ("recall", sq.recall_score):
            figures[key] = float(f(wanted, guessed))
        for average in "macro", "weighted":
            figures["f1_" + average] = float(sq.f1_score(wanted, guessed, average=average))
        report = sq.classification_report(wanted, guessed, output_dict=True)
        each = {t: [float(v["precision"]), float(v["recall"]), float(v["f1-score"]), int(v["support"])]
                for t, v in report.items() if " " not in t}
        cases.append({"name": name, "seed": seed, "tags": tags, "n": n, "figures": figures, "types": each})
    bert.write_json(os.path.join(a.out, "entities.json"),
                    {"made_by": "scripts/golden/entities.py", "versions": {"seqeval": version("seqeval")}, "cases": cases})


if __name__ == "__main__":
    main()
