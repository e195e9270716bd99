"""300 steps of pre-training a four-layer BERT from nothing: hone and torch on the same batches, both heads' losses step by step.

    pretraining.py HONE TEXT VOCAB OUT [--steps 300] [--batch 16] [--length 64] [--width 128] [--layers 4] [--threads 0]

TEXT: a file as pretraining_text.py writes it; VOCAB: the folder of `hone vocab` on it. Both sides begin with the same weights,
which transformers makes; dropout is off, since its masks are no common ones. The pairs, masks and order of hone are made again by
scripts/golden (pretrain.py, mlm.py), lines are cut into sentences as hone's `split_sentences` does. Prints the largest relative
difference of each head's loss, and OUT/curves.tsv holds both curves. Ends with 1 if a step differs by more than 1 %.
"""
import argparse
import json
import os
import subprocess
import sys
import time

import torch
from transformers import AutoTokenizer, BertConfig, BertForPreTraining, get_scheduler

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden"))
import mlm  # noqa: E402
import pretrain  # noqa: E402

RNG_ORDER, RATE, DECAY, SEED = 1, 1e-3, 0.01, 42
ENDS, CLOSES = [".", "!", "?"], ['"', "'", ")", "]", "\u2019", "\u201d", "\u00bb"]


def sentences(ids, ends, closes):
    out, ended = [[]], False
    for i in ids:
        if ended and i not in ends and i not in closes: out.append([])
        out[-1].append(i)
        ended = i in ends or (ended and i in closes)
    return out


def read_documents(path, tokenizer):
    ends, closes = (set(tokenizer.convert_tokens_to_ids([x for x in of if x in tokenizer.get_vocab()])) for of in (ENDS, CLOSES))
    with open(path, encoding="utf-8") as f: parts = f.read().strip().split("\n\n")
    lines = [p.split("\n") for p in parts]
    ids = iter(tokenizer([x for p in lines for x in p], add_special_tokens=False)["input_ids"])
    return [[s for _ in p for s in sentences(next(ids), ends, closes)] for p in lines]


def shuffled(n):
    order = list(range(n))
    for i in range(n - 1, 0, -1):
        x = pretrain.bits(RNG_ORDER, 0, i) * (i + 1)
        assert x % 2**64 >= 2**64 % (i + 1)
        order[i], order[x >> 64] = order[x >> 64], order[i]
    return order


def run_torch(model, batches, steps):
    groups = [{"params": [p for n, p in model.named_parameters() if keeps(n) == k], "weight_decay": d} for k, d in ((0, DECAY), (1, 0.0))]
    optimizer = torch.optim.AdamW(groups, lr=RATE)
    schedule = get_scheduler("linear", optimizer, steps // 10, steps)
    curve = []
    for batch, labels, follows in batches:
        words, sentence, _ = pretrain.losses(model, batch, labels, follows)
        (words + sentence).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        curve.append((words.item(), sentence.item()))
        if len(curve) % 50 == 0: print(f"torch: step {len(curve)}, {curve[-1][0]:.4f} {curve[-1][1]:.4f}", flush=True)
    return curve


def keeps(name): return int("LayerNorm" in name or name.endswith("bias"))


def run_hone(a, model, out):
    job = {"model_name_or_path": model, "task": "pretrain", "train_file": a.text, "split_sentences": True, "max_seq_length": a.length,
           "output_dir": out, "max_steps": a.steps, "per_device_train_batch_size": a.batch, "learning_rate": RATE,
           "warmup_steps": a.steps // 10, "weight_decay": DECAY, "save_strategy": "no", "logging_steps": 1, "seed": SEED,
           "threads": a.threads, "overwrite_output_dir": True}
    with open(os.path.join(a.out, "job.json"), "w") as f: json.dump(job, f)
    subprocess.run([a.hone, "train", os.path.join(a.out, "job.json"), "--quiet"], check=True)
    with open(os.path.join(out, "log.jsonl")) as f: rows = [json.loads(line) for line in f]
    return [(r["mlm_loss"], r["nsp_loss"]) for r in rows if "mlm_loss" in r]


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("hone", "text", "vocab", "out"): p.add_argument(name)
    for name, value in (("steps", 300), ("batch", 16), ("length", 64), ("width", 128), ("layers", 4), ("threads", 0)):
        p.add_argument("--" + name, type=int, default=value)
    a = p.parse_args()
    os.makedirs(a.out, exist_ok=True)
    if a.threads: torch.set_num_threads(a.threads)
    tokenizer = AutoTokenizer.from_pretrained(a.vocab)
    torch.manual_seed(SEED)
    model = BertForPreTraining(BertConfig(
        vocab_size=len(tokenizer), hidden_size=a.width, num_hidden_layers=a.layers, num_attention_heads=a.width // 32,
        intermediate_size=4 * a.width, max_position_embeddings=a.length, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)).train()
    folder = os.path.join(a.out, "first")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    pretrain.LENGTH = a.length
    pairs = pretrain.draw_pairs(read_documents(a.text, tokenizer), 0)
    order = shuffled(len(pairs))
    assert a.steps * a.batch <= len(pairs), "one epoch is drawn here"
    batches = (pretrain.collate(pairs, order[i * a.batch:(i + 1) * a.batch], 0, tokenizer) for i in range(a.steps))
    t = time.process_time()
    ours = run_hone(a, folder, os.path.join(a.out, "hone"))
    print(f"hone: {len(ours)} steps, {os.times().children_user:.0f} s of CPU")
    theirs = run_torch(model, batches, a.steps)
    print(f"torch: {len(theirs)} steps, {time.process_time() - t:.0f} s of CPU")
    worst = [max(abs(x[k] / y[k] - 1) for x, y in zip(ours, theirs)) for k in (0, 1)]
    with open(os.path.join(a.out, "curves.tsv"), "w") as f:
        f.write("step\thone_mlm\ttorch_mlm\thone_nsp\ttorch_nsp\n")
        for i, (x, y) in enumerate(zip(ours, theirs)): f.write(f"{i + 1}\t{x[0]:.6f}\t{y[0]:.6f}\t{x[1]:.6f}\t{y[1]:.6f}\n")
    last = theirs[-20:]
    mean = [sum(c[k] for c in last) / len(last) for k in (0, 1)]
    print(f"{len(pairs)} pairs; mean of the last 20 steps: words {mean[0]:.4f}, next sentences {mean[1]:.4f}")
    print(f"largest relative difference of a step: words {worst[0]:.2e}, next sentences {worst[1]:.2e}")
    return int(len(ours) != len(theirs) or max(worst) > 0.01)


if __name__ == "__main__":
    sys.exit(main())
