"""10 training steps of tiny models with other heads: tagged words, several labels a text, pairs, questions.

    heads.py fixtures [--fixture tests/data/e2e]                the data sets, made of the fixture's texts by formulas
    heads.py tags|marks|pairs|questions [--family bert|distilbert|roberta] [--fixture ...] [--out tests/data/golden] [--scripts DIR]

Model, weights and optimizer as in regression.py, rate 1e-3, data in file order. Written: HEAD-FAMILY.json with "steps" and
"weights" as in training.py, and "eval": what seqeval, scikit-learn or SQuAD's script make of the trained model's predictions
for the validation file, with the first of these. tests/e2e/heads.c and questions.c make the same.

tags       words cut at blanks; the tag of a word is TAGS[(its bytes + its number) mod 5]; at most 16 tokens
marks      mark k of a text: bit k of its bytes
pairs      a text and the one after it; equal where their bytes agree mod 2
questions  a context is six texts in a row; windows of 32 tokens, stride 8. validation is SQuAD 2.0's, some without an answer.
           DIR holds what is asked: utils_qa.py (transformers, examples/pytorch/question-answering), and as squad_v11.py and
           squad_v20.py SQuAD's scripts (evaluate, metrics/squad and metrics/squad_v2, compute_score.py)
"""
import argparse
import csv
import json
import os
import re
import sys

import numpy as np
import torch
from transformers import get_scheduler

import bert
import regression
import training

STEPS, BATCH, RATE, WARMUP, SEED = 10, 8, 1e-3, 0.2, 42
LENGTH = {"tags": 16, "marks": 48, "pairs": 32, "questions": 32}
STRIDE = 8
TAGS = ["O", "B-PER", "I-PER", "B-LOC", "O"]
MARKS = ["credit", "debit", "lost", "slow"]
HEADS = {"tags": ("ForTokenClassification", sorted(set(TAGS)), None),
         "marks": ("ForSequenceClassification", MARKS, "multi_label_classification"),
         "pairs": ("ForSequenceClassification", ["different", "equal"], "single_label_classification"),
         "questions": ("ForQuestionAnswering", ["LABEL_0", "LABEL_1"], None)}


# ---- data sets

def tag_of(word, number): return TAGS[(len(word.encode()) + number) % 5]


def marks_of(text): return [m for k, m in enumerate(MARKS) if len(text.encode()) >> k & 1]


def pairs_of(texts):
    return [(a, b, "equal" if (len(a.encode()) - len(b.encode())) % 2 == 0 else "different") for a, b in zip(texts, texts[1:])]


def squad(texts, impossible):
    paragraphs, number = [], 0
    for p in range(0, len(texts) - 5, 5):
        context, qas = " ".join(texts[p:p + 6]), []
        words = [m.span() for m in re.finditer(r"\S+", context)]
        for k in range(3):
            first = (7 * number + 5 * k) % (len(words) - 3)
            last = first + number % 3
            (a, _), (_, b) = words[first], words[last]
            no = impossible and number % 4 == 1
            answers = [] if no else [{"text": context[a:b], "answer_start": a}]
            if not no and number % 3 == 2:
                c = words[last - 1 if last > first else last][1]
                answers.append({"text": context[a:c], "answer_start": a})
            qas.append({"id": f"q{number}", "question": f" where is {context[slice(*words[first])]} {context[slice(*words[last])]} ?",
                        "answers": answers, **({"is_impossible": no} if impossible else {})})
            number += 1
        paragraphs.append({"context": context, "qas": qas})
    return {"version": "v2.0" if impossible else "1.1", "data": [{"title": "requests", "paragraphs": paragraphs}]}


def write_fixtures(fixture):
    at = lambda name: os.path.join(fixture, name)
    for part in "train", "validation":
        texts = regression.read_texts(fixture, part)
        tagged = [[(w, tag_of(w, i)) for i, w in enumerate(t.split())] for t in texts]
        if part == "train":
            with open(at("tags-train.conll"), "w", encoding="utf-8") as f:
                f.write("-DOCSTART- O\n\n" + "\n".join("".join(f"{w} {t}\n" for w, t in x) for x in tagged))
        else:
            with open(at("tags-validation.jsonl"), "w", encoding="utf-8") as f:
                for x in tagged: f.write(json.dumps({"tokens": [w for w, _ in x], "ner_tags": [t for _, t in x]}) + "\n")
        with open(at(f"marks-{part}.csv"), "w", encoding="utf-8", newline="") as f:
            csv.writer(f, lineterminator="\n").writerows([("text", "label")] + [(t, ";".join(marks_of(t))) for t in texts])
        with open(at(f"pairs-{part}.csv"), "w", encoding="utf-8", newline="") as f:
            csv.writer(f, lineterminator="\n").writerows([("sentence1", "sentence2", "label")] + pairs_of(texts))
        with open(at(f"questions-{part}.json"), "w", encoding="utf-8") as f:
            json.dump(squad(texts, part == "validation"), f, indent=1)


