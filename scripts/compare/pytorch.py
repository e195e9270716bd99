"""hone beside PyTorch on this machine. Started by scripts/compare/pytorch.

    pytorch.py --model FOLDER [--data FOLDER] [--hone build/bin/hone] [--threads N] [--rounds N] [--only PART ...]

Parts, each a Markdown table with the ratio of PyTorch's time to hone's (medians):
  step       MiniLM: forward, backward, clip 1.0, fused AdamW, dropout on, random tokens, all sequences full; fp32 [--dtype]
  base       the same of BERT-base, its weights new
  epoch      banking77: transformers' Trainer, padding to the longest of a batch, and `hone train`, same settings; training
             alone; test accuracy; peak resident memory
  predict    banking77's test set, fp32 [--dtype], labels compared with hone's in fp32: Trainer.predict (bf16: autocast, and with
             bf16_full_eval), and `hone predict` without its start
  start      from the start of the process to the end of the first step of that training; hone's token cache is there
  tokenizer  the `tokenizers` library and `hone tokenize`, one core, on all texts of banking77 and wikitext-2
Each measurement is a process of its own, hone and PyTorch by turns, so that a busy moment of the machine meets both; a round is
one of each. --torch: which of PyTorch's ways take part (the ratio of the fastest is the one that counts).
"""
import argparse
import csv
import glob
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

from torch_side import EPOCH, read_rows

WAYS = {"eager": "PyTorch, eager attention", "sdpa": "PyTorch, SDPA", "inductor": "PyTorch, SDPA, inductor"}
BERT_BASE = {"architectures": ["BertForSequenceClassification"], "model_type": "bert", "hidden_size": 768, "num_hidden_layers": 12,
             "num_attention_heads": 12, "intermediate_size": 3072, "hidden_act": "gelu", "hidden_dropout_prob": 0.1,
             "attention_probs_dropout_prob": 0.1, "max_position_embeddings": 512, "type_vocab_size": 2, "vocab_size": 30522,
             "initializer_range": 0.02, "layer_norm_eps": 1e-12, "pad_token_id": 0}


