"""What SQuAD's scripts say of pairs of answers.

    answers.py [--out tests/data/golden] --scripts DIR

DIR as for heads.py. Written: answers.json, rows of given, predicted, normalised given, exact, F1 of 1.1, F1 of 2.0.
tests/train/text_metrics.c compares.
"""
import argparse
import os
import sys

import bert

PAIRS = [
    ("The Cat", "cat"), ("the cat sat", "cat sat on a mat"), ("U.S.", "us"), ("an apple a day", "apple day"), ("", ""), ("the", "a"),
    ("the", ""), ("", "word"), ("Denver  Broncos", "denver broncos!"), ("one two two", "two two three"), ("two", "two two two"),
    ("ÉCOLE Normale", "école normale"), ("İstanbul", "i̇stanbul"), ("naïve—the end", "naïve—end"), ("the-end", "end"),
    ("$1,000", "1000 dollars"), ("a.b", "ab"), ("it's the a-team", "its team"), ("thesis", "the sis"), ("中国 the 北京", "中国 北京"),
    ("x\u00a0y", "x y"), ("x\u2003y\u2028z", "x y z"), ("tab\tand\nline", "tab line and"), ("an_the", "anthe"), ("9 a 9", "9 9"),
    ("ß STRASSE", "ß strasse"), ("é", "e\u0301"), ("ae\u0301a", "x"), ("“quoted”", "quoted"), ("A An The", ""), ("³ a", "³"),
]


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--out", default="tests/data/golden")
    p.add_argument("--scripts", default=".")
    a = p.parse_args()
    sys.path.append(a.scripts)
    import squad_v11
    import squad_v20
    bert.write_json(os.path.join(a.out, "answers.json"), {"made_by": "scripts/golden/answers.py", "pairs": [
        [g, x, squad_v20.normalize_answer(g), squad_v20.compute_exact(g, x), float(squad_v11.f1_score(x, g)), float(squad_v20.compute_f1(g, x))]
        for g, x in PAIRS]})


if __name__ == "__main__":
    main()
