"""hone beside PyTorch on this machine: a training step, and an epoch of banking77. Started by scripts/compare/pytorch.

    pytorch.py --model FOLDER [--data FOLDER] [--hone build/bin/hone] [--threads N] [--batch 32] [--seq 128]
               [--steps 10] [--warmup 3] [--rounds 3] [--epoch-steps N] [--only step|epoch]

Step: forward, backward, clip 1.0, fused AdamW, dropout on, fp32, random tokens, all sequences full. Each measurement is a
process of its own, hone and PyTorch by turns, so that a busy moment of the machine meets both; a round is one of each.
Epoch: transformers' Trainer with padding to the longest of a batch, and `hone train`, with the same settings; the time is
that of training alone (train_runtime of both). Prints a Markdown table; ratio: PyTorch's time by hone's.
"""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

EPOCH = {"per_device_train_batch_size": 32, "learning_rate": 5e-4, "warmup_ratio": 0.1, "weight_decay": 0.01,
         "max_grad_norm": 1.0, "max_seq_length": 128, "seed": 42}
STEP = {"eager": "PyTorch, eager attention", "sdpa": "PyTorch, SDPA"}


# ---- PyTorch's side, each in a process of its own ---------------------------------------------------------------

def load_model(a, n_labels, attention):
    import transformers
    transformers.logging.set_verbosity_error()
    return transformers.AutoModelForSequenceClassification.from_pretrained(
        a.model, num_labels=n_labels, attn_implementation=attention, dtype="float32")


def torch_step(a):
    import torch
    torch.set_num_threads(a.threads)
    torch.manual_seed(1)
    model = load_model(a, 77, a.attention).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, weight_decay=0.01, fused=True)
    ids = torch.randint(1000, model.config.vocab_size, (a.batch, a.seq))
    labels = torch.randint(0, 77, (a.batch,))
    seconds = []
    for s in range(a.warmup + a.steps):
        start = time.perf_counter()
        optimizer.zero_grad()
        model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if s >= a.warmup: seconds.append(time.perf_counter() - start)
    return {"median_s": statistics.median(seconds)}


def read_rows(data, part, names=None):
    import csv
    with open(os.path.join(data, "banking77", part + ".csv"), encoding="utf-8", newline="") as f:
        rows = list(csv.DictReader(f))
    names = names or sorted({r["category"] for r in rows})
    return [r["text"] for r in rows], [names.index(r["category"]) for r in rows], names


def torch_epoch(a):
    import torch
    import transformers
    torch.set_num_threads(a.threads)
    tokenizer = transformers.AutoTokenizer.from_pretrained(a.model)

    def encode(texts, labels):
        ids = tokenizer(texts, truncation=True, max_length=EPOCH["max_seq_length"])["input_ids"]
        return [{"input_ids": i, "labels": label} for i, label in zip(ids, labels)]

    texts, labels, names = read_rows(a.data, "train")
    train = encode(texts, labels)
    test = encode(*read_rows(a.data, "test", names)[:2])
    with tempfile.TemporaryDirectory() as out:
        arguments = transformers.TrainingArguments(
            output_dir=out, num_train_epochs=1, max_steps=a.epoch_steps or -1, use_cpu=True, optim="adamw_torch_fused",
            per_device_train_batch_size=EPOCH["per_device_train_batch_size"], per_device_eval_batch_size=32,
            learning_rate=EPOCH["learning_rate"], warmup_steps=EPOCH["warmup_ratio"], weight_decay=EPOCH["weight_decay"],
            max_grad_norm=EPOCH["max_grad_norm"], seed=EPOCH["seed"], save_strategy="no", report_to="none",
            logging_strategy="no", disable_tqdm=True)
        trainer = transformers.Trainer(
            model=load_model(a, len(names), a.attention), args=arguments, train_dataset=train, eval_dataset=test,
            data_collator=transformers.DataCollatorWithPadding(tokenizer),
            compute_metrics=lambda p: {"accuracy": float((p.predictions.argmax(1) == p.label_ids).mean())})
        result = trainer.train()
        return {"seconds": result.metrics["train_runtime"], "accuracy": trainer.evaluate()["eval_accuracy"],
                "steps": result.global_step}


def torch_versions(a):
    import torch
    import transformers
    return {"torch": torch.__version__, "transformers": transformers.__version__,
            "mkldnn": torch.backends.mkldnn.is_available()}


# ---- the driver ------------------------------------------------------------------------------------------------

def run_json(words):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"error: {' '.join(words)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def run_torch(a, what, **more):
    words = [sys.executable, os.path.abspath(__file__), "--one", what, "--model", a.model, "--threads", str(a.threads),
             "--batch", str(a.batch), "--seq", str(a.seq), "--steps", str(a.steps), "--warmup", str(a.warmup),
             "--epoch-steps", str(a.epoch_steps)]
    if a.data: words += ["--data", a.data]
    for k, v in more.items(): words += ["--" + k, v]
    return run_json(words)


