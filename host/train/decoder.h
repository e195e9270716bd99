/* decoder.h - texts whose keys and values lie in caches: tokens in, logits of what follows out.
 *
 * There are `slots` places for texts of up to `cached` tokens. A step takes any number of new tokens of any texts, the whole
 * of one and the last token of another, side by side without padding; a row of logits does not depend on what else the
 * step holds, nor (on cpu and ref: to the bit) on how many steps brought the text so far. */
#ifndef TRAIN_DECODER_H
#define TRAIN_DECODER_H
#include "train/session.h"

typedef struct decoder decoder;
typedef struct {
    int slots;
    int64_t cached;     /* tokens of a slot */
    int64_t tokens_max; /* of a step */
    int moves;          /* 1: decoder_move will be called */
} decoder_sizes;

session_limits decoder_limits(const decoder_sizes *sizes); /* what its plan is made for */
/* Plans, opens the session's device and loads the weights; the session must not have been started. */
hone_status decoder_open(decoder **out, session *s, const decoder_sizes *sizes, hone_err *err);
void decoder_close(decoder *d); /* NULL is fine; the session lives on */

/* Tokens at .. at + n - 1 of the text in a slot; those before are in its cache. n is 1 or more. */
typedef struct {
    int slot;
    int64_t at, n;
    const int32_t *id; /* [n] */
} decoder_feed;
/* Feeds by rising slots, at most one of a slot. *logits: [n_feeds][vocab], of what follows the last token of each; the
 * decoder's, until the next step. */
hone_status decoder_step(decoder *d, const decoder_feed *feed, int n_feeds, const float **logits, hone_err *err);

/* Tokens at .. at + n - 1 of slot `from` become those of slot `to`: all are read before one is written; no two go to the
 * same place. */
typedef struct {
    int from, to;
    int64_t at, n;
} decoder_copy;
hone_status decoder_move(decoder *d, const decoder_copy *copy, int n_copies, hone_err *err);
#endif