def run_json(words):
    """The JSON of the last line, and the peak resident bytes of the process."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(words, stdout=out, stderr=err, text=True)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        if process.returncode:
            sys.exit(f"error: {' '.join(words)} ended with {process.returncode}:\n{err.read()[-2000:]}")
        return {"peak_bytes": used.ru_maxrss * 1024, **json.loads(out.read().strip().splitlines()[-1])}


def run_torch(a, what, **more):
    words = [sys.executable, "-W", "ignore", os.path.join(os.path.dirname(os.path.abspath(__file__)), "torch_side.py"), what]
    given = {"model": a.model, "data": a.data, "threads": a.threads, "batch": a.batch, "seq": a.seq, "steps": a.steps,
             "warmup": a.warmup, "epoch-steps": a.epoch_steps, "dtype": a.dtype, **more}
    for name, value in given.items():
        if value is not None: words += ["--" + name, str(value)]
    return run_json(words)


def rounds(a, measures):
    """measures: name to a function; by turns. Gives name to the results."""
    results = {name: [] for name in measures}
    for r in range(a.rounds):
        for name, measure in measures.items():
            results[name].append(measure())
            print(f"  round {r + 1} of {a.rounds}: {name} {results[name][-1]['seconds']:.3f} s", file=sys.stderr, flush=True)
    return results


def table(title, results, **columns):
    """columns: a heading to what it says of a result."""
    head = [title, "median s", "rounds", *columns, "ratio"]
    print("\n| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
    own = statistics.median(x["seconds"] for x in results["hone"])
    for name, runs in results.items():
        s = [x["seconds"] for x in runs]
        middle = statistics.median(s)
        cells = [name, f"{middle:.4g}", f"{min(s):.4g} to {max(s):.4g}", *[say(runs, middle) for say in columns.values()],
                 f"{middle / own:.2f}"]
        print("| " + " | ".join(cells) + " |", flush=True)


# ---- the parts -------------------------------------------------------------------------------------------------

def compare_steps(a, title, model, *hone_model):
    def hone():
        said = run_json([a.hone, "bench", "step", *hone_model, "--num_labels", "77", "--batch", str(a.batch), "--seq",
                         str(a.seq), "--steps", str(a.steps), "--warmup", str(a.warmup), "--threads", str(a.threads), "--dtype",
                         a.dtype, "--json"])
        return {**said, "seconds": said["median_s"]}

    measures = {"hone": hone}
    for way in a.torch: measures[WAYS[way]] = lambda way=way: run_torch(a, "step", model=model, variant=way)
    table(f"{title} training step, {a.batch} x {a.seq} tokens, {a.dtype}", rounds(a, measures),
          **{"tokens/s": lambda _, s: f"{a.batch * a.seq / s:.0f}", "peak MiB": lambda runs, _: f"{runs[0]['peak_bytes'] / 2**20:.0f}"})


def step(a): compare_steps(a, "MiniLM", a.model, "--model", a.model)


def base(a):
    with tempfile.TemporaryDirectory() as folder:
        config, job = os.path.join(folder, "config.json"), os.path.join(folder, "job.json")
        with open(config, "w", encoding="utf-8") as f: json.dump(BERT_BASE, f)
        with open(job, "w", encoding="utf-8") as f: json.dump({"config_name": folder, "tokenizer_name": os.path.abspath(a.model)}, f)
        compare_steps(a, "BERT-base", folder, "--job", job)


def hone_train(a, folder, steps):
    bank = os.path.join(a.data, "banking77")
    job, out = os.path.join(folder, "job.json"), os.path.join(folder, "out")
    with open(job, "w", encoding="utf-8") as f:
        json.dump({**EPOCH, "model_name_or_path": a.model, "train_file": os.path.join(bank, "train.csv"),
                   "text_column_names": ["text"], "label_column_name": "category", "output_dir": out, "num_train_epochs": 1,
                   "max_steps": steps or -1, "save_strategy": "no", "do_eval": False, "bf16": a.dtype == "bf16",
                   "overwrite_output_dir": True, "cache_dir": os.path.join(folder, "cache")}, f)
    return out, run_json([a.hone, "train", job, "--threads", str(a.threads), "--json"])


def test_words(a, command, model, *more):
    return [a.hone, command, model, os.path.join(a.data, "banking77", "test.csv"), "--text_column_names", "text", "--threads",
            str(a.threads), *more]


def epoch(a):
    def hone():
        with tempfile.TemporaryDirectory() as folder:
            out, said = hone_train(a, folder, a.epoch_steps)
            scores = run_json(test_words(a, "eval", out, "--label_column_name", "category", "--json"))
            return {"seconds": said["train_runtime"], "accuracy": scores["eval_accuracy"], "steps": said["global_step"],
                    "peak_bytes": said["peak_bytes"]}

    results = rounds(a, {"hone": hone, "Trainer, SDPA": lambda: run_torch(a, "epoch")})
    table(f"banking77, {results['hone'][0]['steps']} steps of 32, {a.dtype}", results,
          **{"test accuracy": lambda runs, _: f"{runs[0]['accuracy']:.4f}",
             "peak MiB": lambda runs, _: f"{runs[0]['peak_bytes'] / 2**20:.0f}"})


def hone_predict(a, model, file, dtype):
    start = time.perf_counter()
    done = subprocess.run([a.hone, "predict", model, file, "--text_column_names", "text", "--threads", str(a.threads),
                           f"--bf16={'true' if dtype == 'bf16' else 'false'}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode: sys.exit(f"error: hone predict ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return time.perf_counter() - start, [json.loads(line)["label"] for line in done.stdout.splitlines()]


def predict(a):
    with tempfile.TemporaryDirectory() as folder:
        model, one = os.path.join(folder, "model"), os.path.join(folder, "one.csv")
        run_torch(a, "weights", to=model)
        texts, _, _ = read_rows(a.data, "test")
        names = read_rows(a.data, "train")[2]
        with open(one, "w", encoding="utf-8", newline="") as f: csv.writer(f).writerows([["text"], [texts[0]]])

        test = os.path.join(a.data, "banking77", "test.csv")

        def hone():
            seconds, labels = hone_predict(a, model, test, a.dtype)
            return {"seconds": seconds - hone_predict(a, model, one, a.dtype)[0], "labels": [names.index(x) for x in labels]}

        measures = {"hone": hone, "Trainer, SDPA": lambda: run_torch(a, "predict", model=model)}
        if a.dtype == "bf16": measures["Trainer, SDPA, bf16_full_eval"] = lambda: run_torch(a, "predict", model=model, full=1)
        results = rounds(a, measures)
        own = results["hone"][0]["labels"] if a.dtype == "fp32" else [names.index(x) for x in hone_predict(a, model, test, "fp32")[1]]
    table(f"{len(own)} predictions (banking77's test set), {a.dtype}", results,
          **{"as hone's in fp32": lambda runs, _: str(sum(x == y for x, y in zip(own, runs[0]["labels"])))})


def start(a):
    with tempfile.TemporaryDirectory() as folder:
        hone_train(a, folder, 1)
        table("start to the end of the first step, banking77", rounds(a, {
            "hone": lambda: {"seconds": hone_train(a, folder, 1)[1]["startup_seconds"]},
            "Trainer, SDPA": lambda: run_torch(a, "start", since=time.time())}))


def tokenizer(a):
    os.environ["RAYON_NUM_THREADS"] = "1"
    from tokenizers import Tokenizer
    library = Tokenizer.from_file(os.path.join(a.model, "tokenizer.json"))
    library.no_truncation(), library.no_padding()
    lines = [x for part in ("train", "test") for x in read_rows(a.data, part)[0]]
    for path in sorted(glob.glob(os.path.join(a.data, "wikitext-2", "*.txt"))):
        with open(path, encoding="utf-8") as f: lines += f.read().splitlines()
    lines = [x.replace("\r", " ").replace("\n", " ") for x in lines if x.strip()]
    n_bytes = sum(len(x.encode()) + 1 for x in lines)
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as f, tempfile.NamedTemporaryFile("w", suffix=".txt") as empty:
        f.write("\n".join(lines)), f.flush()

        def hone():
            clock = []
            for name in (f.name, empty.name):
                begun = time.perf_counter()
                subprocess.run([a.hone, "tokenize", a.model, name, "--threads", "1"], stdout=subprocess.DEVNULL, check=True)
                clock.append(time.perf_counter() - begun)
            return {"seconds": clock[0] - clock[1]}

        def theirs():
            begun = time.perf_counter()
            for i in range(0, len(lines), 1000): library.encode_batch(lines[i:i + 1000])
            return {"seconds": time.perf_counter() - begun}

        table(f"token ids of {n_bytes / 1e6:.1f} MB in {len(lines)} texts, one core", rounds(a, {"hone": hone, "tokenizers": theirs}),
              **{"MB/s": lambda _, s: f"{n_bytes / 1e6 / s:.1f}"})


PARTS = {"step": step, "base": base, "epoch": epoch, "predict": predict, "start": start, "tokenizer": tokenizer}
NEEDS_DATA = {"epoch", "predict", "start", "tokenizer"}


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
    p.add_argument("--steps", type=int, default=5)
    p.add_argument("--warmup", type=int, default=2)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--dtype", default="fp32", choices=("fp32", "bf16"), help="of step, base, epoch and predict; PyTorch: autocast")
    p.add_argument("--epoch-steps", type=int, default=0, help="stop the epoch after so many steps; 0: whole")
    p.add_argument("--torch", nargs="+", default=list(WAYS), choices=list(WAYS), help="of step and base")
    p.add_argument("--only", nargs="+", default=list(PARTS), choices=list(PARTS))
    a = p.parse_args()
    versions, own = run_torch(a, "versions"), run_json([a.hone, "--version", "--json"])
    print(f"{processor_name()}, {a.threads} threads, {platform.system()} {platform.release()}, {time.strftime('%Y-%m-%d')}, load "
          f"{os.getloadavg()[0]:.1f}\nhone {own['version']} ({own['commit']}), torch {versions['torch']}, transformers "
          f"{versions['transformers']}, tokenizers {versions['tokenizers']}, Python {platform.python_version()}", flush=True)
    for part in a.only:
        if part in NEEDS_DATA and not a.data:
            print(f"{part}: left out, no --data", file=sys.stderr)
            continue
        PARTS[part](a)


if __name__ == "__main__":
    main()
