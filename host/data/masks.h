/* masks.h - which words of a sample are hidden, and behind what: a function of seed, epoch and sample alone, so it is the
 * same in whichever batch, rank or resumed run the sample stands.
 *
 * Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers", NAACL 2019, section 3.1 and appendix A.1: of the m
 * tokens that are not special, round(p m) are drawn without replacement, at least one; of those 8 of 10 become the mask
 * token, 1 of 10 any token of the vocabulary but padding (whose row transformers' embedding never trains), 1 of 10 stay as
 * they are. (transformers' collator draws each token by itself instead, so the number in a sample varies; here the rows of a
 * batch are known before it is drawn.)
 *
 * Whole words (inside given; the authors' program of May 2019): words are drawn instead, a word that would exceed round(p m)
 * tokens is passed over, and all tokens of the others are hidden, each behind what its own draw says. */
#ifndef DATA_MASKS_H
#define DATA_MASKS_H
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t seed;
    double p;               /* 0 < p <= 1 */
    int32_t mask_id, vocab; /* the mask token; tokens drawn at random are below vocab */
    int32_t pad_id;         /* and not this one; -1: there is none */
    const uint8_t *special; /* [vocab] 1: never hidden */
    const uint8_t *inside;  /* [vocab] 1: goes on the word before it; NULL: each token is drawn by itself */
} mask_rule;

/* How many of a sample's n tokens are hidden in an epoch (below 2^24; of single tokens as many in each); 0: all are special, or
 * no whole word is short enough. room is for 4 n; sample is below 2^40. */
int64_t masks_count(const mask_rule *r, int64_t epoch, int64_t sample, const int32_t *id, int64_t n, int32_t *room);
/* What no batch of so many tokens and samples exceeds. */
int64_t masks_bound(const mask_rule *r, int64_t tokens, int64_t samples);

/* The epoch of every evaluation, so that all hide the same words and can be compared; training never gets there. */
#define MASKS_EVALUATION ((1 << 24) - 1)

/* Draw: room[k], ascending, is hidden and room[n + k] what stood there; id itself then holds what is shown. Returns
 * masks_count. */
int64_t masks_draw(const mask_rule *r, int64_t epoch, int64_t sample, int32_t *id, int64_t n, int32_t *room);
#endif
