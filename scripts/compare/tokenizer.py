#!/usr/bin/env python3
"""tokenizer.py - every id of `hone tokenize` against the `tokenizers` library, on all texts of a data folder and on
random code points. usage: tokenizer.py HONE DATA MODEL [...]   (MODEL: folder with tokenizer.json, or with vocab.txt alone)

Prints one line a set; ends with 1 if any id differs.
"""
import glob
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile

from tokenizers import Tokenizer
from tokenizers.implementations import BertWordPieceTokenizer


def load(folder):
    path = os.path.join(folder, "tokenizer.json")
    if os.path.exists(path):
        t = Tokenizer.from_file(path)
        t.no_truncation()
        t.no_padding()
        return t
    config = os.path.join(folder, "tokenizer_config.json")
    config = json.load(open(config)) if os.path.exists(config) else {}
    return BertWordPieceTokenizer(os.path.join(folder, "vocab.txt"), lowercase=config.get("do_lower_case", True),
                                  strip_accents=config.get("strip_accents"), handle_chinese_chars=config.get("tokenize_chinese_chars", True))


def hone(binary, folder, inputs, pair, extra=()):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as f:
        for x in inputs:
            f.write(json.dumps(x) + "\n")
        f.flush()
        out = subprocess.run([binary, "tokenize", folder, f.name, "--json-strings", *(["--pair"] if pair else []), *extra], capture_output=True)
    if out.returncode:
        raise SystemExit(out.stderr.decode())
    return [json.loads(line) for line in out.stdout.splitlines()]


def compare(name, binary, folder, t, inputs, pair=False):
    ours, theirs = hone(binary, folder, inputs, pair), t.encode_batch([tuple(x) if pair else x for x in inputs])
    bad = [i for i, (a, b) in enumerate(zip(ours, theirs)) if a["ids"] != b.ids or a["type_ids"] != b.type_ids]
    print(f"{name}{' (pairs)' if pair else ''}: {len(inputs)} texts, {len(bad)} differ", flush=True)
    for i in bad[:3]:
        print("   ", ascii(inputs[i])[:300], "\n     hone", ours[i]["ids"][:40], "\n     theirs", theirs[i].ids[:40])
    return len(bad) + abs(len(ours) - len(theirs))


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
            s += r.choice(["[SEP]", " [MASK] ", "[cls]", "[UNK]x", "[PAD]"]) + s
        out.append(s)
    return out


binary, data, failed = sys.argv[1], sys.argv[2], 0
for folder in sys.argv[3:]:
    t = load(folder)
    print("==", folder)
    for path in sorted(glob.glob(data + "/**/*", recursive=True)):
        if os.path.isfile(path) and not path.endswith(("ubyte.gz", ".out", "SHA256SUMS")):
            lines = texts(path)
            failed += compare(os.path.relpath(path, data), binary, folder, t, lines)
            if "unicode" in path or "sts" in path:
                failed += compare(os.path.relpath(path, data), binary, folder, t, list(zip(lines, lines[1:])), True)
    blns = json.load(open(data + "/unicode/blns.json"))
    failed += compare("blns.json strings", binary, folder, t, [s.replace("\0", "") for s in blns])
    marks = strings(20000, 1)
    failed += compare("random code points", binary, folder, t, marks)
    failed += compare("random code points", binary, folder, t, list(zip(marks, marks[1:])), True)
print("0 differences" if not failed else f"{failed} differences")
sys.exit(1 if failed else 0)
