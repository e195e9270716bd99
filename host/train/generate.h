/* generate.h - texts behind prompts: greedy, drawn or by beams, many at once.
 *
 * A prompt's texts depend on model, prompt, settings and seed alone: not on which prompts stand beside it, on their order,
 * batches or threads. (On cpu and ref; other devices give a row the same bits as long as the batch's sizes are.) */
#ifndef TRAIN_GENERATE_H
#define TRAIN_GENERATE_H
#include "train/decoder.h"
#include "train/generation.h"
#include "train/session.h"

typedef struct {
    int32_t *id; /* [n] */
    int n;       /* 1 or more */
} prompt;

/* Encode a text; an empty one is the token that begins texts. where: "FILE: line 3", for messages. HONE_EDATA: no UTF-8, longer
 * than the model's positions, or nothing to begin with. */
hone_status prompt_encode(prompt *out, arena *a, const session *s, const generation *g, str text, const char *where,
                          hone_err *err);

typedef struct {
    int64_t prompt; /* which */
    int number;     /* of num_return_sequences */
    const int32_t *id;
    int n;              /* new tokens, with the one that ended it */
    str text;           /* of these; without what a stop string begins */
    const char *finish; /* "length", "stop", "eos" */
    double logprob;     /* sum of the tokens' log-probabilities; beams: as the search added them */
    double score;       /* beams: what they are judged by; else NAN */
} continuation;

typedef struct {
    /* More of a text, whole characters, as soon as it is sure: of the first text that is not done. NULL: not wanted. */
    hone_status (*piece)(void *arg, int64_t prompt, int number, str piece, hone_err *err);
    hone_status (*done)(void *arg, const continuation *c, hone_err *err); /* in order of prompts and numbers */
    void *arg;
} generate_sink;

/* The most that generate() plans: every place holds a text as long as the model's positions. */
decoder_sizes generate_sizes_most(const session *s, const generation *g);

/* The session is opened, not started; its job's per_device_eval_batch_size prompts are under way at once, more follow as
 * places become free. A signal ends it (sig_check), and what a sink returns. HONE_ENOTFINITE: the model's logits are not finite. */
hone_status generate(session *s, const generation *g, const prompt *p, int64_t n, const generate_sink *to, hone_err *err);
#endif
