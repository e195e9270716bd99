"""What transformers writes behind 50 prompts with a tiny GPT-2, token by token, and what its logits processors leave.

    generate.py [--fixture tests/data/generate] [--out tests/data/golden]

Nothing is downloaded. Written into the fixture: the model (2 layers, width 32, 2 heads, 64 positions, random weights, stored
as bf16, which fp32 holds exactly) and a byte-level BPE trained on the prompts below. Into golden: generate.json with
  prompts   texts and their ids
  runs      of each list of settings, the ids behind every prompt, each prompt alone, fp32; finish: eos or length;
            beams: the scores of what is returned too. Beams that are drawn: torch.multinomial is replaced by draws one behind
            the other by hone's numbers (host/train/sample.h, host/base/rng.c and hash.c, written down here again)
  warped    logits by a formula through repetition penalty, temperature, top-k, top-p, in transformers' order: which ids are
            left, and their values
tests/e2e/generate.c and tests/train/sample.c compare.
"""
import argparse
import json
import os

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, LogitsProcessorList
from transformers.generation.logits_process import (RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper,
                                                    TopKLogitsWarper, TopPLogitsWarper)

import mlm

VOCAB, WIDTH, LAYERS, HEADS, POSITIONS, NEW = 320, 32, 2, 2, 64, 24
SEED, RNG_GENERATE = 42, 9
END = "<|endoftext|>"
PROMPTS = """The ferry left before the rain began
She counted the lamps along the harbour wall
Once, in a town of nine bridges,
My grandmother kept her letters in a blue tin
What would you ask the last whale?
It was not the storm that woke him
The recipe calls for two eggs and patience
Nobody at the station had seen the clock stop
Rain
A fox, a lantern and an unpaid bill
If the door is open, walk in; if it is shut, knock
There are seven words for snow in this valley
"Come closer," said the radio
The orchard belonged to no one
When the tide went out, the road appeared
He wrote her name in the dust of the car
Section 4. The tenant shall water the fig tree
On Monday the river ran backwards
Grey geese over a grey lake
The museum of lost keys opens at ten
I have never liked the third stair
Every map he drew had one wrong turn
The baker's son learned to whistle in the dark
Two moons, one shadow
Please return the umbrella to the lost property office
The choir sang until the windows sang back
In the year of the long drought
A letter came, addressed to the house itself
They say the well remembers
The night train to the coast was full of violins
Salt, bread, a candle: that was all she packed
Dear editor,
The snow fell upwards for an hour
No one told the gardener about the war
The cat sat between the two kings
Under the bridge, three coins and a poem
His shadow arrived a minute before him
The lighthouse keeper's daughter could not swim
Begin with the smallest bell
The mountain has moved again
She sold maps of places that burned
The parrot knew the password
At noon the statues changed places
The last bus goes to the sea
A door in the wheat
We buried the piano in spring
The dog barked at the year 1900
Whoever finds this, be kind
Ich weiß, dass der Fluß träumt – €5
Zwölf Stühle, ein Hund und 東京""".split("\n")

SETTINGS = [
    {"name": "greedy"},
    {"name": "penalised", "repetition_penalty": 1.3, "min_new_tokens": 8},
    {"name": "beams", "num_beams": 4},
    {"name": "beams_early", "num_beams": 3, "early_stopping": True, "length_penalty": 0.5, "num_return_sequences": 3},
    {"name": "beams_never", "num_beams": 3, "early_stopping": "never", "length_penalty": 2.0, "num_return_sequences": 2},
    {"name": "beams_penalised", "num_beams": 2, "repetition_penalty": 1.2, "length_penalty": -1.0, "min_new_tokens": 4},
    {"name": "beams_drawn", "num_beams": 3, "do_sample": True, "temperature": 0.8, "top_k": 20, "num_return_sequences": 2},
    {"name": "beams_drawn_short", "num_beams": 2, "do_sample": True, "top_k": 1, "early_stopping": True},
    {"name": "beams_drawn_wide", "num_beams": 3, "do_sample": True, "top_k": 12, "repetition_penalty": 1.2,
     "early_stopping": "never", "length_penalty": 0.0, "min_new_tokens": 3},
]


