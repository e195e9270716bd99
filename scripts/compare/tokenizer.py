#!/usr/bin/env python3
"""tokenizer.py - every id, type, offset and decoded text of `hone tokenize` against the `tokenizers` library, on all texts of
a data folder and on random code points.
usage: tokenizer.py HONE DATA MODEL [...] [--only PART] [--random N] [--no-race]
(MODEL: folder with tokenizer.json, with vocab.txt alone, or with vocab.json and merges.txt; scripts/compare/make_tokenizers.py
makes some. PART: of the names of files of DATA; N: random texts, 20000)

Prints one line a set that differs, and one a tokenizer with the seconds that each side took for all texts, on one core;
ends with 1 if anything differs.
"""
import argparse
import glob
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
import time

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import Tokenizer
from tokenizers.implementations import BertWordPieceTokenizer, ByteLevelBPETokenizer


def load(folder):
    path = os.path.join(folder, "tokenizer.json")
    if os.path.exists(path):
        t = Tokenizer.from_file(path)
        t.no_truncation()
        t.no_padding()
        return t
    if os.path.exists(os.path.join(folder, "merges.txt")):
        t = ByteLevelBPETokenizer(os.path.join(folder, "vocab.json"), os.path.join(folder, "merges.txt"), add_prefix_space=False)
        t.add_special_tokens(["<|endoftext|>"])
        return t
    config = os.path.join(folder, "tokenizer_config.json")
    config = json.load(open(config)) if os.path.exists(config) else {}
    return BertWordPieceTokenizer(os.path.join(folder, "vocab.txt"), lowercase=config.get("do_lower_case", True),
                                  strip_accents=config.get("strip_accents"), handle_chinese_chars=config.get("tokenize_chinese_chars", True))


def hone(binary, folder, inputs, *flags):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as f:
        for x in inputs:
            f.write(json.dumps(x) + "\n")
        f.flush()
        out = subprocess.run([binary, "tokenize", folder, f.name, "--json-strings", *flags], capture_output=True)
    if out.returncode:
        raise SystemExit(out.stderr.decode())
    return [json.loads(line) for line in out.stdout.splitlines()]


def in_characters(text, offsets):
    """Byte offsets as the library counts: in characters."""
    if text.isascii():
        return offsets
    at, n = [], 0
    for c in text:
        at += [n] * len(c.encode())
        n += 1
    at.append(n)
    return [(at[a], at[b] if b == len(at) - 1 or at[b] != at[b - 1] or b == 0 else at[b] + 1) for a, b in offsets]


def compare(name, binary, folder, t, inputs, pair=False):
    ours = hone(binary, folder, inputs, "--offsets", *(["--pair"] if pair else []))
    theirs = t.encode_batch([tuple(x) if pair else x for x in inputs])
    kinds = {"ids": 0, "types": 0, "offsets": 0, "decoded": 0}
    shown = 0
    for x, a, b in zip(inputs, ours, theirs):
        wrong = "ids" if a["ids"] != b.ids else "types" if a["type_ids"] != b.type_ids else ""
        if not wrong:
            places = [(text, [o for o, s in zip(e, b.sequence_ids) if s == i]) for i, text in enumerate(x if pair else [x]) for e in (a["offsets"],)]
            expected = [[o for o, s in zip(b.offsets, b.sequence_ids) if s == i] for i in range(len(places))]
            wrong = "" if all([tuple(o) for o in in_characters(text, mine)] == other for (text, mine), other in zip(places, expected)) else "offsets"
        if wrong:
            kinds[wrong] += 1
            shown += 1
            if shown <= 3:
                key = {"ids": "ids", "types": "type_ids", "offsets": "offsets"}[wrong]
                print("   ", wrong, ascii(x)[:160], "\n     hone", str(a[key])[:160], "\n     theirs", str(getattr(b, key))[:160])
    if not pair:
        for skip in (False, True):
            mine = hone(binary, folder, [a["ids"] for a in ours], "--decode", *(["--skip-special"] if skip else []))
            other = t.decode_batch([a["ids"] for a in ours], skip_special_tokens=skip)
            wrong = [i for i, (p, q) in enumerate(zip(mine, other)) if p != q.replace("\0", "")]
            kinds["decoded"] += len(wrong)
            for i in wrong[:2]:
                print("    decoded", ascii(inputs[i])[:200], ours[i]["ids"][:20], "\n     hone", ascii(mine[i])[:200], "\n     theirs", ascii(other[i])[:200])
    if any(kinds.values()) or len(ours) != len(theirs):
        print(f"{name}{' (pairs)' if pair else ''}: {len(inputs)} texts, differ: {kinds}", flush=True)
    return sum(kinds.values()) + abs(len(ours) - len(theirs))


