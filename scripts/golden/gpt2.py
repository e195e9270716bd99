"""20 training steps of a tiny GPT-2: going on with stories, and telling apart the fixture's texts.

    gpt2.py [--root .] [--out tests/data/golden] [--compare]

The tokenizer is that of configs/models/small-gpt, the weights are the formula of regression.py (1 more for the weight of a norm),
without dropout: width 32, 2 layers, 4 heads, 48 positions.
gpt2-lm.json: GPT2LMHeadModel on configs/data/stories, each story a document that ends with <|endoftext|>, in pieces of 48 tokens (47
where a single one would be left). gpt2-classes.json: GPT2ForSequenceClassification on tests/data/e2e, pad_token_id 0.
Batch 8 in file order, AdamW (0.01 decay, none on biases and norms), highest rate 1e-3, warm-up 0.2 of 20 steps, linear to 0, clip
1.0. Written: "steps" and "weights" as in training.py, "eval" (loss and accuracy over the words of validation.jsonl), or "logits" of the
first 16 texts of validation.csv. The key's third of c_attn.bias, whose gradient is rounding noise, counts as unmoved.
tests/e2e/story_writing.c makes the same model and data.
"""
import argparse
import csv
import json
import os
import re

import numpy as np
import torch
from transformers import AutoTokenizer, GPT2Config, GPT2ForSequenceClassification, GPT2LMHeadModel, get_scheduler

import bert
import regression
import training

STEPS, BATCH, RATE, WARMUP, LENGTH, N_PROBE, END = 20, 8, 1e-3, 0.2, 48, 16, 0


def pieces(ids):
    while ids:
        n = LENGTH - 1 if len(ids) == LENGTH + 1 else LENGTH
        yield ids[:n]
        ids = ids[n:]


def read_stories(root, tokenizer, part):
    with open(os.path.join(root, "configs/data/stories", part + ".jsonl"), encoding="utf-8") as f:
        return [p for line in f for p in pieces(tokenizer(json.loads(line)["text"])["input_ids"] + [END])]


def read_texts(root, tokenizer, part):
    with open(os.path.join(root, "tests/data/e2e", part + ".csv"), encoding="utf-8", newline="") as f:
        rows = list(csv.DictReader(f))
    names = sorted({r["label"] for r in rows})
    return [tokenizer(r["text"])["input_ids"][:LENGTH] for r in rows], [names.index(r["label"]) for r in rows]


def make_model(head, dtype):
    config = GPT2Config(vocab_size=640, n_positions=LENGTH, n_embd=32, n_layer=2, n_head=4, resid_pdrop=0.0, embd_pdrop=0.0,
                        attn_pdrop=0.0, bos_token_id=END, eos_token_id=END, pad_token_id=END, num_labels=4, attn_implementation="eager")
    model = head(config)
    with torch.no_grad():
        for k, (name, p) in enumerate(sorted(model.named_parameters())):
            p.copy_(regression.formula(k, tuple(p.shape), 1.0 if re.search(r"ln_\w+\.weight$", name) else 0.0))
    return model.to(dtype)


def collate(rows):
    longest = max(map(len, rows))
    pad = lambda x, by: x + [by] * (longest - len(x))
    return {"input_ids": torch.tensor([pad(r, END) for r in rows]), "attention_mask": torch.tensor([pad([1] * len(r), 0) for r in rows])}


def next_words(rows):
    longest = max(map(len, rows))
    return torch.tensor([r + [-100] * (longest - len(r)) for r in rows])


def weights(model):
    return {n: p.detach().double().numpy().copy() for n, p in model.named_parameters()}


