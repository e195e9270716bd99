"""30 training steps of MiniLM with the head of bert.py on banking77's train.csv in file order.

    training.py MODEL_FOLDER DATA_FOLDER [--out tests/data/golden] [--compare]

Batch 32, dropout 0, AdamW (0.01 decay, none on biases and LayerNorm weights), highest rate 5e-5, warm-up 0.1 of 30 steps,
linear to 0, clip 1.0, at most 128 tokens, labels sorted as text. fp32, eager attention, batches padded to their longest.
Written: training-banking77.json and .f32. "steps": loss, gradient norm before clipping, rate, real tokens so far. The norm
is that of the fp32 gradients, summed in float64; "grad_norm_torch" is what clip_grad_norm_ makes of the same gradients by
summing in fp32 (and clips by). "weights", a row a parameter: its size n, sum and sum of squares (float64), "moved" (norm of final - initial);
some elements, 24 spread by a formula, index (k * 2654435761 + 13) mod 2^32 mod n, and the 8 that moved most; "still": up to
8 large elements whose gradient was always 0, so that decay alone moved them. The .f32 file holds the logits of the trained
model for the first 32 texts of test.csv, rows of 77 little-endian fp32, each text alone.

--compare computes the run again in float64 (padded) and in fp32 one sequence after the other without padding, and prints
how far losses, norms and weights are; attention key biases apart, whose gradient is rounding noise.
"""
import argparse
import os
import re

import numpy as np
import torch
from transformers import get_scheduler

import bert
from logits import one_by_one

STEPS, BATCH, RATE, WARMUP, DECAY, CLIP = 30, 32, 5e-5, 0.1, 0.01, 1.0
N_SPREAD, N_MOVED, N_PROBE = 24, 8, 32


def is_plain(name):
    return name.endswith(".bias") or re.search(r"LayerNorm|layer_norm|\.ln_", name) is not None


def make_optimizer(model):
    plain = [p for n, p in model.named_parameters() if is_plain(n)]
    decayed = [p for n, p in model.named_parameters() if not is_plain(n)]
    return torch.optim.AdamW([{"params": decayed, "weight_decay": DECAY}, {"params": plain, "weight_decay": 0.0}],
                             lr=RATE, betas=(0.9, 0.999), eps=1e-8, foreach=False, fused=False)


def backward(model, tokenizer, texts, labels, way):
    """Gradients of the mean loss of a batch; returns that loss."""
    options = dict(truncation=True, max_length=bert.MAX_LENGTH, return_tensors="pt")
    if way != "single":
        loss = model(**tokenizer(texts, padding="longest", **options), labels=torch.tensor(labels)).loss
        loss.backward()
        return loss.item()
    total = 0.0
    for text, label in zip(texts, labels):
        loss = model(**tokenizer(text, padding=False, **options), labels=torch.tensor([label])).loss / len(texts)
        loss.backward()
        total += loss.item()
    return total


def train(folder, data, way):
    names = bert.label_names(data)
    texts, categories = bert.read_banking77(data, "train")
    labels = [names.index(c) for c in categories]
    tokenizer = bert.load_tokenizer(folder)
    dtype = torch.float64 if way == "double" else torch.float32
    model = bert.load_classifier(folder, len(names), 0.0, dtype=dtype).train()
    first = {n: p.detach().double().numpy().copy() for n, p in model.named_parameters()}
    optimizer = make_optimizer(model)
    schedule = get_scheduler("linear", optimizer, int(np.ceil(STEPS * WARMUP)), STEPS)
    steps, tokens = [], 0
    for s in range(STEPS):
        at = slice(s * BATCH, (s + 1) * BATCH)
        loss = backward(model, tokenizer, texts[at], labels[at], way)
        norm = float(np.sqrt(sum((p.grad.double() ** 2).sum().item() for p in model.parameters())))
        norm_torch = torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP).item()
        tokens += sum(map(len, tokenizer(texts[at], truncation=True, max_length=bert.MAX_LENGTH)["input_ids"]))
        steps.append({"tokens": tokens, "loss": loss, "grad_norm": norm, "grad_norm_torch": norm_torch,
                      "learning_rate": schedule.get_last_lr()[0]})
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        print(f"{way} step {s + 1}: loss {loss:.7f} norm {norm:.6f}", flush=True)
    still = {n: (optimizer.state[p]["exp_avg_sq"] == 0).numpy().ravel() for n, p in model.named_parameters()}
    probe = bert.read_banking77(data, "test")[0][:N_PROBE]
    return (steps, first, {n: p.detach().double().numpy() for n, p in model.named_parameters()},
            one_by_one(model.eval(), tokenizer, probe), still)


