"""PyTorch's side of pytorch.py: one measurement a process; the last line of stdout is its result as JSON.

    torch_side.py WHAT --model FOLDER ...    WHAT: step epoch predict start versions weights
"""
import argparse
import json
import os
import statistics
import sys
import tempfile
import time

EPOCH = {"per_device_train_batch_size": 32, "learning_rate": 5e-4, "warmup_ratio": 0.1, "weight_decay": 0.01,
         "max_grad_norm": 1.0, "max_seq_length": 128, "seed": 42}


def load_model(a, n_labels):
    """The folder's weights, or new ones where it has only a config.json."""
    import transformers
    transformers.logging.set_verbosity_error()
    kind, attention = transformers.AutoModelForSequenceClassification, "eager" if a.variant == "eager" else "sdpa"
    if not os.path.exists(os.path.join(a.model, "model.safetensors")):
        config = transformers.AutoConfig.from_pretrained(a.model, num_labels=n_labels)
        return kind.from_config(config, attn_implementation=attention)
    return kind.from_pretrained(a.model, num_labels=n_labels, attn_implementation=attention, dtype="float32")


def step(a):
    import torch
    torch.set_num_threads(a.threads)
    torch.manual_seed(1)
    model = load_model(a, 77).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, weight_decay=0.01, fused=True)
    ids = torch.randint(1000, model.config.vocab_size, (a.batch, a.seq))
    mask, labels = torch.ones_like(ids), torch.randint(0, 77, (a.batch,))
    forward = torch.compile(model) if a.variant == "inductor" else model
    seconds = []
    for s in range(a.warmup + a.steps):
        start = time.perf_counter()
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=a.dtype == "bf16"):
            loss = forward(input_ids=ids, attention_mask=mask, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if s >= a.warmup: seconds.append(time.perf_counter() - start)
    return {"seconds": statistics.median(seconds)}


def read_rows(data, part, names=None):
    import csv
    with open(os.path.join(data, "banking77", part + ".csv"), encoding="utf-8", newline="") as f:
        rows = list(csv.DictReader(f))
    names = names or sorted({r["category"] for r in rows})
    return [r["text"] for r in rows], [names.index(r["category"]) for r in rows], names


def trainer_of(a, out, steps, callbacks=()):
    import torch
    import transformers
    torch.set_num_threads(a.threads)
    tokenizer = transformers.AutoTokenizer.from_pretrained(a.model)

    def encode(texts, labels):
        ids = tokenizer(texts, truncation=True, max_length=EPOCH["max_seq_length"])["input_ids"]
        return [{"input_ids": i, "labels": label} for i, label in zip(ids, labels)]

    texts, labels, names = read_rows(a.data, "train")
    arguments = transformers.TrainingArguments(
        output_dir=out, num_train_epochs=1, max_steps=steps or -1, use_cpu=True, optim="adamw_torch_fused", bf16=a.dtype == "bf16",
        bf16_full_eval=a.full == 1,
        per_device_train_batch_size=EPOCH["per_device_train_batch_size"], per_device_eval_batch_size=32,
        learning_rate=EPOCH["learning_rate"], warmup_steps=EPOCH["warmup_ratio"], weight_decay=EPOCH["weight_decay"],
        max_grad_norm=EPOCH["max_grad_norm"], seed=EPOCH["seed"], save_strategy="no", report_to="none",
        logging_strategy="no", disable_tqdm=True)
    return transformers.Trainer(
        model=load_model(a, len(names)), args=arguments, train_dataset=encode(texts, labels),
        eval_dataset=encode(*read_rows(a.data, "test", names)[:2]), callbacks=list(callbacks),
        data_collator=transformers.DataCollatorWithPadding(tokenizer),
        compute_metrics=lambda p: {"accuracy": float((p.predictions.argmax(1) == p.label_ids).mean())})


def epoch(a):
    with tempfile.TemporaryDirectory() as out:
        trainer = trainer_of(a, out, a.epoch_steps)
        result = trainer.train()
        import resource
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return {"seconds": result.metrics["train_runtime"], "accuracy": trainer.evaluate()["eval_accuracy"],
                "steps": result.global_step, "peak_bytes": peak}


def predict(a):
    with tempfile.TemporaryDirectory() as out:
        trainer = trainer_of(a, out, 1)
        result = trainer.predict(trainer.eval_dataset)
        return {"seconds": result.metrics["test_runtime"], "labels": result.predictions.argmax(1).tolist()}


def start(a):
    """Seconds from the start of this process (a.since) to the end of the first step."""
    import transformers
    ended = []

    class Clock(transformers.TrainerCallback):
        def on_step_end(self, *_args, **_more): ended.append(time.time())

    with tempfile.TemporaryDirectory() as out:
        trainer_of(a, out, 1, [Clock()]).train()
    return {"seconds": ended[0] - a.since}


def versions(_):
    import tokenizers
    import torch
    import transformers
    return {"torch": torch.__version__, "transformers": transformers.__version__, "tokenizers": tokenizers.__version__}


def weights(a):
    """A folder that both sides can predict with: the model, its head new where it has not 77 classes."""
    import torch
    import transformers
    torch.manual_seed(1)
    model = load_model(a, 77)
    names = read_rows(a.data, "train")[2]
    model.config.id2label, model.config.label2id = dict(enumerate(names)), {n: i for i, n in enumerate(names)}
    model.save_pretrained(a.to)
    transformers.AutoTokenizer.from_pretrained(a.model).save_pretrained(a.to)
    return {}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("what", choices=("step", "epoch", "predict", "start", "versions", "weights"))
    p.add_argument("--model"), p.add_argument("--data"), p.add_argument("--to")
    for name in ("threads", "batch", "seq", "steps", "warmup"): p.add_argument("--" + name, type=int)
    p.add_argument("--epoch-steps", type=int, default=0)
    p.add_argument("--full", type=int, default=0, help="predict: bf16_full_eval")
    p.add_argument("--since", type=float, default=0)
    p.add_argument("--variant", default="sdpa", choices=("eager", "sdpa", "inductor"))
    p.add_argument("--dtype", default="fp32", choices=("fp32", "bf16"))
    a = p.parse_args()
    print(json.dumps(globals()[a.what](a)))


if __name__ == "__main__":
    sys.exit(main())
