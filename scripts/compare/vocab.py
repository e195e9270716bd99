#!/usr/bin/env python3
"""vocab.py - `hone vocab` against the `tokenizers` library: the same vocabulary as BpeTrainer gives, token by token; what
hone writes loads in tokenizers and transformers and encodes as in hone; the same files for 1, 2 and 3 threads.
usage: vocab.py HONE TEXT SMILES [--size N]      (TEXT, SMILES: text files; lines of molecules)

Prints one line a check with the seconds of both sides; ends with 1 if anything differs. The times are of one run each.
"""
import argparse
import filecmp
import json
import os
import subprocess
import sys
import tempfile
import time

import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

p = argparse.ArgumentParser()
p.add_argument("hone")
p.add_argument("text")
p.add_argument("smiles")
p.add_argument("--size", type=int, default=8000)
a = p.parse_args()
failed = 0


def check(name, good, note=""):
    global failed
    failed += not good
    print(f"{name}: {'equal' if good else 'DIFFERENT'}{note}", flush=True)


def train(kind, folder, threads, file, *flags):
    start = time.perf_counter()
    subprocess.run([a.hone, "vocab", "--type", kind, "--size", str(a.size), "--output", folder, "--threads", str(threads), "--quiet", *flags, file], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def ids(folder, lines):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as f:
        f.write("".join(json.dumps(x) + "\n" for x in lines))
        f.flush()
        out = subprocess.run([a.hone, "tokenize", folder, f.name, "--json-strings"], capture_output=True, check=True)
    return [json.loads(x)["ids"] for x in out.stdout.splitlines()]


def trained(model, trainer, normalizer, pre, files):
    t = Tokenizer(model)
    if normalizer:
        t.normalizer = normalizer
    t.pre_tokenizer = pre
    start = time.perf_counter()
    t.train(files, trainer)
    return json.loads(t.to_str())["model"], time.perf_counter() - start


odd = ["", " ", "Caf\u00e9 na\u00efve \u4e2d\u56fd \U0001f642 x\u0301", "a  b   c ", "it's we've 123,456 !?", "[CLS] <s>x</s> <|endoftext|> [MASK] <mask>", "\ufb01 \u2460 \u00bd \u200b\u3000x", "C[C@@H](N)C(=O)O.[Na+]"]
with tempfile.TemporaryDirectory() as folder:
    for kind in ("wordpiece", "bpe", "roberta", "unigram", "molecules", "characters"):
        file = a.smiles if kind in ("molecules", "characters") else a.text
        lines = open(file, encoding="utf-8").read().split("\n")[:3000] + odd
        seconds = train(kind, f"{folder}/{kind}", 2, file)
        same = True
        for n in (1, 3):
            train(kind, f"{folder}/{n}", n, file)
            same &= all(filecmp.cmp(f"{folder}/{kind}/{x}", f"{folder}/{n}/{x}", shallow=False) for x in os.listdir(f"{folder}/{kind}"))
        check(f"{kind}, 1 and 3 threads", same, f"; trained in {seconds:.1f} s")
        ours, t = ids(f"{folder}/{kind}", lines), Tokenizer.from_file(f"{folder}/{kind}/tokenizer.json")
        check(f"{kind} in tokenizers", ours == [e.ids for e in t.encode_batch(lines)])
        auto = transformers.AutoTokenizer.from_pretrained(f"{folder}/{kind}")
        check(f"{kind} in transformers ({type(auto).__name__})", ours == auto(lines)["input_ids"])
        if kind in ("wordpiece", "bpe", "roberta"): # the older files say the same
            os.remove(f"{folder}/{kind}/tokenizer.json")
            check(f"{kind}, classic files", ours == ids(f"{folder}/{kind}", lines))
    model, theirs = trained(models.BPE(), trainers.BpeTrainer(vocab_size=a.size, min_frequency=2, special_tokens=["<|endoftext|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False),
                            None, pre_tokenizers.ByteLevel(add_prefix_space=False), [a.text])
    seconds = train("bpe", f"{folder}/bpe", 2, a.text)
    own = json.load(open(f"{folder}/bpe/tokenizer.json"))["model"]
    check("bpe and BpeTrainer", model["vocab"] == own["vocab"] and [tuple(x) for x in model["merges"]] == [tuple(x) for x in own["merges"]], f"; hone {seconds:.1f} s, tokenizers {theirs:.1f} s")
    model, theirs = trained(models.WordPiece(unk_token="[UNK]"), trainers.WordPieceTrainer(vocab_size=a.size, min_frequency=2, limit_alphabet=1000, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False),
                            normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer(), [a.text])
    seconds = train("wordpiece", f"{folder}/wordpiece", 2, a.text)
    own = json.load(open(f"{folder}/wordpiece/tokenizer.json"))["model"]["vocab"]
    common = len(set(own) & set(model["vocab"]))
    check("wordpiece and WordPieceTrainer, 99 % of the tokens", common >= 0.99 * len(own), f"; {common} of {len(own)}; hone {seconds:.1f} s, tokenizers {theirs:.1f} s")
print("0 differences" if not failed else f"{failed} checks failed")
sys.exit(1 if failed else 0)
