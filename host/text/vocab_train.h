/* vocab_train.h - from text files to a folder with a tokenizer that hone, `tokenizers` and transformers load, and that
 * encodes the same in all of them. The same files and options give the same bytes, whatever the number of threads. */
#ifndef TEXT_VOCAB_TRAIN_H
#define TEXT_VOCAB_TRAIN_H
#include "base/host.h"

typedef enum {
    VOCAB_WORDPIECE, /* BERT: BertNormalizer, words, pieces with "##" */
    VOCAB_GPT2,      /* byte-level BPE; <|endoftext|> */
    VOCAB_ROBERTA,   /* byte-level BPE; <s> </s> around a text */
    VOCAB_UNIGRAM, /* SentencePiece's way: NFKC, blanks written as U+2581, pieces with probabilities; </s> behind a text */
    VOCAB_MOLECULES, /* SMILES: an atom, bond, ring or branch is a token */
    VOCAB_CHARACTERS /* a character is a token */
} vocab_kind;

typedef struct {
    vocab_kind kind;
    const char *const *file;
    int n_files;
    const char *folder;   /* made if missing; files in it are written anew */
    int size;             /* ids wanted, special tokens among them */
    int64_t min_count;    /* what stands less often is no token */
    int max_characters;   /* alphabet of WordPiece and Unigram; 0: all */
    int lowercase;        /* WordPiece */
    int prefix_space;     /* byte-level BPE: a text begins with a space */
    int model_max_length; /* into tokenizer_config.json */
    size_t max_words;     /* count_options */
} vocab_options;

typedef struct {
    int size;                                       /* ids that came out */
    int n_merges;                                   /* 0: of no use to this kind */
    int64_t n_bytes, n_lines, n_words, n_forgotten; /* read; n_words: different ones */
    double count_s, train_s, write_s;
} vocab_report;

/* HONE_EUSAGE: size is too small for the special tokens and the alphabet. HONE_EDATA: a file that cannot be read, no UTF-8,
 * or no words. HONE_ESTORAGE. */
hone_status vocab_train(vocab_report *out, const vocab_options *o, pool *p, hone_err *err);
#endif
