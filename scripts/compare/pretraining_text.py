"""Books and articles as text to pre-train on: a paragraph a line, an empty line between documents.

    pretraining_text.py DATA OUT        DATA/gutenberg/*.txt.gz and DATA/wikitext-2/*.txt into OUT/train.txt and OUT/validation.txt

Gutenberg's lines are joined to paragraphs; a chapter (two empty lines, or 40 paragraphs) is a document. WikiText's documents are
the sections of articles; its "<unk>" becomes [UNK], which is never hidden, and " @-@ " what it stands for. Every 20th document is
held out for validation. `split_sentences: true` does the rest.
"""
import argparse
import glob
import gzip
import os
import re

LONGEST = 40  # paragraphs


def chapters(path):
    with gzip.open(path, "rt", encoding="utf-8-sig") as f: text = f.read().replace("\r", "")
    text = re.split(r"\*\*\* ?END OF", re.split(r"\*\*\* ?START OF.*\n", text)[-1])[0]
    for part in re.split(r"\n\s*\n\s*\n", text):
        lines = [" ".join(p.replace("_", "").split()) for p in re.split(r"\n\s*\n", part)]
        lines = [x for x in lines if x]
        for i in range(0, len(lines), LONGEST): yield lines[i:i + LONGEST]


def sections(path):
    lines = []
    with open(path, encoding="utf-8") as f:
        for line in f:
            line = re.sub(r" @(.)@ ", r"\1", line.replace("<unk>", "[UNK]")).strip()
            if line and not line.startswith("= "): lines.append(line)
            elif lines:
                yield lines
                lines = []
    if lines: yield lines


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("data")
    p.add_argument("out")
    a = p.parse_args()
    documents = [d for f in sorted(glob.glob(os.path.join(a.data, "gutenberg", "*.txt.gz"))) for d in chapters(f)]
    documents += [d for f in sorted(glob.glob(os.path.join(a.data, "wikitext-2", "*.txt"))) for d in sections(f)]
    documents = [d for d in documents if sum(map(len, d)) >= 200]
    os.makedirs(a.out, exist_ok=True)
    for name, held in (("train", False), ("validation", True)):
        chosen = [d for i, d in enumerate(documents) if (i % 20 == 19) == held]
        with open(os.path.join(a.out, name + ".txt"), "w", encoding="utf-8") as f:
            f.write("\n\n".join("\n".join(d) for d in chosen) + "\n")
        print(f"{name}: {len(chosen)} documents, {sum(map(len, chosen))} paragraphs")


if __name__ == "__main__":
    main()
