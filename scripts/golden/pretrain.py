"""20 training steps of a tiny BertForPreTraining, masked words and next sentences, on the fixture's documents.

    pretrain.py [--fixture tests/data/e2e] [--out tests/data/golden] [--compare]

Model, weights and optimizer as in regression.py (seed 42). Pairs and masks are hone's: which pairs an epoch has is written down
in host/data/pairs.h, and again here; the masks are those of mlm.py. Written: pretrain-bert.json, with "steps" and "weights" as
in training.py (each step with the losses of both heads), and "eval" of the trained model over documents-validation.txt: both
losses, both accuracies, and of each pair the logits of its next sentence and the sum of its words' losses.
tests/e2e/pretrain.c makes the same model and data.
"""
import argparse
import os
import re

import numpy as np
import torch
from transformers import get_scheduler

import bert
import mlm
import regression
import training

STEPS, BATCH, RATE, WARMUP, LENGTH, SEED, RANDOM, SHORT = 20, 8, 1e-3, 0.1, 24, 42, 0.5, 0.1
RNG_PAIR, SPECIAL = 8, 3


def bits(stream, a, b):
    out = mlm.philox([a & 0xFFFFFFFF, a >> 32, b & 0xFFFFFFFF, b >> 32 | stream << 16], [SEED, 0])
    return out[1] << 32 | out[0]


class Draws:
    def __init__(self, epoch, document): self.a, self.b = epoch << 40 | document, 0

    def bits(self):
        self.b += 1
        return bits(RNG_PAIR, self.a, self.b - 1)

    def chance(self, p): return (self.bits() >> 11) * 2.0**-53 < p

    def below(self, n):
        x = self.bits() * n
        assert x % 2**64 >= 2**64 % n, "the one draw in 2^60 that is made again"
        return x >> 64


def gather(sentences, at, tokens):
    end = at + 1
    while end < len(sentences) and sum(map(len, sentences[at:end])) < tokens: end += 1
    return end


def draw_pairs(documents, epoch):
    """[(first, second, label)] of an epoch."""
    pairs, most = [], LENGTH - SPECIAL
    for k, document in enumerate(documents):
        draws, at = Draws(epoch, k), 0
        while at < len(document):
            wanted = 2 + draws.below(most - 1) if draws.chance(SHORT) else most
            end = gather(document, at, wanted)
            middle = at + 1 + (draws.below(end - at - 1) if end - at > 1 else 0)
            first = sum(document[at:middle], [])
            label = int(middle == end or draws.chance(RANDOM))
            if label:
                other = draws.below(len(documents) - 1)
                other = documents[other + (other >= k)]
                begin = draws.below(len(other))
                second = sum(other[begin:gather(other, begin, wanted - len(first))], [])
            else: second = sum(document[middle:end], [])
            lost = 0
            while len(first) + len(second) > most:
                if lost % 64 == 0: coins = draws.bits()
                longer = first if len(first) > len(second) else second
                longer.pop(0 if coins & 1 else -1)
                coins, lost = coins >> 1, lost + 1
            pairs.append((first, second, label))
            at = middle if label else end
    return pairs


def read_documents(fixture, name, tokenizer):
    with open(os.path.join(fixture, name), encoding="utf-8") as f:
        return [[tokenizer(line, add_special_tokens=False)["input_ids"] for line in part.splitlines()]
                for part in f.read().strip().split("\n\n")]


def collate(pairs, numbers, epoch, tokenizer):
    cls, sep, rows = tokenizer.cls_token_id, tokenizer.sep_token_id, []
    for i in numbers:
        first, second, _ = pairs[i]
        shown, labels = mlm.hide([cls] + first + [sep] + second + [sep], epoch, i, set(tokenizer.all_special_ids),
                                 tokenizer.mask_token_id, len(tokenizer), tokenizer.pad_token_id)
        rows.append((shown, [0] * (len(first) + 2) + [1] * (len(second) + 1), labels))
    longest = max(len(r[0]) for r in rows)
    pad = lambda k, by: torch.tensor([r[k] + [by] * (longest - len(r[k])) for r in rows])
    attended = torch.tensor([[1] * len(r[0]) + [0] * (longest - len(r[0])) for r in rows])
    return {"input_ids": pad(0, tokenizer.pad_token_id), "token_type_ids": pad(1, 0), "attention_mask": attended}, pad(
        2, -100), torch.tensor([pairs[i][2] for i in numbers])


def losses(model, batch, labels, follows):
    out = model(**batch)
    xent = torch.nn.functional.cross_entropy
    return xent(out.prediction_logits.flatten(0, 1), labels.flatten()), xent(out.seq_relationship_logits, follows), out