# ---- samples: dicts of ids, type_ids and labels

def read_tags(fixture, part, tokenizer):
    names, samples = HEADS["tags"][1], []
    for t in regression.read_texts(fixture, part):
        e = tokenizer(t.split(), is_split_into_words=True, truncation=True, max_length=LENGTH["tags"])
        words, labels = e.word_ids(), []
        for i, w in enumerate(words):
            labels.append(-100 if w is None or (i and words[i - 1] == w) else names.index(tag_of(t.split()[w], w)))
        samples.append({"ids": e["input_ids"], "types": e["token_type_ids"], "labels": labels})
    return samples


def read_marks(fixture, part, tokenizer):
    samples = []
    for t in regression.read_texts(fixture, part):
        e = tokenizer(t, truncation=True, max_length=LENGTH["marks"])
        samples.append({"ids": e["input_ids"], "types": e["token_type_ids"], "labels": [float(m in marks_of(t)) for m in MARKS]})
    return samples


def read_pairs(fixture, part, tokenizer):
    samples = []
    for a, b, label in pairs_of(regression.read_texts(fixture, part)):
        e = tokenizer(a, b, truncation=True, max_length=LENGTH["pairs"])
        samples.append({"ids": e["input_ids"], "types": e["token_type_ids"], "labels": HEADS["pairs"][1].index(label)})
    return samples


def read_squad(fixture, part):
    with open(os.path.join(fixture, f"questions-{part}.json"), encoding="utf-8") as f: data = json.load(f)["data"]
    return [{"context": p["context"], **q} for a in data for p in a["paragraphs"] for q in p["qas"]]


def read_questions(fixture, part, tokenizer):
    samples = []
    for n, q in enumerate(read_squad(fixture, part)):
        e = tokenizer(q["question"].lstrip(), q["context"], truncation="only_second", max_length=LENGTH["questions"], stride=STRIDE,
                      return_overflowing_tokens=True, return_offsets_mapping=True)
        for w in range(len(e["input_ids"])):
            offsets, of = e["offset_mapping"][w], e.sequence_ids(w)
            start = end = 0
            if q["answers"]:
                a = q["answers"][0]["answer_start"]
                b = a + len(q["answers"][0]["text"])
                inside = [i for i in range(len(of)) if of[i] == 1]
                if offsets[inside[0]][0] <= a and offsets[inside[-1]][1] >= b:
                    start = max(i for i in inside if offsets[i][0] <= a)
                    end = min(i for i in inside if offsets[i][1] >= b)
            samples.append({"ids": e["input_ids"][w], "types": e["token_type_ids"][w], "labels": (start, end), "question": n,
                            "offsets": [o if s == 1 else None for o, s in zip(offsets, of)]})
    return samples


READ = {"tags": read_tags, "marks": read_marks, "pairs": read_pairs, "questions": read_questions}


def collate(rows, head, family):
    longest = max(len(r["ids"]) for r in rows)
    pad = lambda x, by: list(x) + [by] * (longest - len(x))
    said = {"input_ids": torch.tensor([pad(r["ids"], 0) for r in rows]),
            "attention_mask": torch.tensor([pad([1] * len(r["ids"]), 0) for r in rows])}
    if family != "distilbert": said["token_type_ids"] = torch.tensor([pad(r["types"], 0) for r in rows])
    if head == "questions":
        said["start_positions"] = torch.tensor([r["labels"][0] for r in rows])
        said["end_positions"] = torch.tensor([r["labels"][1] for r in rows])
    else: said["labels"] = torch.tensor([pad(r["labels"], -100) if head == "tags" else r["labels"] for r in rows])
    return said


# ---- training, and what the trained model says

