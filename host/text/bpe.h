/* bpe.h - byte-pair encoding: a word's characters (or bytes) are joined pair by pair, the merge that was learned first
 * before all others, and among its places the leftmost. */
#ifndef TEXT_BPE_H
#define TEXT_BPE_H
#include "text/tokenizer_parts.h"

typedef struct {
    uint64_t pair; /* first id << 32 | second id */
    uint32_t rank; /* from 1; 0: an empty slot */
    int32_t id;    /* of what they become */
} bpe_merge;

struct bpe_model {
    bpe_merge *slot; /* open addressing */
    size_t n_slots;
    int n_merges;
    int32_t byte_id[256];     /* ByteLevel: of the character that a byte is written as; -1: none */
    int32_t fallback_id[256]; /* of "<0x0A>"; -1: none */
    int byte_fallback; /* a character that the vocabulary lacks becomes its bytes, if it has all of them */
    int fuse_unk;      /* unknown characters side by side are one token */
    int ignore_merges; /* a word that is a token is not cut */
    int bytes;         /* words are cut into bytes */
};

/* For at most n merges of the tokenizer's vocabulary. */
bpe_model *bpe_new(arena *a, int n_merges);
/* The next merge; NULL, or what is wrong with it. Of a pair given twice the last one counts, as in the library. */
const char *bpe_add(bpe_model *m, const vocab *v, str first, str second);
/* After the last one: ids of bytes, and of fallbacks. */
void bpe_prepare(bpe_model *m, const vocab *v, int bytes);
const bpe_merge *bpe_find(const bpe_model *m, int32_t first, int32_t second); /* NULL: they do not merge */
#endif
