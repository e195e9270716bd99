"""Sentence embeddings of transformers' bare models: the mean of the last hidden states, or the first of them.

    embed.py [MINILM] [--fixture tests/data/e2e] [--out tests/data/golden]

Texts: validation.csv, each alone, fp32. Written: embed.json, by family "mean" and "cls" of the tiny models of regression.py
(class ...Model), the first four texts; and with MINILM embed-minilm.f32, rows of 384 little-endian fp32: means of all texts,
made length 1. tests/e2e/embed.c compares.
"""
import argparse
import os

import numpy as np
import torch
from transformers import AutoModel

import bert
import regression


def states(model, tokenizer, texts, family):
    with torch.no_grad():
        return [model(**regression.inputs(tokenizer(t, return_tensors="pt"), family)).last_hidden_state[0] for t in texts]


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("minilm", nargs="?")
    p.add_argument("--fixture", default="tests/data/e2e")
    p.add_argument("--out", default="tests/data/golden")
    a = p.parse_args()
    torch.set_num_threads(1)
    tokenizer, texts = bert.load_tokenizer(os.path.join(a.fixture, "model")), regression.read_texts(a.fixture, "validation")
    found = {}
    for family in regression.FAMILIES:
        rows = states(regression.make_model(a.fixture, family, torch.float32, "Model").eval(), tokenizer, texts[:4], family)
        number = lambda x: [float(f"{v:.9g}") for v in x.tolist()]
        found[family] = {"mean": [number(r.mean(0)) for r in rows], "cls": [number(r[0]) for r in rows]}
    bert.write_json(os.path.join(a.out, "embed.json"), {"made_by": "scripts/golden/embed.py", "versions": bert.versions(), **found})
    if not a.minilm: return
    rows = states(AutoModel.from_pretrained(a.minilm).eval(), bert.load_tokenizer(a.minilm), texts, "bert")
    np.stack([torch.nn.functional.normalize(r.mean(0), dim=0).numpy() for r in rows]).astype("<f4").tofile(os.path.join(a.out, "embed-minilm.f32"))


if __name__ == "__main__":
    main()