def train(fixture, head, family, dtype):
    tokenizer = bert.load_tokenizer(os.path.join(fixture, "model"))
    samples = READ[head](fixture, "train", tokenizer)
    architecture, labels, problem = HEADS[head]
    model = regression.make_model(fixture, family, dtype, architecture, num_labels=len(labels), problem_type=problem).train()
    first = {n: p.detach().double().numpy().copy() for n, p in model.named_parameters()}
    training.DECAY, training.RATE = 0.01, RATE
    optimizer = training.make_optimizer(model)
    schedule = get_scheduler("linear", optimizer, int(np.ceil(STEPS * WARMUP)), STEPS)
    steps, tokens, batches = [], 0, []
    while len(batches) < STEPS: batches += [range(i, min(i + BATCH, len(samples))) for i in range(0, len(samples), BATCH)]
    for numbers in batches[:STEPS]:
        rows = [samples[i] for i in numbers]
        if head == "questions":  # padding would be among the tokens that an answer may begin at
            loss = sum(model(**collate([r], head, family)).loss for r in rows) / len(rows)
        else: loss = model(**collate(rows, head, family)).loss
        loss.backward()
        norm = float(np.sqrt(sum((p.grad.double() ** 2).sum().item() for p in model.parameters())))
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        tokens += sum(len(r["ids"]) for r in rows)
        steps.append({"tokens": tokens, "loss": loss.item(), "grad_norm": norm, "learning_rate": schedule.get_last_lr()[0]})
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    still = {n: (optimizer.state[p]["exp_avg_sq"] == 0).numpy().ravel() for n, p in model.named_parameters()}
    model.eval()
    rows = READ[head](fixture, "validation", tokenizer)
    with torch.no_grad(): out = [model(**collate([r], head, family)) for r in rows]
    said = SAY[head](fixture, rows, out)
    if head == "questions": said["train_file"] = say_train_file(model, fixture, tokenizer, family)
    return steps, first, {n: p.detach().double().numpy() for n, p in model.named_parameters()}, still, said


def say_tags(fixture, rows, out):
    import seqeval.metrics as sq
    names = HEADS["tags"][1]
    wanted = [[names[l] for l in r["labels"] if l >= 0] for r in rows]
    guessed = [[names[g] for g, l in zip(o.logits[0].argmax(-1).tolist(), r["labels"]) if l >= 0] for r, o in zip(rows, out)]
    words = [sum(l >= 0 for l in r["labels"]) for r in rows]
    return {"loss": sum(o.loss.item() * n for o, n in zip(out, words)) / sum(words), "accuracy": sq.accuracy_score(wanted, guessed),
            "f1": sq.f1_score(wanted, guessed), "precision": sq.precision_score(wanted, guessed), "recall": sq.recall_score(wanted, guessed),
            "f1_macro": sq.f1_score(wanted, guessed, average="macro"), "f1_weighted": sq.f1_score(wanted, guessed, average="weighted"),
            "predictions": guessed}


def say_marks(fixture, rows, out):
    from sklearn import metrics as sk
    wanted = np.array([r["labels"] for r in rows])
    logits = np.array([o.logits[0].tolist() for o in out])
    options = lambda average: dict(average=average, zero_division=0)
    guessed = logits > 0
    return {"loss": float(np.mean([o.loss.item() for o in out])), "accuracy": sk.accuracy_score(wanted, guessed),
            "f1": sk.f1_score(wanted, guessed, **options("macro")), "precision": sk.precision_score(wanted, guessed, **options("macro")),
            "recall": sk.recall_score(wanted, guessed, **options("macro")), "f1_micro": sk.f1_score(wanted, guessed, **options("micro")),
            "f1_weighted": sk.f1_score(wanted, guessed, **options("weighted")), "predictions": logits.tolist()}


def say_pairs(fixture, rows, out):
    logits = np.array([o.logits[0].tolist() for o in out])
    wanted = np.array([r["labels"] for r in rows])
    return {"loss": float(np.mean([o.loss.item() for o in out])), "accuracy": float((logits.argmax(-1) == wanted).mean()),
            "predictions": logits.tolist()}


