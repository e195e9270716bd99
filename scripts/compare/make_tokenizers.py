#!/usr/bin/env python3
"""make_tokenizers.py - tokenizers of all kinds for scripts/compare/tokenizer.py: GPT-2 and RoBERTa from OpenAI's files, and
stand-ins for what cannot be had (T5, XLM-RoBERTa, Llama, molecules), trained on the test data by the `tokenizers` library.
usage: make_tokenizers.py DATA OUT [CHARSMAP]     (CHARSMAP: nmt_nfkc.bin, as the sentencepiece package carries it)
"""
import gzip
import json
import os
import shutil
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

data, out = sys.argv[1:3]
SMILES = r"(\[[^\]]+]|Br?|Cl?|N|O|S|P|F|I|b|c|n|o|s|p|\(|\)|\.|=|#|-|\+|\\|\/|:|~|@|\?|>>?|\*|\$|\%[0-9]{2}|[0-9])"
BYTES = ["<0x%02X>" % i for i in range(256)]


def save(name, t, config=None):
    os.makedirs(f"{out}/{name}", exist_ok=True)
    t.save(f"{out}/{name}/tokenizer.json", pretty=False)
    if config:
        with open(f"{out}/{name}/tokenizer_config.json", "w") as f:
            json.dump(config, f)


def lines():
    for name in ("alice", "sherlock-holmes", "time-machine"):
        yield from gzip.open(f"{data}/gutenberg/{name}.txt.gz", "rt", encoding="utf-8").read().split("\n")
    for row in gzip.open(f"{data}/unicode/udhr2.jsonl.gz", "rt", encoding="utf-8"):
        yield from json.loads(row)["text"].split("\n")


vocab = json.load(open(data + "/tokenizer/gpt2-encoder.json"))
merges = [tuple(x.split(" ")) for x in open(data + "/tokenizer/gpt2-vocab.bpe", encoding="utf-8").read().split("\n")[1:] if x]


def gpt2(prefix, extra=0):
    names = dict(vocab, **{x: len(vocab) + i for i, x in enumerate(["<s>", "</s>", "<pad>", "<unk>", "<mask>"][:extra])})
    t = Tokenizer(models.BPE(names, merges))
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    t.decoder = decoders.ByteLevel()
    return t


t = gpt2(False)
t.add_special_tokens(["<|endoftext|>"])
t.post_processor = processors.ByteLevel(trim_offsets=False)
save("gpt2", t, {"tokenizer_class": "GPT2Tokenizer"})
for name, files in (("gpt2-merges", t),):
    os.makedirs(f"{out}/{name}", exist_ok=True)
    shutil.copy(data + "/tokenizer/gpt2-encoder.json", f"{out}/{name}/vocab.json")
    shutil.copy(data + "/tokenizer/gpt2-vocab.bpe", f"{out}/{name}/merges.txt")
t = gpt2(True)
t.post_processor = processors.ByteLevel(trim_offsets=True, add_prefix_space=True)
t.add_tokens([AddedToken("<ent>"), AddedToken(" x ", normalized=False), AddedToken("LEFT", lstrip=True)])
save("gpt2-prefix", t)
t = gpt2(False)
t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
t.normalizer = normalizers.NFC()
t.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=True, add_prefix_space=False), processors.TemplateProcessing(single="<|endoftext|> $A", pair="<|endoftext|> $A <|endoftext|> $B:1", special_tokens=[("<|endoftext|>", 50256)])])
save("gpt2-split", t)
t = gpt2(False, 5)
t.add_special_tokens(["<s>", "</s>", "<pad>", "<unk>", AddedToken("<mask>", lstrip=True)])
t.post_processor = processors.RobertaProcessing(("</s>", 50258), ("<s>", 50257), trim_offsets=True, add_prefix_space=False)
save("roberta", t, {"tokenizer_class": "RobertaTokenizer", "mask_token": {"content": "<mask>", "lstrip": True, "rstrip": False, "single_word": False, "normalized": False, "__type": "AddedToken"}})
# The same with every word whole that is a token.
t = gpt2(False)
t.model = models.BPE(vocab, merges, ignore_merges=True)
save("gpt2-whole", t)

charsmap = normalizers.Precompiled(open(sys.argv[3], "rb").read()) if len(sys.argv) > 3 else normalizers.NFKC()
t = Tokenizer(models.Unigram())
t.normalizer = normalizers.Sequence([charsmap, normalizers.Replace(Regex(" {2,}"), " ")])
t.pre_tokenizer = pre_tokenizers.Metaspace()
t.decoder = decoders.Metaspace()
t.train_from_iterator(lines(), trainers.UnigramTrainer(vocab_size=8000, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False))
unigram = json.loads(t.to_str())["model"]["vocab"]
t.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
t.add_special_tokens([AddedToken("<extra_id_0>", lstrip=True, rstrip=True)])
save("t5", t)
t.normalizer = charsmap
t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")])
t.post_processor = processors.TemplateProcessing(single="<pad> $A </s>", pair="<pad> $A </s> </s> $B </s>", special_tokens=[("<pad>", 0), ("</s>", 1)])
save("xlm-roberta", t)
b = Tokenizer(models.Unigram([tuple(x) for x in unigram] + [(x, -20.0) for x in BYTES], unk_id=2, byte_fallback=True))
b.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase(), normalizers.Strip(), normalizers.Prepend("x ")])
b.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
b.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="first"), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
b.add_tokens(["<ent>", AddedToken("naïve", single_word=True)])
save("unigram-bytes", b)
for name, steps in (("unigram-nfd", [normalizers.NFD(), normalizers.StripAccents(), normalizers.Nmt()]), ("unigram-nfkd", [normalizers.Nmt(), normalizers.NFKD(), normalizers.Replace("``", '"')]),
                    ("unigram-bert", [normalizers.BertNormalizer(), normalizers.NFC(), normalizers.Strip(left=False)])):
    b = Tokenizer(models.Unigram([tuple(x) for x in unigram], unk_id=2))
    b.normalizer = normalizers.Sequence(steps)
    b.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    b.decoder = decoders.Metaspace(prepend_scheme="never")
    save(name, b)

# Llama's way: characters, blanks written as U+2581, unknown ones as bytes.
t = Tokenizer(models.BPE(unk_token="<unk>"))
t.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
t.pre_tokenizer = pre_tokenizers.Split(Regex("(?=\u2581)"), "isolated") # words, for training only
t.train_from_iterator(lines(), trainers.BpeTrainer(vocab_size=4000, special_tokens=["<unk>", *BYTES], limit_alphabet=300, show_progress=False))
model = json.loads(t.to_str())["model"]
for name, fallback, fuse in (("llama", True, True), ("bpe-unknown", False, False), ("bpe-fused", False, True)):
    b = Tokenizer(models.BPE(model["vocab"], [tuple(x) for x in model["merges"]], unk_token="<unk>", byte_fallback=fallback, fuse_unk=fuse))
    b.normalizer = t.normalizer
    b.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    save(name, b)

t = Tokenizer(models.WordLevel(unk_token="[UNK]"))
t.pre_tokenizer = pre_tokenizers.Split(Regex(SMILES), "isolated")
t.decoder = decoders.Fuse()
molecules = [line.split(",")[-1] for line in open(data + "/molecules/BBBP.csv", encoding="utf-8").read().split("\n")[1:]]
t.train_from_iterator(molecules, trainers.WordLevelTrainer(special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False))
save("molecules", t)