def train(fixture, dtype):
    tokenizer = bert.load_tokenizer(os.path.join(fixture, "model"))
    documents = read_documents(fixture, "documents.txt", tokenizer)
    model = regression.make_model(fixture, "bert", dtype, "ForPreTraining").train()
    first = {n: p.detach().double().numpy().copy() for n, p in model.named_parameters()}
    training.DECAY, training.RATE = 0.01, RATE
    optimizer = training.make_optimizer(model)
    schedule = get_scheduler("linear", optimizer, int(np.ceil(STEPS * WARMUP)), STEPS)
    steps, tokens = [], 0
    epochs = [(e, draw_pairs(documents, e)) for e in range(STEPS)]
    order = [(e, p, range(i, min(i + BATCH, len(p)))) for e, p in epochs for i in range(0, len(p), BATCH)]
    for epoch, pairs, numbers in order[:STEPS]:
        batch, labels, follows = collate(pairs, numbers, epoch, tokenizer)
        words, sentences, _ = losses(model, batch, labels, follows)
        whole = model(**batch, labels=labels, next_sentence_label=follows).loss  # what transformers itself makes of it
        assert abs(whole.item() - (words + sentences).item()) < 1e-5
        (words + sentences).backward()
        norm = float(np.sqrt(sum((p.grad.double() ** 2).sum().item() for p in model.parameters())))
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        tokens += int(batch["attention_mask"].sum())
        steps.append({"tokens": tokens, "loss": (words + sentences).item(), "mlm_loss": words.item(), "nsp_loss": sentences.item(),
                      "grad_norm": norm, "learning_rate": schedule.get_last_lr()[0]})
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    still = {n: (optimizer.state[p]["exp_avg_sq"] == 0).numpy().ravel() for n, p in model.named_parameters()}
    return steps, first, {n: p.detach().double().numpy() for n, p in model.named_parameters()}, evaluate(
        model.eval(), draw_pairs(read_documents(fixture, "documents-validation.txt", tokenizer), mlm.EVALUATION), tokenizer), still


def evaluate(model, pairs, tokenizer):
    rows, right, words, loss, follow_loss, follow_right = [], 0, 0, 0.0, 0.0, 0
    with torch.no_grad():
        for i in range(len(pairs)):
            batch, labels, follows = collate(pairs, [i], mlm.EVALUATION, tokenizer)
            _, sentence, out = losses(model, batch, labels, follows)
            at = labels[0] >= 0
            own = torch.nn.functional.cross_entropy(out.prediction_logits[0][at], labels[0][at], reduction="sum").item()
            right += int((out.prediction_logits[0][at].argmax(-1) == labels[0][at]).sum())
            words, loss, follow_loss = words + int(at.sum()), loss + own, follow_loss + sentence.item()
            follow_right += int(out.seq_relationship_logits[0].argmax() == follows[0])
            rows.append({"words": int(at.sum()), "label": int(follows[0]), "word_loss": own,
                         "logits": out.seq_relationship_logits[0].tolist()})
    return {"mlm_loss": loss / words, "accuracy": right / words, "nsp_loss": follow_loss / len(pairs),
            "nsp_accuracy": follow_right / len(pairs), "pairs": rows}


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--fixture", default="tests/data/e2e")
    p.add_argument("--out", default="tests/data/golden")
    p.add_argument("--compare", action="store_true")
    a = p.parse_args()
    torch.set_num_threads(1)
    steps, first, last, said, still = train(a.fixture, torch.float32)
    bert.write_json(os.path.join(a.out, "pretrain-bert.json"), {
        "made_by": "scripts/golden/pretrain.py", "versions": bert.versions(),
        "settings": {"steps": STEPS, "batch": BATCH, "learning_rate": RATE, "warmup_ratio": WARMUP, "weight_decay": 0.01,
                     "max_grad_norm": 1.0, "max_seq_length": LENGTH, "seed": SEED},
        "steps": steps, "weights": training.digest(first, last, still), "eval": said})
    if not a.compare: return
    steps2, _, last2, said2, _ = train(a.fixture, torch.float64)
    print("golden beside float64: loss %.3g, gradient norm %.3g (relative), loss of evaluation %.3g, weights %.3g" % (
        max(abs(x["loss"] / y["loss"] - 1) for x, y in zip(steps, steps2)),
        max(abs(x["grad_norm"] / y["grad_norm"] - 1) for x, y in zip(steps, steps2)),
        abs(said["mlm_loss"] / said2["mlm_loss"] - 1),
        max(np.abs(last[n] - last2[n]).max() for n in last if not re.search(r"\.(key|k_lin)\.bias$", n))))


if __name__ == "__main__":
    main()
