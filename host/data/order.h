/* order.h - which samples come in which batch: a pure function of seed, epoch and lengths.
 *
 * Nothing here has state: batch b of epoch e is the same whoever asks, so resuming in the middle of an epoch
 * reads nothing again. Batches are by number of samples, or filled up to a budget of tokens. */
#ifndef DATA_ORDER_H
#define DATA_ORDER_H
#include "data/dataset.h"

#define ORDER_SAMPLES_MAX 4096 /* in a batch that is filled to a budget of tokens */

typedef enum { SAMPLING_RANDOM, SAMPLING_SEQUENTIAL, SAMPLING_GROUP_BY_LENGTH, SAMPLING_BALANCED } sampling;

typedef struct {
    sampling kind;
    uint64_t seed;             /* data_seed */
    int64_t samples_per_batch; /* of one optimizer step's micro-batch; ignored with max_tokens */
    int64_t max_tokens;        /* 0: by samples. Else as many samples as fit, never more than 4,096 */
    int64_t deal;              /* by samples only: the samples of so many batches that follow each other (a step's) are dealt to
                                * them so that they have about as many tokens each; 0, 1: as they come */
    int drop_last;             /* by samples only: leave out a last batch that is not full */
    const int64_t *length_at;  /* the data set's at[], which must outlive the order */
    const int32_t
        *label; /* for balanced: classes drawn equally often, each class's samples in shuffled rounds */
    int64_t n;
} order_options;

typedef struct order order; /* one epoch */
order *order_new(const order_options *o, int64_t epoch);
void order_free(order *o);
int64_t order_batches(const order *o);
/* Sample numbers of batch b: borrowed; *n how many. */
const int64_t *order_batch(const order *o, int64_t b, int64_t *n);
/* Largest batch of the epoch: tokens and samples. */
void order_largest(const order *o, int64_t *tokens, int64_t *samples);
/* What no batch of any epoch exceeds: what a plan must have room for. */
void order_bound(const order_options *o, int64_t *tokens, int64_t *samples);
#endif