def make_tokenizer(fixture):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCAB, special_tokens=[END], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                  show_progress=False)
    t.train_from_iterator(PROMPTS, trainer)
    assert t.get_vocab_size() == VOCAB
    t.save(os.path.join(fixture, "tokenizer.json"), pretty=False)
    write(os.path.join(fixture, "tokenizer_config.json"), {
        "bos_token": END, "eos_token": END, "unk_token": END, "model_max_length": POSITIONS, "tokenizer_class": "GPT2Tokenizer"})
    return t


def write(path, tree):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(tree, f, indent=1, ensure_ascii=False)
        f.write("\n")


def make_model(fixture, end):
    config = GPT2Config(vocab_size=VOCAB, n_positions=POSITIONS, n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS, bos_token_id=end,
                        eos_token_id=end, attn_implementation="eager")
    model = GPT2LMHeadModel(config).eval()
    random = np.random.default_rng(7)
    state = {}
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            x = random.standard_normal(tuple(p.shape))
            x = 1 + 0.2 * x if "ln_" in name and name.endswith("weight") else x * (0.35 if p.dim() > 1 else 0.1)
            if name.endswith("wte.weight"): x[end] *= 1.6  # so that some texts end
            state[name] = torch.from_numpy(x).to(torch.bfloat16)
            p.copy_(state[name].float())
    save_file(state, os.path.join(fixture, "model.safetensors"), metadata={"format": "pt"})
    write(os.path.join(fixture, "config.json"), {
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "vocab_size": VOCAB, "n_positions": POSITIONS, "n_embd": WIDTH,
        "n_layer": LAYERS, "n_head": HEADS, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "resid_pdrop": 0.1,
        "embd_pdrop": 0.1, "attn_pdrop": 0.1, "bos_token_id": end, "eos_token_id": end})
    write(os.path.join(fixture, "generation_config.json"), {"bos_token_id": end, "eos_token_id": end})
    return model


