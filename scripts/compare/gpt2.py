"""hone beside PyTorch: a small GPT-2 from nothing on one text, validation loss at equal steps. Started by scripts/compare/gpt2.

    gpt2.py TEXT [--hone build/bin/hone] [--steps 200] [--every 50] [--batch 16] [--length 128] [--vocab 1024] [--layers 4]
            [--width 128] [--bound 0.01] [--threads 2]

The last tenth of the lines is for validation. `hone vocab` makes the tokenizer. Both read line by line, with line breaks, and cut
what comes out into blocks (as transformers' run_clm.py does), in the order of the text; AdamW (0.1 decay, none on biases and norms),
highest rate 1e-3, warm-up 0.1, cosine, clip 1.0, no dropout. hone runs twice: from the weights that PyTorch began with, where the losses
are to be equal but for rounding, and from its own, where the initialisation is compared as well.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import torch
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel, get_scheduler

RATE, WARMUP, DECAY = 1e-3, 0.1, 0.1


def blocks(tokenizer, path, length):
    with open(path, encoding="utf-8", newline="\n") as f:
        ids = [i for line in tokenizer(f.readlines())["input_ids"] for i in line] + [tokenizer.eos_token_id]
    out = []
    while ids:
        n = length - 1 if len(ids) == length + 1 else length
        out.append(ids[:n])
        ids = ids[n:]
    return out


def loss_of(model, rows):
    """Mean over the words of rows that are equally long but for the last."""
    rows = [r for r in rows if len(r) > 1]
    total, words = 0.0, 0
    for ids in [rows[i:i + 32] for i in range(0, len(rows) - 1, 32)] + [rows[-1:]]:
        ids = torch.tensor(ids if len({len(r) for r in ids}) == 1 else ids[:-1])
        n = ids.numel() - len(ids)
        total, words = total + model(input_ids=ids, labels=ids).loss.item() * n, words + n
    return total / words


def torch_losses(a, folder, train, validation):
    torch.set_num_threads(a.threads)
    model = GPT2LMHeadModel.from_pretrained(folder).train()
    plain = [p for n, p in model.named_parameters() if n.endswith(".bias") or ".ln_" in n]
    decayed = [p for n, p in model.named_parameters() if not (n.endswith(".bias") or ".ln_" in n)]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": DECAY}, {"params": plain, "weight_decay": 0.0}], lr=RATE)
    schedule = get_scheduler("cosine", optimizer, int(a.steps * WARMUP + 0.999), a.steps)
    order = [train[i:i + a.batch] for i in range(0, len(train), a.batch)]
    out = {}
    for step in range(a.steps):
        rows = order[step % len(order)]
        longest = max(map(len, rows))
        ids = torch.tensor([r + [0] * (longest - len(r)) for r in rows])
        labels = torch.tensor([r + [-100] * (longest - len(r)) for r in rows])
        model(input_ids=ids, labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if (step + 1) % a.every == 0:
            with torch.no_grad():
                out[step + 1] = loss_of(model.eval(), validation)
            model.train()
    return out


def hone_losses(a, work, name, start):
    job = {"task": "text-generation", "train_file": f"{work}/train.txt", "validation_file": f"{work}/validation.txt",
           "max_seq_length": a.length, "output_dir": f"{work}/{name}", "max_steps": a.steps, "eval_strategy": "steps", "eval_steps": a.every,
           "per_device_train_batch_size": a.batch, "train_sampling_strategy": "sequential", "learning_rate": RATE, "warmup_ratio": WARMUP,
           "lr_scheduler_type": "cosine", "weight_decay": DECAY, "save_strategy": "no", "threads": a.threads, "cache_dir": f"{work}/cache",
           **start}
    with open(f"{work}/{name}.json", "w") as f: json.dump(job, f)
    subprocess.run([a.hone, "train", f"{work}/{name}.json", "--quiet"], check=True)
    with open(f"{work}/{name}/log.jsonl") as f:
        rows = [json.loads(line) for line in f]
    return {r["step"]: r["eval_loss"] for r in rows if "eval_loss" in r}


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("text")
    p.add_argument("--hone", default="build/bin/hone")
    p.add_argument("--bound", type=float, default=0.01)
    for name, preset in (("steps", 200), ("every", 50), ("batch", 16), ("length", 128), ("vocab", 1024), ("layers", 4), ("width", 128),
                         ("threads", 2)):
        p.add_argument("--" + name, type=int, default=preset)
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as work:
        with open(a.text, encoding="utf-8", newline="\n") as f: lines = f.readlines()
        cut = len(lines) * 9 // 10
        for part, rows in (("train", lines[:cut]), ("validation", lines[cut:])):
            with open(f"{work}/{part}.txt", "w", encoding="utf-8", newline="\n") as f: f.writelines(rows)
        subprocess.run([a.hone, "vocab", "--type", "bpe", "--size", str(a.vocab), "--output", f"{work}/words", f"{work}/train.txt",
                        "--quiet"], check=True, stdout=subprocess.DEVNULL)
        tokenizer = AutoTokenizer.from_pretrained(f"{work}/words")
        train, validation = (blocks(tokenizer, f"{work}/{part}.txt", a.length) for part in ("train", "validation"))
        end = tokenizer.eos_token_id
        config = GPT2Config(vocab_size=len(tokenizer), n_positions=a.length, n_embd=a.width, n_layer=a.layers, n_head=a.width // 32,
                            resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=end, eos_token_id=end)
        torch.manual_seed(1)
        GPT2LMHeadModel(config).save_pretrained(f"{work}/start")
        told = {"tokenizer_name": f"{work}/words"}
        same = hone_losses(a, work, "same", {"model_name_or_path": f"{work}/start", **told})
        own = hone_losses(a, work, "own", {"config_name": f"{work}/start", **told})
        other = torch_losses(a, f"{work}/start", train, validation)
    print(f"{len(train)} blocks of {a.length} tokens, {a.batch} a step; torch {torch.__version__}\n")
    print("| step | PyTorch | hone, the same weights at first | hone, its own |\n|---|---|---|---|")
    worst = 0.0
    for step, loss in other.items():
        d = [x[step] / loss - 1 for x in (same, own)]
        worst = max(worst, *map(abs, d))
        print(f"| {step} | {loss:.5f} | {same[step]:.5f} ({d[0]:+.2e}) | {own[step]:.5f} ({100 * d[1]:+.2f} %) |")
    print(f"\nlargest difference {100 * worst:.2f} %, allowed {100 * a.bound:g} %")
    sys.exit(worst > a.bound)


if __name__ == "__main__":
    main()
