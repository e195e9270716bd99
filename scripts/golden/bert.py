"""What the scripts of this folder share: MiniLM with a head given by a formula, and the rows of banking77.

The head needs not be stored anywhere: classifier.weight, flat index i, is
    fp32((((i * 2654435761 + 12345) mod 2^32) / 2^32 - 0.5) * 0.08), computed in float64 and rounded once;
classifier.bias is 0. tests/e2e/parity_model.c writes the same bits.
"""
import csv
import json
import os

import numpy as np
import torch
import transformers

MAX_LENGTH = 128
MULTIPLIER, INCREMENT = 2654435761, 12345


def head_weight(n_labels, width):
    """classifier.weight [n_labels, width], fp32."""
    i = np.arange(n_labels * width, dtype=np.uint64)
    u = ((i * np.uint64(MULTIPLIER) + np.uint64(INCREMENT)) % np.uint64(2**32)).astype(np.float64) / 2.0**32
    return ((u - 0.5) * 0.08).astype(np.float32).reshape(n_labels, width)


def read_banking77(data, part):
    """Texts, label names of the rows of PART.csv, in file order."""
    with open(os.path.join(data, "banking77", part + ".csv"), encoding="utf-8", newline="") as f:
        rows = list(csv.DictReader(f))
    return [r["text"] for r in rows], [r["category"] for r in rows]


def label_names(data):
    """The 77 labels of train.csv, sorted as text: the place is the id."""
    return sorted(set(read_banking77(data, "train")[1]))


def load_tokenizer(folder):
    return transformers.AutoTokenizer.from_pretrained(folder)


def load_classifier(folder, n_labels, dropout, attention="eager", dtype=torch.float32):
    """The folder's body and pooler as BertForSequenceClassification with the head of the formula."""
    model = transformers.BertForSequenceClassification.from_pretrained(
        folder, num_labels=n_labels, attn_implementation=attention, dtype=torch.float32,
        hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout)
    with torch.no_grad():
        model.classifier.weight.copy_(torch.from_numpy(head_weight(n_labels, model.config.hidden_size)))
        model.classifier.bias.zero_()
    return model.to(dtype)


def versions():
    return {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__,
            "numpy": np.__version__}


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, indent=1, sort_keys=False)
        f.write("\n")
