"""Load an exported folder with transformers, failing on any warning; compare logits (of what goes on with a text: losses). Started by transformers_loads."""
import argparse
import json
import logging
import os
import re
import subprocess
import sys
import warnings

import torch
import transformers


class Collector(logging.Handler):
    """Every message of WARNING or above, from whatever logger."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.said = []

    def emit(self, record): self.said.append(re.sub(r"\x1b\[[0-9;]*m", "", f"{record.name}: {record.getMessage()}"))


def goes_on(folder):
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
        return json.load(f)["architectures"][0].endswith("LMHeadModel")


def load(folder, said):
    transformers.logging.set_verbosity_warning()
    transformers.logging.disable_progress_bar()
    for logger in (logging.getLogger(), logging.getLogger("transformers")): logger.addHandler(said)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        kind = transformers.AutoModelForCausalLM if goes_on(folder) else transformers.AutoModelForSequenceClassification
        model, info = kind.from_pretrained(folder, output_loading_info=True, attn_implementation="eager")
    # Deprecations inside the libraries themselves say nothing about the folder.
    said.said += [f"{w.category.__name__}: {w.message}" for w in caught
                  if not issubclass(w.category, (DeprecationWarning, PendingDeprecationWarning, FutureWarning))]
    said.said += [f"{k}: {v}" for k, v in info.items() if v]
    return tokenizer, model.eval()


def hone_rows(hone, folder, texts, n):
    words = [hone, "predict", folder, texts, "--logits"] + (["--max_predict_samples", str(n)] if n else [])
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode: sys.exit(f"error: {' '.join(words)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def compare_losses(a, tokenizer, model, texts):
    """Of the words of all texts, each a document that the end of one closes."""
    words = [a.hone, "eval", a.folder, a.texts, "--task", "text-generation", "--line_by_line", "--max_seq_length", str(a.max_seq_length), "--json"]
    done = subprocess.run(words, stdout=subprocess.PIPE, check=True, text=True)
    total, n = 0.0, 0
    with torch.no_grad():
        for text in texts:
            ids = tokenizer(text)["input_ids"][:a.max_seq_length - 1] + [tokenizer.eos_token_id]
            if len(ids) < 2: continue
            logits = model(input_ids=torch.tensor([ids])).logits[0, :-1]
            total += torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="sum").item()
            n += len(ids) - 1
    return abs(json.loads(done.stdout)["eval_loss"] - total / n)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("folder")
    p.add_argument("texts")
    p.add_argument("--hone", required=True)
    p.add_argument("--bound", type=float, default=5e-6)
    p.add_argument("--max", type=int, default=0, help="only the first texts; 0: all")
    p.add_argument("--max_seq_length", type=int, default=128)
    a = p.parse_args()
    said = Collector()
    tokenizer, model = load(a.folder, said)
    print(f"transformers {transformers.__version__}, torch {torch.__version__}: {type(model).__name__}, "
          f"{model.dtype}, {model.config.num_labels} labels, {type(tokenizer).__name__}")
    for line in said.said: print("warning:", line)
    with open(a.texts, encoding="utf-8", newline="\n") as f:
        texts = [t.removesuffix("\r") for t in f.read().removesuffix("\n").split("\n")]
    texts = texts[:a.max or None]
    if goes_on(a.folder):
        worst = compare_losses(a, tokenizer, model, texts)
        print(f"{len(texts)} texts: losses differ by {worst:.3g} (bound {a.bound:g})")
        failed = bool(said.said) or not worst <= a.bound
        print("FAIL" if failed else "ok")
        sys.exit(failed)
    rows = hone_rows(a.hone, a.folder, a.texts, a.max)
    if len(rows) != len(texts): sys.exit(f"error: hone predicted {len(rows)} rows, {os.path.basename(a.texts)} has {len(texts)}")
    worst, unlike = 0.0, 0
    with torch.no_grad():
        for text, row in zip(texts, rows):
            batch = tokenizer(text, truncation=True, max_length=a.max_seq_length, return_tensors="pt")
            logits = model(**batch).logits[0]
            worst = max(worst, (logits.double() - torch.tensor(row["logits"], dtype=torch.float64)).abs().max().item())
            unlike += model.config.id2label[int(logits.argmax())] != row["label"]
    print(f"{len(texts)} texts: largest difference of a logit {worst:.3g} (bound {a.bound:g}), {unlike} other labels")
    failed = bool(said.said) or not worst <= a.bound
    print("FAIL" if failed else "ok")
    sys.exit(failed)


if __name__ == "__main__":
    main()
