"""The words that transformers' fill-mask pipeline puts behind masks, of tiny models by formula.

    fill_mask.py [--fixture tests/data/e2e] [--roberta tests/data/tokenizer/roberta] [--out tests/data/golden]

Models as in mlm.py; that of RoBERTa has the byte-level BPE of --roberta, its vocabulary and its pad. Written: fill-mask-FAMILY.json,
"rows": for each text of TEXTS what the pipeline says (top 5): token, id, score, sequence. tests/e2e/fill_mask.c makes the same
models.
"""
import argparse
import os

import torch
import transformers
from transformers import pipeline

import bert
import regression

TEXTS = ["my [MASK] has not come yet", "[MASK] is my bill so high", "i forgot my [MASK]!", "the [MASK] was [MASK] and i want my [MASK] back",
         "thank you for the quick [MASK], it was great", "[MASK]"]
# The mask takes the blank before it, and words begin with theirs; bytes that are no text yet are U+FFFD.
BYTES = TEXTS + ["the[MASK] was [MASK]ed", "Wie groß ist die  [MASK]? 5 €", "[MASK][MASK] 東京"]


def load_roberta(folder):
    return transformers.PreTrainedTokenizerFast(
        tokenizer_file=os.path.join(folder, "tokenizer.json"), bos_token="<s>", cls_token="<s>", eos_token="</s>", sep_token="</s>",
        unk_token="<unk>", pad_token="<pad>", mask_token=transformers.AddedToken("<mask>", lstrip=True))


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--fixture", default="tests/data/e2e")
    p.add_argument("--roberta", default="tests/data/tokenizer/roberta")
    p.add_argument("--out", default="tests/data/golden")
    a = p.parse_args()
    torch.set_num_threads(1)
    pieces, of_bytes = bert.load_tokenizer(os.path.join(a.fixture, "model")), load_roberta(a.roberta)
    for family in ("bert", "distilbert", "roberta"):
        is_roberta = family == "roberta"
        tokenizer = of_bytes if is_roberta else pieces
        more = {"vocab_size": len(of_bytes), "pad_token_id": of_bytes.pad_token_id} if is_roberta else {}
        model = regression.make_model(a.fixture, family, torch.float32, "ForMaskedLM", **more).eval()
        fill = pipeline("fill-mask", model=model, tokenizer=tokenizer, device="cpu", tokenizer_kwargs={"return_token_type_ids": family == "bert"})
        rows = []
        for text in [t.replace("[MASK]", tokenizer.mask_token) for t in (BYTES if is_roberta else TEXTS)]:
            said = fill(text, top_k=5)
            said = said if isinstance(said[0], list) else [said]
            rows.append({"text": text, "masks": [[{"token": x["token_str"], "id": x["token"], "score": float(f"{x['score']:.9g}"),
                                                   "sequence": x["sequence"]} for x in mask] for mask in said]})
        bert.write_json(os.path.join(a.out, f"fill-mask-{family}.json"), {
            "made_by": "scripts/golden/fill_mask.py", "versions": bert.versions(), "rows": rows})


if __name__ == "__main__":
    main()
