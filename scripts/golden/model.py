#!/usr/bin/env python3
"""What transformers says about model folders.

  model.py fixtures TESTS_DATA      write TESTS_DATA/model: a small vocabulary and the tokenizer.json that transformers makes
                                    of it, with and without settings
  model.py loads FOLDER...          load each folder as a user would; fail on any warning, on any tensor that is missing,
                                    new or left over, and on a value in the folder that is not what the model then has
"""
import json
import logging
import os
import shutil
import sys
import tempfile
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "warning")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import transformers  # noqa: E402
from safetensors import safe_open  # noqa: E402
from transformers import AutoConfig, AutoTokenizer  # noqa: E402

WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] the card ##s has not arrived my . , é 中 \"q\" </s> back\\slash a".split()
SETTINGS = {
    "plain": None,
    "cased": {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": False,
        "strip_accents": False,
        "tokenize_chinese_chars": False,
        "model_max_length": 64,
        "unk_token": "[UNK]",
        "sep_token": "[SEP]",
        "pad_token": "[PAD]",
        "cls_token": "[CLS]",
        "mask_token": "[MASK]",
    },
}


def write_fixtures(folder):
    folder = os.path.join(folder, "model")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "vocab.txt"), "w", encoding="utf-8") as f:
        f.write("\n".join(WORDS) + "\n")
    for name, settings in SETTINGS.items():
        with tempfile.TemporaryDirectory() as source:
            shutil.copy(os.path.join(folder, "vocab.txt"), source)
            with open(os.path.join(source, "config.json"), "w") as f:
                json.dump({"model_type": "bert"}, f)
            if settings:
                for place in (source, folder):
                    with open(os.path.join(place, f"tokenizer_config.json" if place == source else f"tokenizer_config-{name}.json"), "w") as f:
                        json.dump(settings, f)
            tokenizer = AutoTokenizer.from_pretrained(source)
            with tempfile.TemporaryDirectory() as to:
                tokenizer.save_pretrained(to)
                shutil.copy(os.path.join(to, "tokenizer.json"), os.path.join(folder, f"tokenizer-{name}.json"))


class Complaints(logging.Handler):
    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def load(folder):
    """Complaints of transformers about a folder."""
    heard = Complaints()
    logger = logging.getLogger("transformers")
    logger.addHandler(heard)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        config = AutoConfig.from_pretrained(folder)
        architecture = getattr(transformers, config.architectures[0])
        model, info = architecture.from_pretrained(folder, output_loading_info=True)
        if os.path.exists(os.path.join(folder, "tokenizer.json")):
            tokenizer = AutoTokenizer.from_pretrained(folder)
            model.eval()(**tokenizer(["the card has not arrived", "my"], padding=True, return_tensors="pt"))
    logger.removeHandler(heard)
    complaints = heard.lines + [str(w.message) for w in caught]
    for key in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        if info.get(key):
            complaints.append(f"{key}: {sorted(info[key])[:3]}")
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
        said = json.load(f)
    labels = {int(k): v for k, v in said.get("id2label", {}).items()}
    if labels and (config.id2label != labels or config.num_labels != len(labels)):
        complaints.append("id2label is read otherwise than written")
    state = model.state_dict()
    with safe_open(os.path.join(folder, "model.safetensors"), "pt") as f:
        if (f.metadata() or {}).get("format") != "pt":
            complaints.append("no format: pt")
        for name in f.keys():
            if name not in state or not (state[name] == f.get_tensor(name)).all():
                complaints.append(f"{name} is not what the model has")
    return complaints


def main():
    if len(sys.argv) < 3 or sys.argv[1] not in ("fixtures", "loads"):
        sys.exit(__doc__)
    if sys.argv[1] == "fixtures":
        write_fixtures(sys.argv[2])
        return
    failed = 0
    for folder in sys.argv[2:]:
        complaints = load(folder)
        failed += bool(complaints)
        print(f"{'FAIL' if complaints else 'ok  '} {os.path.basename(os.path.normpath(folder))}", *complaints, sep="\n     ")
    print(f"transformers {transformers.__version__}: {len(sys.argv) - 2 - failed} load without a word, {failed} do not")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