def hone_step(a):
    return run_json([a.hone, "bench", "step", "--model", a.model, "--num_labels", "77", "--batch", str(a.batch), "--seq", str(a.seq),
                     "--steps", str(a.steps), "--warmup", str(a.warmup), "--threads", str(a.threads), "--json"])


def hone_epoch(a):
    with tempfile.TemporaryDirectory() as folder:
        job, out, bank = os.path.join(folder, "job.json"), os.path.join(folder, "out"), os.path.join(a.data, "banking77")
        with open(job, "w", encoding="utf-8") as f:
            json.dump({**EPOCH, "model_name_or_path": a.model, "train_file": os.path.join(bank, "train.csv"),
                       "text_column_names": ["text"], "label_column_name": "category", "output_dir": out,
                       "num_train_epochs": 1, "max_steps": a.epoch_steps or -1, "save_strategy": "no", "do_eval": False,
                       "cache_dir": os.path.join(folder, "cache")}, f)
        summary = run_json([a.hone, "train", job, "--threads", str(a.threads), "--json"])
        scores = run_json([a.hone, "eval", out, os.path.join(bank, "test.csv"), "--text_column_names", "text",
                           "--label_column_name", "category", "--threads", str(a.threads), "--json"])
        return {"seconds": summary["train_runtime"], "accuracy": scores["eval_accuracy"], "steps": summary["global_step"],
                "tokens": summary["train_tokens"], "peak": summary["peak_host_bytes"]}


def compare_steps(a):
    seconds = {name: [] for name in ("hone", *STEP)}
    for r in range(a.rounds):
        seconds["hone"].append(hone_step(a)["median_s"])
        for attention in STEP: seconds[attention].append(run_torch(a, "step", attention=attention)["median_s"])
        print(f"round {r + 1} of {a.rounds}: " + ", ".join(f"{k} {v[-1]:.3f} s" for k, v in seconds.items()), file=sys.stderr)
    own = statistics.median(seconds["hone"])
    print(f"\n| training step, {a.batch} x {a.seq} tokens, fp32 | median s | rounds | tokens/s | ratio |\n|---|---|---|---|---|")
    for name, values in seconds.items():
        m = statistics.median(values)
        print(f"| {STEP.get(name, 'hone')} | {m:.4f} | {min(values):.4f} to {max(values):.4f} | {a.batch * a.seq / m:.0f} | {m / own:.2f} |")


def compare_epochs(a):
    rows = {"hone": [], "Trainer, SDPA": []}
    for r in range(a.rounds):
        rows["hone"].append(hone_epoch(a))
        rows["Trainer, SDPA"].append(run_torch(a, "epoch", attention="sdpa"))
        print(f"round {r + 1} of {a.rounds}: " + ", ".join(f"{k} {v[-1]['seconds']:.1f} s" for k, v in rows.items()), file=sys.stderr)
    own = statistics.median(x["seconds"] for x in rows["hone"])
    print(f"\n| banking77, {rows['hone'][0]['steps']} steps of 32, fp32 | median s | rounds | test accuracy | ratio |\n|---|---|---|---|---|")
    for name, runs in rows.items():
        s = [x["seconds"] for x in runs]
        print(f"| {name} | {statistics.median(s):.1f} | {min(s):.1f} to {max(s):.1f} | {runs[0]['accuracy']:.4f} | {statistics.median(s) / own:.2f} |")


def processor_name():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        return next((line.split(":")[1].strip() for line in f if line.startswith("model name")), platform.machine())


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--model", required=True)
    p.add_argument("--data")
    p.add_argument("--hone", default="build/bin/hone")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--seq", type=int, default=128)
    p.add_argument("--steps", type=int, default=10)
    p.add_argument("--warmup", type=int, default=3)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--epoch-steps", type=int, default=0, help="stop the epoch after so many steps; 0: whole")
    p.add_argument("--only", choices=("step", "epoch"))
    p.add_argument("--one", choices=("step", "epoch", "versions"), help=argparse.SUPPRESS)
    p.add_argument("--attention", default="sdpa", help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.one:
        print(json.dumps({"step": torch_step, "epoch": torch_epoch, "versions": torch_versions}[a.one](a)))
        return
    versions, own = run_torch(a, "versions"), run_json([a.hone, "--version", "--json"])
    print(f"{processor_name()}, {a.threads} threads, {platform.system()} {platform.release()}")
    print(f"hone {own['version']} ({own['commit']}), torch {versions['torch']}, transformers {versions['transformers']}, "
          f"Python {platform.python_version()}")
    if a.only != "epoch": compare_steps(a)
    if a.only != "step" and a.data: compare_epochs(a)


if __name__ == "__main__":
    main()