def train(head, rows, labels, dtype):
    model = make_model(head, dtype).train()
    first = weights(model)
    training.DECAY, training.RATE = 0.01, RATE
    optimizer = training.make_optimizer(model)
    schedule = get_scheduler("linear", optimizer, int(np.ceil(STEPS * WARMUP)), STEPS)
    steps, tokens, order = [], 0, [range(i, min(i + BATCH, len(rows))) for i in range(0, len(rows), BATCH)]
    for s in range(STEPS):
        at = order[s % len(order)]
        batch = [rows[i] for i in at]
        loss = model(**collate(batch), labels=torch.tensor([labels[i] for i in at]) if labels else next_words(batch)).loss
        loss.backward()
        norm = float(np.sqrt(sum((p.grad.double() ** 2).sum().item() for p in model.parameters())))
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        tokens += sum(map(len, batch))
        steps.append({"tokens": tokens, "loss": loss.item(), "grad_norm": norm, "learning_rate": schedule.get_last_lr()[0]})
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    last = weights(model)
    still = {n: (optimizer.state[p]["exp_avg_sq"] == 0).numpy().ravel() for n, p in model.named_parameters()}
    for name in last:
        if not name.endswith("c_attn.bias"): continue
        third = slice(last[name].size // 3, 2 * last[name].size // 3)
        last[name][third] = first[name][third]
        still[name][third] = False
    return model.eval(), steps, first, last, still


def evaluate(model, rows):
    loss, right, words = 0.0, 0, 0
    with torch.no_grad():
        for r in rows:
            if len(r) < 2: continue
            logits, wanted = model(input_ids=torch.tensor([r])).logits[0, :-1], torch.tensor(r[1:])
            loss += torch.nn.functional.cross_entropy(logits, wanted, reduction="sum").item()
            right += int((logits.argmax(-1) == wanted).sum())
            words += len(wanted)
    return {"loss": loss / words, "accuracy": right / words, "words": words}


def logits_of(model, rows):
    with torch.no_grad():
        return [[float(f"{x:.9g}") for x in model(input_ids=torch.tensor([r])).logits[0]] for r in rows[:N_PROBE]]


def play(kind, root, tokenizer, dtype):
    if kind == "lm":
        model, *rest = train(GPT2LMHeadModel, read_stories(root, tokenizer, "train"), None, dtype)
        return *rest, {"eval": evaluate(model, read_stories(root, tokenizer, "validation"))}
    model, *rest = train(GPT2ForSequenceClassification, *read_texts(root, tokenizer, "train"), dtype)
    return *rest, {"logits": logits_of(model, read_texts(root, tokenizer, "validation")[0])}


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--root", default=".")
    p.add_argument("--out", default="tests/data/golden")
    p.add_argument("--compare", action="store_true")
    a = p.parse_args()
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(os.path.join(a.root, "configs/models/small-gpt"))
    for kind in ("lm", "classes"):
        steps, first, last, still, said = play(kind, a.root, tokenizer, torch.float32)
        bert.write_json(os.path.join(a.out, f"gpt2-{kind}.json"), {
            "made_by": "scripts/golden/gpt2.py", "versions": bert.versions(),
            "settings": {"steps": STEPS, "batch": BATCH, "learning_rate": RATE, "warmup_ratio": WARMUP, "weight_decay": 0.01,
                         "max_grad_norm": 1.0, "max_seq_length": LENGTH},
            "steps": steps, "weights": training.digest(first, last, still), **said})
        if not a.compare: continue
        steps2, _, last2, _, said2 = play(kind, a.root, tokenizer, torch.float64)
        print("%s beside float64: loss %.3g, gradient norm %.3g (relative), weights %.3g, after training %s" % (
            kind, max(abs(x["loss"] / y["loss"] - 1) for x, y in zip(steps, steps2)),
            max(abs(x["grad_norm"] / y["grad_norm"] - 1) for x, y in zip(steps, steps2)),
            max(np.abs(last[n] - last2[n]).max() for n in last),
            abs(said["eval"]["loss"] / said2["eval"]["loss"] - 1) if kind == "lm"
            else np.abs(np.array(said["logits"]) - np.array(said2["logits"])).max()))


if __name__ == "__main__":
    main()