def answers_of(asked, rows, out, negative):
    """What run_qa.py makes of the scores, its n best, and how far no answer lies above the best."""
    import tempfile
    import utils_qa
    examples, scores = asked, ([o.start_logits[0].numpy() for o in out], [o.end_logits[0].numpy() for o in out])
    class Table(list):
        def __getitem__(self, key): return [e[key] for e in self] if isinstance(key, str) else list.__getitem__(self, key)
    features = [{"example_id": asked[r["question"]]["id"], "offset_mapping": r["offsets"]} for r in rows]
    with tempfile.TemporaryDirectory() as folder:
        said = utils_qa.postprocess_qa_predictions(Table(examples), features, scores, version_2_with_negative=negative, output_dir=folder)
        read = lambda name: json.load(open(os.path.join(folder, name), encoding="utf-8"))
        return said, read("nbest_predictions.json"), read("null_odds.json") if negative else None


def say_questions(fixture, rows, out):
    import squad_v20
    asked = read_squad(fixture, "validation")
    said, best, odds = answers_of(asked, rows, out, True)
    data = [{"paragraphs": [{"qas": [{"id": q["id"], "answers": {"text": [a["text"] for a in q["answers"]]}} for q in asked]}]}]
    exact, f1 = squad_v20.get_raw_scores(data, said)
    has = {q["id"]: bool(q["answers"]) for q in asked}
    figures = dict(squad_v20.make_eval_dict(exact, f1))
    for prefix, ids in ("HasAns", [k for k in has if has[k]]), ("NoAns", [k for k in has if not has[k]]):
        squad_v20.merge_eval(figures, squad_v20.make_eval_dict(exact, f1, qid_list=ids), prefix)
    squad_v20.find_all_best_thresh(figures, said, exact, f1, odds, has)
    figures = {k: v for k, v in figures.items() if "total" not in k and "thresh" not in k}
    return {"loss": float(np.mean([o.loss.item() for o in out])), **figures, "predictions": said, "best": best, "odds": odds}


def say_train_file(model, fixture, tokenizer, family):
    """SQuAD 1.1's figures, of the file without unanswerable questions."""
    import squad_v11
    asked, rows = read_squad(fixture, "train"), read_questions(fixture, "train", tokenizer)
    with torch.no_grad(): out = [model(**collate([r], "questions", family)) for r in rows]
    said, _, _ = answers_of(asked, rows, out, False)
    return {"loss": float(np.mean([o.loss.item() for o in out])), **squad_v11.compute_score([{"paragraphs": [{"qas": asked}]}], said),
            "predictions": said}


SAY = {"questions": say_questions, "tags": say_tags, "marks": say_marks, "pairs": say_pairs}


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("head", choices=["fixtures", *HEADS])
    p.add_argument("--family", choices=regression.FAMILIES, default="bert")
    p.add_argument("--fixture", default="tests/data/e2e")
    p.add_argument("--out", default="tests/data/golden")
    p.add_argument("--scripts", default=".")
    p.add_argument("--compare", action="store_true")
    a = p.parse_args()
    sys.path.append(a.scripts)
    torch.set_num_threads(1)
    if a.head == "fixtures": return write_fixtures(a.fixture)
    steps, first, last, still, said = train(a.fixture, a.head, a.family, torch.float32)
    bert.write_json(os.path.join(a.out, f"{a.head}-{a.family}.json"), {
        "made_by": "scripts/golden/heads.py", "versions": bert.versions(),
        "settings": {"steps": STEPS, "batch": BATCH, "learning_rate": RATE, "warmup_ratio": WARMUP, "weight_decay": 0.01,
                     "max_grad_norm": 1.0, "max_seq_length": LENGTH[a.head]},
        "steps": steps, "weights": training.digest(first, last, still), "eval": said})
    if not a.compare: return
    steps2, _, last2, _, said2 = train(a.fixture, a.head, a.family, torch.float64)
    print("golden beside float64: loss %.3g, gradient norm %.3g (relative), loss of evaluation %.3g, weights %.3g" % (
        max(abs(x["loss"] / y["loss"] - 1) for x, y in zip(steps, steps2)),
        max(abs(x["grad_norm"] / y["grad_norm"] - 1) for x, y in zip(steps, steps2)), abs(said["loss"] / said2["loss"] - 1),
        max(np.abs(last[n] - last2[n]).max() for n in last if not re.search(r"\.(key|k_lin)\.bias$|qa_outputs\.bias$|layer\.1\.output(\.LayerNorm|_layer_norm)\.bias$", n))))


if __name__ == "__main__":
    main()