def texts(path):
    data = gzip.open(path).read() if path.endswith(".gz") else open(path, "rb").read()
    return [s for s in data.decode("utf-8", "replace").replace("\0", "").split("\n")]


def strings(n, seed):
    r = random.Random(seed)
    planes = [(0x20, 0x7F), (0, 0x300), (0x300, 0x370), (0x370, 0x2000), (0x2000, 0x3100), (0x3100, 0xD800), (0xE000, 0x10000), (0x10000, 0x20000), (0x1D100, 0x1D250), (0x1E000, 0x1F000), (0x20000, 0x110000)]
    out = []
    for _ in range(n):
        low, high = r.choice(planes)
        mix = r.random() < 0.5
        s = "".join(chr(r.randrange(*(r.choice(planes) if mix else (low, high)))) for _ in range(r.randrange(1, 40)))
        s = "".join(c for c in s if not 0xD800 <= ord(c) < 0xE000 and c != "\0")
        if r.random() < 0.1:
            s += r.choice(["[SEP]", " [MASK] ", "[cls]", "[UNK]x", "[PAD]", "<s>", " <mask> ", "<ent>", " x ", "<0x41>", "</s>", "naïve", "LEFT", "<extra_id_0> ", "<unk>", "<|endoftext|>"]) + s
        out.append(s)
    return out


def race(binary, folder, t, inputs):
    """Seconds to encode all texts, line by line as one file: the library's encode_batch in this process, hone without its
    start; by turns, the least of three each."""
    lines = [x for x in inputs if "\n" not in x and "\r" not in x]
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as f, tempfile.NamedTemporaryFile("w") as empty:
        f.write("\n".join(lines))
        f.flush()
        ours, theirs = [], []
        for _ in range(3):
            clock = []
            for name in (f.name, empty.name):
                start = time.perf_counter()
                subprocess.run([binary, "tokenize", folder, name, "--threads", "1"], stdout=subprocess.DEVNULL, check=True)
                clock.append(time.perf_counter() - start)
            ours.append(clock[0] - clock[1])
            start = time.perf_counter()
            for i in range(0, len(lines), 1000):
                t.encode_batch(lines[i:i + 1000])
            theirs.append(time.perf_counter() - start)
    return min(ours), min(theirs), sum(len(x.encode()) for x in lines)


p = argparse.ArgumentParser()
p.add_argument("hone")
p.add_argument("data")
p.add_argument("model", nargs="+")
p.add_argument("--only", default="")
p.add_argument("--random", type=int, default=20000)
p.add_argument("--no-race", action="store_true")
a = p.parse_args()
binary, data, failed = a.hone, a.data, 0
for folder in a.model:
    t, before, everything = load(folder), failed, []
    for path in sorted(glob.glob(data + "/**/*", recursive=True)):
        if os.path.isfile(path) and not path.endswith(("ubyte.gz", ".out", "SHA256SUMS")) and a.only in path:
            lines = texts(path)
            everything += lines
            failed += compare(os.path.relpath(path, data), binary, folder, t, lines)
            if "unicode" in path or "sts" in path:
                failed += compare(os.path.relpath(path, data), binary, folder, t, list(zip(lines, lines[1:])), True)
    blns = json.load(open(data + "/unicode/blns.json"))
    failed += compare("blns.json strings", binary, folder, t, [s.replace("\0", "") for s in blns])
    marks = strings(a.random, 1)
    failed += compare("random code points", binary, folder, t, marks)
    failed += compare("random code points", binary, folder, t, list(zip(marks, marks[1:])), True)
    if a.no_race:
        print(f"{folder}: {failed - before} differences", flush=True)
        continue
    ours, theirs, n_bytes = race(binary, folder, t, everything)
    print(f"{folder}: {failed - before} differences; {n_bytes / 1e6:.1f} MB on one core: hone {ours:.2f} s, tokenizers {theirs:.2f} s: {theirs / ours:.1f} times", flush=True)
print("0 differences" if not failed else f"{failed} differences")
sys.exit(1 if failed else 0)
