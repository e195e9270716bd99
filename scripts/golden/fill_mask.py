"""The words that transformers' fill-mask pipeline puts behind masks, of tiny models by formula.

    fill_mask.py [--fixture tests/data/e2e] [--out tests/data/golden]

Models as in mlm.py. Written: fill-mask-FAMILY.json, "rows": for each text of TEXTS what the pipeline says (top 5): token, id,
score, sequence. tests/e2e/fill_mask.c makes the same models.
"""
import argparse
import os

import torch
from transformers import pipeline

import bert
import regression

TEXTS = ["my [MASK] has not come yet", "[MASK] is my bill so high", "i forgot my [MASK]!", "the [MASK] was [MASK] and i want my [MASK] back",
         "thank you for the quick [MASK], it was great", "[MASK]"]


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--fixture", default="tests/data/e2e")
    p.add_argument("--out", default="tests/data/golden")
    a = p.parse_args()
    torch.set_num_threads(1)
    tokenizer = bert.load_tokenizer(os.path.join(a.fixture, "model"))
    for family in ("bert", "distilbert"):
        model = regression.make_model(a.fixture, family, torch.float32, "ForMaskedLM").eval()
        fill = pipeline("fill-mask", model=model, tokenizer=tokenizer, device="cpu", tokenizer_kwargs={"return_token_type_ids": family == "bert"})
        rows = []
        for text in TEXTS:
            said = fill(text, top_k=5)
            said = said if isinstance(said[0], list) else [said]
            rows.append({"text": text, "masks": [[{"token": x["token_str"], "id": x["token"], "score": float(f"{x['score']:.9g}"),
                                                   "sequence": x["sequence"]} for x in mask] for mask in said]})
        bert.write_json(os.path.join(a.out, f"fill-mask-{family}.json"), {
            "made_by": "scripts/golden/fill_mask.py", "versions": bert.versions(), "rows": rows})


if __name__ == "__main__":
    main()
