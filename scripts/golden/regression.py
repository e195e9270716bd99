"""10 training steps of a tiny model of a family with one number to predict (mean squared error), on the fixture's texts.

    regression.py [--family bert|distilbert|roberta] [--fixture tests/data/e2e] [--out tests/data/golden] [--compare]

Nothing is downloaded: vocabulary and texts are those of tests/data/e2e, config.json too but for dropout 0, one label and
problem_type regression. Weights are given by a formula: of parameter number k in the order of names, flat index i,
    fp32((((i * 2654435761 + k * 40503 + 12345) mod 2^32) / 2^32 - 0.5) * 0.2), computed in float64, and 1 more for
the weight of a norm. The target of a text is (its bytes mod 17) / 8 - 1. Batch 8 in file order, AdamW (0.01 decay, none on
biases and LayerNorm weights), highest rate 1e-4, warm-up 0.2 of 10 steps, linear to 0, clip 1.0, at most 48 tokens.
Written: regression.json (of other families regression-FAMILY.json), with "steps" and "weights" as in training.py, and "values", what the trained model predicts for
the first 16 texts of validation.csv, each alone. tests/e2e/regression.c makes the same model and data.
"""
import argparse
import csv
import json
import os
import re

import numpy as np
import torch
import transformers
from transformers import get_scheduler

import bert
import training

STEPS, BATCH, RATE, WARMUP, LENGTH, N_PROBE = 10, 8, 1e-4, 0.2, 48, 16


def read_texts(fixture, part):
    with open(os.path.join(fixture, part + ".csv"), encoding="utf-8", newline="") as f:
        return [r["text"] for r in csv.DictReader(f)]


def target(text):
    return len(text.encode()) % 17 / 8 - 1


def formula(k, shape, one):
    i = np.arange(np.prod(shape), dtype=np.uint64)
    u = ((i * np.uint64(2654435761) + np.uint64(k * 40503 + 12345)) % np.uint64(2**32)).astype(np.float64) / 2.0**32
    return torch.from_numpy((one + (u - 0.5) * 0.2).astype(np.float32).reshape(shape))


# Class of a family, and config.json's keys that it calls otherwise than BERT.
FAMILIES = {
    "bert": ("Bert", {}),
    "distilbert": ("DistilBert", {"hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads",
                                  "intermediate_size": "hidden_dim", "hidden_act": "activation", "hidden_dropout_prob": "dropout",
                                  "attention_probs_dropout_prob": "attention_dropout"}),
    "roberta": ("Roberta", {}),  # with 2 positions more: those up to pad_token_id's are no token's
}


def make_model(fixture, family, dtype, head="ForSequenceClassification", num_labels=1, problem_type="regression", **more):
    name, keys = FAMILIES[family]
    with open(os.path.join(fixture, "model", "config.json"), encoding="utf-8") as f:
        said = {keys.get(k, k): v for k, v in json.load(f).items() if k not in ("model_type", "architectures")}
    if family == "roberta": said["max_position_embeddings"] += 2
    said.update(more)
    for key in said:
        if "dropout" in key: said[key] = 0.0
    config = getattr(transformers, name + "Config")(**said, num_labels=num_labels, problem_type=problem_type, attn_implementation="eager",
                                                    **({"seq_classif_dropout": 0.0, "qa_dropout": 0.0} if family == "distilbert" else {}))
    model = getattr(transformers, name + head)(config)
    with torch.no_grad():
        for k, (name, p) in enumerate(sorted(model.named_parameters())):
            p.copy_(formula(k, tuple(p.shape), 1.0 if re.search("(LayerNorm|layer_norm).weight$", name) else 0.0))
    return model.to(dtype)


def inputs(tokens, family):
    return {k: v for k, v in tokens.items() if k != "token_type_ids" or family == "bert"}


def train(fixture, family, dtype):
    tokenizer = bert.load_tokenizer(os.path.join(fixture, "model"))
    texts = read_texts(fixture, "train")
    model = make_model(fixture, family, dtype).train()
    first = {n: p.detach().double().numpy().copy() for n, p in model.named_parameters()}
    training.DECAY, training.RATE = 0.01, RATE
    optimizer = training.make_optimizer(model)
    schedule = get_scheduler("linear", optimizer, int(np.ceil(STEPS * WARMUP)), STEPS)
    options = dict(truncation=True, max_length=LENGTH)
    steps, tokens = [], 0
    for s in range(STEPS):
        at = texts[s * BATCH:(s + 1) * BATCH]
        labels = torch.tensor([target(t) for t in at], dtype=dtype)
        loss = model(**inputs(tokenizer(at, padding="longest", return_tensors="pt", **options), family), labels=labels).loss
        loss.backward()
        norm = float(np.sqrt(sum((p.grad.double() ** 2).sum().item() for p in model.parameters())))
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        tokens += sum(map(len, tokenizer(at, **options)["input_ids"]))
        steps.append({"tokens": tokens, "loss": loss.item(), "grad_norm": norm,
                      "learning_rate": schedule.get_last_lr()[0]})
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    still = {n: (optimizer.state[p]["exp_avg_sq"] == 0).numpy().ravel() for n, p in model.named_parameters()}
    model.eval()
    with torch.no_grad():
        values = [model(**inputs(tokenizer(t, return_tensors="pt", **options), family)).logits.item()
                  for t in read_texts(fixture, "validation")[:N_PROBE]]
    return steps, first, {n: p.detach().double().numpy() for n, p in model.named_parameters()}, values, still


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--family", choices=FAMILIES, default="bert")
    p.add_argument("--fixture", default="tests/data/e2e")
    p.add_argument("--out", default="tests/data/golden")
    p.add_argument("--compare", action="store_true")
    a = p.parse_args()
    torch.set_num_threads(1)
    steps, first, last, values, still = train(a.fixture, a.family, torch.float32)
    bert.write_json(os.path.join(a.out, "regression.json" if a.family == "bert" else f"regression-{a.family}.json"), {
        "made_by": "scripts/golden/regression.py", "versions": bert.versions(),
        "settings": {"steps": STEPS, "batch": BATCH, "learning_rate": RATE, "warmup_ratio": WARMUP, "weight_decay": 0.01,
                     "max_grad_norm": 1.0, "max_seq_length": LENGTH},
        "steps": steps, "weights": training.digest(first, last, still), "values": [float(f"{v:.9g}") for v in values]})
    if not a.compare: return
    steps2, _, last2, values2, _ = train(a.fixture, a.family, torch.float64)
    print("golden beside float64: loss %.3g, gradient norm %.3g (relative), values %.3g, weights %.3g" % (
        max(abs(x["loss"] / y["loss"] - 1) for x, y in zip(steps, steps2)),
        max(abs(x["grad_norm"] / y["grad_norm"] - 1) for x, y in zip(steps, steps2)),
        max(abs(x - y) for x, y in zip(values, values2)),
        max(np.abs(last[n] - last2[n]).max() for n in last if not re.search(r"\.(key|k_lin)\.bias$", n))))


if __name__ == "__main__":
    main()