def digest(first, last, still):
    rows = []
    for name in sorted(last):
        w, moved = last[name].ravel(), (last[name] - first[name]).ravel()
        index = [((k * 2654435761 + 13) % 2**32) % w.size for k in range(N_SPREAD)]
        index += [int(i) for i in np.argsort(-np.abs(moved), kind="stable")[:N_MOVED]]
        unmoved = np.argsort(-np.abs(w) * still[name], kind="stable")[:min(8, int(still[name].sum()))]
        rows.append({"name": name, "n": w.size, "sum": float(w.sum()), "sum_squares": float((w * w).sum()),
                     "moved": float(np.sqrt((moved * moved).sum())), "index": index,
                     "value": [float(f"{w[i]:.9g}") for i in index],
                     "still": {"index": [int(i) for i in unmoved], "value": [float(f"{w[i]:.9g}") for i in unmoved]}})
    return rows


def compare(golden, other, way):
    (steps, first, last, probe, _), (steps2, _, last2, probe2, _) = golden, other
    loss = max(abs(a["loss"] - b["loss"]) / b["loss"] for a, b in zip(steps, steps2))
    norm, norm_torch = (max(abs(a[k] - b["grad_norm"]) / b["grad_norm"] for a, b in zip(steps, steps2))
                        for k in ("grad_norm", "grad_norm_torch"))
    print(f"golden beside {way}: loss {loss:.3g}, gradient norm {norm:.3g}, clip_grad_norm_'s {norm_torch:.3g} (relative)")
    print(f"  logits afterwards: {np.abs(probe - probe2).max():.3g}")
    for keys in (False, True):
        worst, at, moved, moved_at, plain, mean = -1.0, "", 0.0, "", 0.0, 0.0
        for n in last:
            if bool(re.search(r"\.key\.bias$", n)) != keys: continue
            w, w2 = last[n].astype(np.float32).astype(np.float64), last2[n].astype(np.float32).astype(np.float64)
            d = float((np.abs(w - w2) - 1e-4 * np.abs(w2)).max())
            plain, mean = max(plain, float(np.abs(w - w2).max())), max(mean, float(abs((w - w2).mean())))
            if d > worst: worst, at = d, n
            a, b = np.linalg.norm(last[n] - first[n]), np.linalg.norm(last2[n] - first[n])
            if abs(a - b) / b > moved: moved, moved_at = abs(a - b) / b, n
        print(f"  {'key biases' if keys else 'weights'}: {worst:.3g} beyond 1e-4 relative ({at}), {plain:.3g} in all, "
              f"{mean:.3g} of a mean; moved {moved:.3g} relative ({moved_at})")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("model")
    p.add_argument("data")
    p.add_argument("--out", default="tests/data/golden")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--compare", action="store_true")
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    golden = train(a.model, a.data, "padded")
    steps, first, last, probe, still = golden
    probe.astype("<f4").tofile(os.path.join(a.out, "training-banking77.f32"))
    bert.write_json(os.path.join(a.out, "training-banking77.json"), {
        "made_by": "scripts/golden/training.py", "versions": bert.versions(),
        "settings": {"steps": STEPS, "batch": BATCH, "learning_rate": RATE, "warmup_ratio": WARMUP,
                     "weight_decay": DECAY, "max_grad_norm": CLIP, "max_seq_length": bert.MAX_LENGTH},
        "steps": steps, "weights": digest(first, last, still)})
    if a.compare:
        for way in ("single", "double"):
            compare(golden, train(a.model, a.data, way), way)


if __name__ == "__main__":
    main()