def hash64(data):
    def mix(a, b): return (a * b & 2**64 - 1) ^ (a * b >> 64)

    def number(b):
        if len(b) >= 4: return int.from_bytes(b[-4:], "little") << 32 | int.from_bytes(b[:4], "little")
        return b[0] << 16 | b[len(b) // 2] << 8 | b[-1] if b else 0

    k = [0xa0761d6478bd642f, 0xe7037ed1a0b428db, 0x8ebc6af09c88c6e3]
    h, tail = mix(k[0], k[1]), data
    while len(tail) > 16:
        a, b, tail = int.from_bytes(tail[:8], "little"), int.from_bytes(tail[8:16], "little"), tail[16:]
        h = mix(a ^ k[1], b ^ h)
    a = int.from_bytes(tail[:8], "little") if len(tail) > 8 else number(tail)
    b = int.from_bytes(tail[-8:], "little") if len(tail) > 8 else 0
    return mix(k[2] ^ len(data), mix(a ^ k[1], b ^ h))


def uniform(a, b):
    out = mlm.philox([a & 0xFFFFFFFF, a >> 32, b & 0xFFFFFFFF, b >> 32 | RNG_GENERATE << 16], [SEED, 0])
    return ((out[1] << 32 | out[0]) >> 11) * 2.0**-53


class Draws:
    """torch.multinomial of one prompt, step by step: without replacement, each by what the draws before it left."""
    nearest = 1.0  # of any number to where the token would be another one: what rounding must not reach

    def __init__(self, ids): self.key, self.step = hash64(np.array(ids, dtype="<i4").tobytes()), 0

    def __call__(self, probabilities, num_samples):
        p, drawn = probabilities[0].double().numpy().copy(), []
        for k in range(num_samples):
            left, u = p.cumsum(), uniform(self.key, k << 20 | self.step)
            if left[-1] > 0:
                at = int(np.searchsorted(left, u * left[-1], side="right"))
                Draws.nearest = min(Draws.nearest, np.abs(left[:-1][p[1:] > 0] / left[-1] - u).min(initial=1))
            else: at = next(i for i in self.likeliest if i not in drawn)
            drawn.append(at)
            p[at] = 0
        self.step += 1
        return torch.tensor([drawn])


    def softmax(self, x, dim):
        """What has no probability at all is taken last, by its sum (torch leaves it open)."""
        if x.dim() == 2: self.likeliest = torch.sort(x[0], descending=True, stable=True).indices.tolist()
        return SOFTMAX(x, dim=dim)


SOFTMAX, MULTINOMIAL = torch.nn.functional.softmax, torch.multinomial


def run(model, ids, settings, end):
    x = torch.tensor([ids])
    more = {"do_sample": False, **{k: v for k, v in settings.items() if k != "name"}}
    if more["do_sample"]:
        torch.multinomial = Draws(ids)
        torch.nn.functional.softmax = torch.multinomial.softmax
    with torch.no_grad():
        out = model.generate(x, attention_mask=torch.ones_like(x), max_new_tokens=NEW, pad_token_id=end,
                             return_dict_in_generate=True, output_scores=True, **more)
    torch.multinomial, torch.nn.functional.softmax = MULTINOMIAL, SOFTMAX
    texts = []
    for i, row in enumerate(out.sequences.tolist()):
        row = row[len(ids):]
        if end in row: row = row[:row.index(end) + 1]
        texts.append({"ids": row, "finish": "eos" if row[-1] == end else "length"})
        if "num_beams" in more: texts[-1]["score"] = float(f"{out.sequences_scores[i].item():.9g}")
    return texts


def warped():
    cases = []
    for c in range(24):
        i = np.arange(100, dtype=np.uint64)
        u = ((i * np.uint64(2654435761) + np.uint64(c * 40503 + 12345)) % np.uint64(2**32)).astype(np.float64) / 2.0**32
        x = torch.from_numpy(((u - 0.4) * 8).astype(np.float32))[None]
        case = {"ids": [(c * 7 + k * 13) % 100 for k in range(6)], "repetition_penalty": [1.0, 1.2, 0.7][c % 3],
                "temperature": [1.0, 0.6, 1.7][c // 3 % 3], "top_k": [0, 50, 5, 1][c % 4], "top_p": [1.0, 0.9, 0.3][c // 8]}
        all = LogitsProcessorList()
        if case["repetition_penalty"] != 1: all.append(RepetitionPenaltyLogitsProcessor(case["repetition_penalty"]))
        if case["temperature"] != 1: all.append(TemperatureLogitsWarper(case["temperature"]))
        if case["top_k"]: all.append(TopKLogitsWarper(case["top_k"]))
        if case["top_p"] < 1: all.append(TopPLogitsWarper(case["top_p"]))
        y = all(torch.tensor([case["ids"]]), x)[0]
        left = torch.nonzero(torch.isfinite(y)).ravel().tolist()
        cases.append({**case, "left": left, "values": [float(f"{y[k].item():.9g}") for k in left]})
    return cases


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--fixture", default="tests/data/generate")
    p.add_argument("--out", default="tests/data/golden")
    a = p.parse_args()
    torch.set_num_threads(1)
    os.makedirs(a.fixture, exist_ok=True)
    tokenizer = make_tokenizer(a.fixture)
    end = tokenizer.token_to_id(END)
    model = make_model(a.fixture, end)
    prompts = [tokenizer.encode(t).ids for t in PROMPTS]
    runs = []
    for settings in SETTINGS:
        rows = [run(model, ids, settings, end) for ids in prompts]
        all = [t for r in rows for t in r]
        if settings.get("do_sample"): print(f"{settings['name']}: a number is {Draws.nearest:.1e} from drawing another token")
        Draws.nearest = 1.0
        print(f"{settings['name']:16} {len(all)} texts, {sum(t['finish'] == 'eos' for t in all)} ended by {END}, "
              f"{len({tuple(t['ids']) for t in all})} unlike, {len({i for t in all for i in t['ids']})} ids")
        runs.append({**settings, "texts": rows})
    path = os.path.join(a.out, "generate.json")
    with open(path, "w", encoding="utf-8") as f:
        f.write(json.dumps({"made_by": "scripts/golden/generate.py", "versions": {"torch": torch.__version__,
                            "transformers": transformers.__version__}, "max_new_tokens": NEW,
                            "prompts": [{"text": t, "ids": i} for t, i in zip(PROMPTS, prompts)]}, ensure_ascii=False)[:-1])
        f.write(',\n"runs":[\n' + ",\n".join(json.dumps(r) for r in runs) + '],\n"warped":[\n' +
                ",\n".join(json.dumps(c) for c in warped()) + "]}\n")
    print(f"longest prompt {max(map(len, prompts))} tokens, {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    main()
