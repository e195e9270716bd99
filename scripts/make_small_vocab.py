#!/usr/bin/env python3
"""make_small_vocab.py - the vocabulary of configs/models/small-bert, for training from nothing without a download.

Special tokens, the printable ASCII characters as words and as continuations, common endings, and the words that occur
at least twice in a text file's first column. usage: make_small_vocab.py TRAIN.csv > vocab.txt
"""
import collections
import csv
import re
import string
import sys

words = collections.Counter()
for row in csv.DictReader(open(sys.argv[1], newline="", encoding="utf-8")):
    words.update(re.findall(r"[a-z0-9]+", row["text"].lower()))
characters = [c for c in string.printable[:94] if not c.isupper()]
endings = "s es ed d er ers ing ings ly ment ments tion tions ness able al y e t n r".split()
tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + characters + ["##" + c for c in characters if c.isalnum()]
tokens += ["##" + e for e in endings if len(e) > 1]
tokens += [w for w, n in sorted(words.items(), key=lambda x: (-x[1], x[0])) if n >= 2 and len(w) > 1]
print("\n".join(tokens))
