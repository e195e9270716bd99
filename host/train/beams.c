/* beams.c - what is ruled out is not taken out but sinks by 1e9, so that ties and shortages end as they do there. */
#include <math.h>
#include <string.h>

#include "train/beams.h"
#include "base/err.h"

#define SUNK (-1.0e9f)

typedef struct {
    float sum;
    int parent;
    int32_t token;
} candidate;

struct beams {
    int n, n_wide, vocab, improves;
    int64_t most_new;
    double penalty;
    early_stopping early;
    candidate *best;   /* [n_wide + 1] */
    beam *wide;        /* [n_wide] the continuations */
    beam *running;     /* [n] */
    beam *done, *next; /* [n] finished, and room for those of the next step */
};

static beam *new_beams(arena *a, int n, int64_t max_new) {
    beam *b = ARENA_ARRAY(a, (size_t)n, beam);
    for (int i = 0; i < n; i++) b[i].id = ARENA_ARRAY(a, (size_t)max_new + 1, int32_t);
    return b;
}

int beams_wide(int n, int n_ends) { return (n_ends > 1 ? 1 + n_ends : 2) * n; }

beams *beams_new(arena *a, int n, int vocab, int n_ends, int64_t max_new) {
    beams *b = ARENA_NEW(a, beams);
    b->n = n;
    b->n_wide = beams_wide(n, n_ends);
    b->vocab = vocab;
    HONE_ASSERT(vocab >= b->n_wide && n + b->n_wide <= BEAMS_WIDE);
    b->best = ARENA_ARRAY(a, (size_t)b->n_wide + 1, candidate);
    b->wide = new_beams(a, b->n_wide, max_new);
    b->running = new_beams(a, n, max_new);
    b->done = new_beams(a, n, max_new);
    b->next = new_beams(a, n, max_new);
    return b;
}

void beams_begin(beams *b, int64_t most_new, double length_penalty, early_stopping early) {
    b->most_new = most_new;
    b->penalty = length_penalty;
    b->early = early;
    b->improves = 1;
    for (int i = 0; i < b->n; i++) {
        b->running[i].n = b->done[i].n = b->done[i].is_finished = 0;
        b->running[i].score = b->running[i].sum = i ? SUNK : 0;
        b->running[i].parent = i;
        b->done[i].score = SUNK;
    }
}

/* The n_wide largest sums, falling; of equal ones the first. */
static void find_best(beams *b, const float *const *logp) {
    int n = 0;
    for (int p = 0; p < b->n; p++)
        for (int32_t t = 0; t < b->vocab; t++) {
            const float sum = logp[p][t] + b->running[p].score;
            if (n == b->n_wide && !(sum > b->best[n - 1].sum)) continue;
            int at = n < b->n_wide ? n++ : n - 1;
            for (; at > 0 && sum > b->best[at - 1].sum; at--) b->best[at] = b->best[at - 1];
            b->best[at] = (candidate){sum, p, t};
        }
}

static void copy_beam(beam *to, const beam *from) {
    int32_t *const id = to->id;
    *to = *from;
    to->id = id;
    memcpy(id, from->id, sizeof *id * (size_t)from->n);
}

static void widen(beams *b) {
    for (int k = 0; k < b->n_wide; k++) {
        beam *w = &b->wide[k];
        copy_beam(w, &b->running[b->best[k].parent]);
        w->id[w->n++] = b->best[k].token;
        w->sum = w->score = b->best[k].sum;
        w->parent = b->best[k].parent;
    }
}

/* Of those that may still be taken, the one with the largest score; of equal ones the first. */
static int take_best(const float *score, uint8_t *taken, int n) {
    int best = -1;
    for (int i = 0; i < n; i++)
        if (!taken[i] && (best < 0 || score[i] > score[best])) best = i;
    taken[best] = 1;
    return best;
}

static float by_length(const beams *b, float sum, int64_t length) {
    return sum / (float)pow((double)length, b->penalty);
}

static int all_done(const beams *b) {
    int n = 0;
    for (int i = 0; i < b->n; i++) n += b->done[i].is_finished;
    return n == b->n;
}



static void run_on(beams *b, const uint8_t *ended) {
    float score[BEAMS_WIDE];
    uint8_t taken[BEAMS_WIDE] = {0};
    for (int k = 0; k < b->n_wide; k++) score[k] = b->wide[k].sum + (ended[k] ? SUNK : 0);
    for (int i = 0; i < b->n; i++) {
        const int k = take_best(score, taken, b->n_wide);
        copy_beam(&b->running[i], &b->wide[k]);
        b->running[i].score = score[k];
    }
}

static void finish(beams *b, const uint8_t *ended) {
    float score[BEAMS_WIDE];
    uint8_t taken[BEAMS_WIDE] = {0};
    const int is_full = b->early == EARLY_YES && all_done(b);
    for (int i = 0; i < b->n; i++) score[i] = b->done[i].score;
    for (int k = 0; k < b->n_wide; k++) {
        float *s = &score[b->n + k];
        *s = by_length(b, b->wide[k].sum, b->wide[k].n);
        if (is_full) *s += SUNK;
        if (!b->improves) *s += SUNK;
        if (k >= b->n || !ended[k]) *s += SUNK;
    }
    for (int i = 0; i < b->n; i++) {
        const int k = take_best(score, taken, b->n + b->n_wide), is_old = k < b->n;
        copy_beam(&b->next[i], is_old ? &b->done[k] : &b->wide[k - b->n]);
        b->next[i].score = score[k];
        if (!is_old) b->next[i].is_finished = k - b->n < b->n && ended[k - b->n];
    }
    beam *const swap = b->done;
    b->done = b->next;
    b->next = swap;
}

/* Could the best running beam still be better than the worst finished one? */
static int can_improve(const beams *b) {
    const int64_t length = b->early == EARLY_NEVER && b->penalty > 0 ? b->most_new : b->running[0].n;
    const float best = by_length(b, b->running[0].score, length);
    float worst = b->done[0].score;
    int found = 0;
    for (int i = 1; i < b->n; i++) worst = b->done[i].score < worst ? b->done[i].score : worst;
    for (int i = 0; i < b->n; i++) found |= best > (b->done[i].is_finished ? worst : SUNK);
    return found;
}

int beams_step(beams *b, const float *const *logp, int (*ends)(void *arg, const beam *text), void *arg) {
    uint8_t ended[BEAMS_WIDE];
    int n_ended = 0;
    find_best(b, logp);
    widen(b);
    for (int k = 0; k < b->n_wide; k++) {
        ended[k] = ends(arg, &b->wide[k]) != 0;
        n_ended += ended[k];
    }
    run_on(b, ended);
    finish(b, ended);
    b->improves &= can_improve(b);
    return b->improves && !(b->early == EARLY_YES && all_done(b)) && n_ended < b->n_wide;
}

const beam *beams_running(const beams *b, int i) { return &b->running[i]; }
const beam *beams_finished(const beams *b, int i) { return &b->done[i]; }
