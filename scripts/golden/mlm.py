"""10 training steps of a tiny model of a family that guesses words under masks, on the fixture's texts.

    mlm.py [--family bert|distilbert|roberta] [--fixture tests/data/e2e] [--out tests/data/golden] [--compare]

Model, weights and optimizer as in regression.py (seed 42), with the ...ForMaskedLM class. The masks are hone's: which words
are hidden is written down in host/data/masks.h and host/base/rng.c, and again here. BERT reads all texts behind each other
in blocks of 32 tokens (so the steps go into a second epoch, whose masks are others); the other families read text by text.
Written: mlm-FAMILY.json, with "steps" and "weights" as in training.py, and "eval": loss and accuracy of the trained model
over the words hidden in validation.csv. tests/e2e/masked_words.c makes the same model and data.
"""
import argparse
import os
import re

import numpy as np
import torch
from transformers import get_scheduler

import bert
import regression
import training

STEPS, BATCH, RATE, WARMUP, BLOCK, LENGTH, P, SEED = 10, 8, 1e-3, 0.2, 32, 48, 0.15, 42
RNG_MASK, ROUNDS, EVALUATION = 7, 7, 2**24 - 1


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(ROUNDS):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & 0xFFFFFFFF, (a >> 32) ^ c[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def below(a, b, n):
    """Integer in [0, n): number b of stream a."""
    for number in range(256):
        out = philox([a & 0xFFFFFFFF, a >> 32, b & 0xFFFFFFFF, b >> 32 | number << 8 | RNG_MASK << 16], [SEED, 0])
        product = (out[1] << 32 | out[0]) * n
        if product % 2**64 >= 2**64 % n: break
    return product >> 64


def hide(ids, epoch, sample, special, mask, vocab, pad):
    """What is shown, and what is to be guessed (-100: nothing)."""
    shown, labels, a = list(ids), [-100] * len(ids), epoch << 40 | sample
    place = [i for i, x in enumerate(ids) if x not in special]
    k = max(1, int(np.floor(P * len(place) + 0.5)))
    for i in range(k):
        j = i + below(a, 3 * i, len(place) - i)
        place[i], place[j] = place[j], place[i]
    for i, at in enumerate(sorted(place[:k])):
        labels[at], tenth = ids[at], below(a, 3 * i + 1, 10)
        if tenth < 8: shown[at] = mask
        elif tenth == 8:
            x = below(a, 3 * i + 2, vocab - 1)  # any but padding
            shown[at] = x + (x >= pad)
    return shown, labels


def read_samples(fixture, part, tokenizer, blocks):
    texts = regression.read_texts(fixture, part)
    if not blocks: return [tokenizer(t, truncation=True, max_length=LENGTH)["input_ids"] for t in texts]
    ids = [i for t in texts for i in tokenizer(t)["input_ids"]]
    return [ids[i:i + BLOCK] for i in range(0, len(ids) - BLOCK + 1, BLOCK)]


def collate(samples, numbers, epoch, tokenizer):
    rows = [hide(samples[i], epoch, i, set(tokenizer.all_special_ids), tokenizer.mask_token_id, len(tokenizer),
                 tokenizer.pad_token_id) for i in numbers]
    longest = max(len(r[0]) for r in rows)
    pad = lambda x, by: x + [by] * (longest - len(x))
    return (torch.tensor([pad(s, tokenizer.pad_token_id) for s, _ in rows]), torch.tensor([pad([1] * len(s), 0) for s, _ in rows]),
            torch.tensor([pad(l, -100) for _, l in rows]))


def train(fixture, family, dtype):
    tokenizer = bert.load_tokenizer(os.path.join(fixture, "model"))
    samples = read_samples(fixture, "train", tokenizer, family == "bert")
    model = regression.make_model(fixture, family, dtype, "ForMaskedLM").train()
    first = {n: p.detach().double().numpy().copy() for n, p in model.named_parameters()}
    training.DECAY, training.RATE = 0.01, RATE
    optimizer = training.make_optimizer(model)
    schedule = get_scheduler("linear", optimizer, int(np.ceil(STEPS * WARMUP)), STEPS)
    steps, tokens, order = [], 0, []
    for epoch in range(STEPS):
        order += [(epoch, range(i, min(i + BATCH, len(samples)))) for i in range(0, len(samples), BATCH)]
    for epoch, numbers in order[:STEPS]:
        ids, attended, labels = collate(samples, numbers, epoch, tokenizer)
        loss = model(input_ids=ids, attention_mask=attended, labels=labels).loss
        loss.backward()
        norm = float(np.sqrt(sum((p.grad.double() ** 2).sum().item() for p in model.parameters())))
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        tokens += sum(len(samples[i]) for i in numbers)
        steps.append({"tokens": tokens, "loss": loss.item(), "grad_norm": norm, "learning_rate": schedule.get_last_lr()[0]})
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    still = {n: (optimizer.state[p]["exp_avg_sq"] == 0).numpy().ravel() for n, p in model.named_parameters()}
    return steps, first, {n: p.detach().double().numpy() for n, p in model.named_parameters()}, evaluate(
        model.eval(), read_samples(fixture, "validation", tokenizer, family == "bert"), tokenizer), still


def evaluate(model, samples, tokenizer):
    loss, right, words = 0.0, 0, 0
    with torch.no_grad():
        for i in range(len(samples)):
            ids, attended, labels = collate(samples, [i], EVALUATION, tokenizer)
            logits, at = model(input_ids=ids, attention_mask=attended).logits[0], labels[0] >= 0
            loss += torch.nn.functional.cross_entropy(logits[at], labels[0][at], reduction="sum").item()
            right += int((logits[at].argmax(-1) == labels[0][at]).sum())
            words += int(at.sum())
    return {"loss": loss / words, "accuracy": right / words, "words": words}


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--family", choices=regression.FAMILIES, default="bert")
    p.add_argument("--fixture", default="tests/data/e2e")
    p.add_argument("--out", default="tests/data/golden")
    p.add_argument("--compare", action="store_true")
    a = p.parse_args()
    torch.set_num_threads(1)
    steps, first, last, said, still = train(a.fixture, a.family, torch.float32)
    bert.write_json(os.path.join(a.out, f"mlm-{a.family}.json"), {
        "made_by": "scripts/golden/mlm.py", "versions": bert.versions(),
        "settings": {"steps": STEPS, "batch": BATCH, "learning_rate": RATE, "warmup_ratio": WARMUP, "weight_decay": 0.01,
                     "max_grad_norm": 1.0, "mlm_probability": P, "seed": SEED},
        "steps": steps, "weights": training.digest(first, last, still), "eval": said})
    if not a.compare: return
    steps2, _, last2, said2, _ = train(a.fixture, a.family, torch.float64)
    print("golden beside float64: loss %.3g, gradient norm %.3g (relative), loss of evaluation %.3g, weights %.3g" % (
        max(abs(x["loss"] / y["loss"] - 1) for x, y in zip(steps, steps2)),
        max(abs(x["grad_norm"] / y["grad_norm"] - 1) for x, y in zip(steps, steps2)), abs(said["loss"] / said2["loss"] - 1),
        max(np.abs(last[n] - last2[n]).max() for n in last if not re.search(r"\.(key|k_lin)\.bias$", n))))


if __name__ == "__main__":
    main()
