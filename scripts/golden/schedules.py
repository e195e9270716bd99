"""Learning rates of transformers' get_scheduler, step by step.

    schedules.py [--out tests/data/golden]

Written: schedules.json. A case has name, kind (lr_scheduler_type), warmup, total, the settings, and "rates": the rate
used in step 0, 1, ... total + 2 (a few steps beyond the end). "ratios" are rows [total, ratio, warm-up steps], rounded up
as TrainingArguments.get_warmup_steps does. tests/train/schedule.c compares.
"""
import argparse
import json
import math
import os

import torch
import transformers

TOTAL, RATE = 37, 5e-4
WARMUPS = (0, 1, 4, 10, 36)
CASES = [("linear", {}), ("constant", {}), ("constant_with_warmup", {}), ("cosine", {}),
         ("cosine", {"num_cycles": 2.0}), ("cosine", {"num_cycles": 1.25}), ("polynomial", {}),
         ("polynomial", {"power": 2.0, "lr_end": 1e-5}), ("polynomial", {"power": 0.5, "lr_end": 0.0}),
         ("inverse_sqrt", {}), ("inverse_sqrt", {"timescale": 20})]
# What transformers takes where nothing is said; timescale 0: the warm-up, or 10,000.
DEFAULTS = {"lr_end": 1e-7, "power": 1.0, "num_cycles": 0.5, "timescale": 0}


def rates(kind, warmup, settings):
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=RATE)
    schedule = transformers.get_scheduler(kind, optimizer, warmup, TOTAL, scheduler_specific_kwargs=settings or None)
    out = []
    for _ in range(TOTAL + 3):
        out.append(float(schedule.get_last_lr()[0]))
        optimizer.step()
        schedule.step()
    return out


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--out", default="tests/data/golden")
    a = p.parse_args()
    cases = []
    for kind, settings in CASES:
        for warmup in WARMUPS:
            words = "".join(f", {k} {v}" for k, v in settings.items())
            cases.append({"name": f"{kind}, warm-up {warmup}{words}", "kind": kind, "warmup": warmup, "total": TOTAL,
                          "rate": RATE, **{**DEFAULTS, **settings}, "rates": rates(kind, warmup, settings)})
    ratios = [[total, ratio, math.ceil(total * ratio)]
              for total in (1, 7, 30, 37, 70, 100, 1565) for ratio in (0.01, 0.05, 0.06, 0.1, 0.15, 0.2, 0.3, 0.5)]
    path = os.path.join(a.out, "schedules.json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"made_by": "scripts/golden/schedules.py",
                   "versions": {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__},
                   "cases": cases, "ratios": ratios}, f, separators=(",", ":"))
        f.write("\n")
    print(f"{path}: {len(cases)} cases")


if __name__ == "__main__":
    main()
