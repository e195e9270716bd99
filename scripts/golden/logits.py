"""Logits of MiniLM with the head of bert.py for the first 500 texts of banking77's test.csv.

    logits.py MODEL_FOLDER DATA_FOLDER [--out tests/data/golden] [--compare] [--n 500]

Each text alone, so nothing is padded; fp32, evaluation mode, eager attention. Written: logits-banking77.f32, rows of 77
little-endian fp32. --compare also computes the same in float64 and as one padded batch, and prints how far they are.
"""
import argparse
import os

import numpy as np
import torch

import bert


def one_by_one(model, tokenizer, texts):
    rows = []
    with torch.no_grad():
        for text in texts:
            batch = tokenizer(text, truncation=True, max_length=bert.MAX_LENGTH, padding=False, return_tensors="pt")
            rows.append(model(**batch).logits[0].double().numpy())
    return np.stack(rows)


def padded(model, tokenizer, texts, n=32):
    rows = []
    with torch.no_grad():
        for at in range(0, len(texts), n):
            batch = tokenizer(texts[at:at + n], truncation=True, max_length=bert.MAX_LENGTH, padding="longest", return_tensors="pt")
            rows.append(model(**batch).logits.double().numpy())
    return np.concatenate(rows)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("model")
    p.add_argument("data")
    p.add_argument("--out", default="tests/data/golden")
    p.add_argument("--n", type=int, default=500)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--compare", action="store_true")
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    texts = bert.read_banking77(a.data, "test")[0][:a.n]
    n_labels = len(bert.label_names(a.data))
    tokenizer = bert.load_tokenizer(a.model)
    model = bert.load_classifier(a.model, n_labels, 0.1).eval()
    golden = one_by_one(model, tokenizer, texts)
    path = os.path.join(a.out, "logits-banking77.f32")
    golden.astype("<f4").tofile(path)
    print(f"{path}: {golden.shape[0]} x {golden.shape[1]}, largest {np.abs(golden).max():.4f}")
    if a.compare:
        exact = one_by_one(bert.load_classifier(a.model, n_labels, 0.1, dtype=torch.float64).eval(), tokenizer, texts)
        sdpa = bert.load_classifier(a.model, n_labels, 0.1, attention="sdpa").eval()
        for name, x in (("float64, one by one", exact), ("fp32, batches of 32, padded", padded(model, tokenizer, texts)),
                        ("fp32, sdpa, one by one", one_by_one(sdpa, tokenizer, texts))):
            print(f"golden beside {name}: {np.abs(golden - x).max():.3g}")


if __name__ == "__main__":
    main()
