/* beams.h - beam search over one prompt, step for step as transformers 5 does it (generation/utils.py, _beam_search): the
 * likeliest 2 n continuations of the n running beams (more where there are several ends of text); those among the first n
 * that end a text are finished, with the sum of their log-probabilities / length ** length_penalty as score; the best n that
 * end none run on. Scores are fp32, as there. With do_sample the 2 n continuations are drawn instead, without replacement, by
 * the softmax of their sums. */
#ifndef TRAIN_BEAMS_H
#define TRAIN_BEAMS_H
#include <stdint.h>

#include "base/arena.h"

typedef enum { EARLY_NO, EARLY_YES, EARLY_NEVER } early_stopping; /* false, true, "never" */

typedef struct {
    int32_t *id; /* [n] tokens behind the prompt */
    int n;
    float sum;       /* of log-probabilities */
    float score;     /* running: the sum; finished: by length */
    int parent;      /* running: the beam of the step before that it goes on with */
    int is_finished; /* of those that beams_finished gives: 0, where too few were */
} beam;

typedef struct beams beams;
#define BEAMS_WIDE 1024 /* most of beams and their continuations */
int beams_wide(int n, int n_ends); /* continuations of n: what a vocabulary must have at least */
/* n beams of at most max_new tokens each; n_ends: how many tokens end a text. */
beams *beams_new(arena *a, int n, int vocab, int n_ends, int64_t max_new);
/* Another prompt, behind which most_new tokens may stand (at most max_new). */
void beams_begin(beams *b, int64_t most_new, double length_penalty, early_stopping early);
/* One step. logp[i]: [vocab] log-probabilities, processed, of what follows running beam i (in the first step the same of all).
 * u: [beams_wide] numbers in [0, 1) that the continuations are drawn by, the first one first; NULL: the likeliest.
 * ends: is this text, with its last token, one that ends here? Returns 1 if the search goes on. */
int beams_step(beams *b, const float *const *logp, const double *u, int (*ends)(void *arg, const beam *text), void *arg);
const beam *beams_running(const beams *b, int i);
const beam *beams_finished(const beams *b, int i); /* the best first */
#endif
