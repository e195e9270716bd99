/* sample.h - from logits to the next token, as transformers' logits processors do it, and in their order:
 * repetition_penalty, min_new_tokens; and where tokens are drawn: temperature, top_k, top_p. Tokens that are ruled out get
 * -INFINITY. */
#ifndef TRAIN_SAMPLE_H
#define TRAIN_SAMPLE_H
#include <stdint.h>

#include "base/arena.h"

/* What the functions need beside a row; one a thread. */
typedef struct {
    int vocab;
    uint8_t *seen; /* [vocab] zeros between calls */
    float *sorted; /* [vocab] */
} sampler;
sampler *sampler_new(arena *a, int vocab);

/* Each token of ids: a logit above 0 is divided by the penalty, another one multiplied. */
void sample_penalize(const sampler *s, float *x, const int32_t *id, int n, double penalty);
void sample_forbid(float *x, const int32_t *token, int n); /* of min_new_tokens: the ends of a text */
void sample_warm(const sampler *s, float *x, double temperature);
/* Only the k largest, and what equals the last of them; 0: all. */
void sample_top_k(const sampler *s, float *x, int64_t k);
/* The fewest likeliest tokens that have p together, but at least so many (what equals the last of them stays too). */
void sample_top_p(const sampler *s, float *x, double p, int least);

int32_t sample_best(const sampler *s, const float *x); /* the first of the largest */
/* The token at u in [0, 1) of the probabilities softmax(x), in the order of ids. */
int32_t sample_draw(const sampler *s, const float *x, double u);

/* u for number `sequence` of a prompt's texts at step `step`: Philox, of the seed and what the prompt says (a hash of its
 * ids), so that a prompt gets the same draws wherever it stands. sequence, step < 2^20. */
double sample_uniform(uint64_t seed, uint64_t prompt, int sequence, int64_t step);

/* log of the sum of exp: what to take off a logit for its log-probability. Not finite where a logit is none. */
double sample_normaliser(const sampler *s, const float *x);
#endif
