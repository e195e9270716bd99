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

static float sum_of(const beams *b, const float *const *logp, int p, int32_t t) {
    return logp[p][t] + b->running[p].score;
}

/* The n-th of those found takes its place, falling; of equal ones the first stays before. */
static void take_place(beams *b, int n, candidate c) {
    for (; n > 0 && c.sum > b->best[n - 1].sum; n--) b->best[n] = b->best[n - 1];
    b->best[n] = c;
}

/* The n_wide largest sums, falling; of equal ones the first. */
static void find_best(beams *b, const float *const *logp) {
    int n = 0;
    for (int p = 0; p < b->n; p++)
        for (int32_t t = 0; t < b->vocab; t++) {
            const float sum = sum_of(b, logp, p, t);
            if (n == b->n_wide && !(sum > b->best[n - 1].sum)) continue;
            take_place(b, n < b->n_wide ? n++ : n - 1, (candidate){sum, p, t});
        }
}

/* ---- drawing ---- */

static int is_taken(const beams *b, int n, int p, int32_t t) {
    for (int k = 0; k < n; k++)
        if (b->best[k].parent == p && b->best[k].token == t) return 1;
    return 0;
}

/* Beam p's part of the softmax over what is not among the first n; top: the largest sum of all. With `until`, the walk stops
 * at the token where the part exceeds it, else at the last one that weighs something: *stopped. */
static double weigh(const beams *b, const float *const *logp, float top, int n, int p, double until, int32_t *stopped) {
    double sum = 0;
    for (int32_t t = 0; t < b->vocab; t++) {
        const double w = exp((double)sum_of(b, logp, p, t) - (double)top);
        if (!(w > 0) || is_taken(b, n, p, t)) continue;
        sum += w;
        *stopped = t;
        if (sum > until) break;
    }
    return sum;
}

/* Where nothing weighs anything, the largest sum of what is left, in the order of beams and tokens. */
static candidate find_left(const beams *b, const float *const *logp, int n) {
    candidate best = {.parent = -1};
    for (int p = 0; p < b->n; p++)
        for (int32_t t = 0; t < b->vocab; t++) {
            const float sum = sum_of(b, logp, p, t);
            if ((best.parent < 0 || sum > best.sum) && !is_taken(b, n, p, t)) best = (candidate){sum, p, t};
        }
    return best;
}

static candidate draw_one(const beams *b, const float *const *logp, const double *part, float top, int n, double u) {
    double all = 0, before = 0;
    int last = -1;
    for (int p = 0; p < b->n; p++) all += part[p];
    for (int p = 0; p < b->n && !(last >= 0 && before > u * all); p++) {
        if (!(part[p] > 0)) continue;
        last = p;
        before += part[p];
    }
    if (last < 0) return find_left(b, logp, n);
    int32_t token = 0;
    weigh(b, logp, top, n, last, u * all - (before - part[last]), &token);
    return (candidate){sum_of(b, logp, last, token), last, token};
}

/* n_wide continuations, each by the softmax of the sums of those not drawn before it; then falling. */
static void draw_wide(beams *b, const float *const *logp, const double *u) {
    double part[BEAMS_WIDE];
    float top = -INFINITY;
    int32_t any;
    for (int p = 0; p < b->n; p++)
        for (int32_t t = 0; t < b->vocab; t++) top = fmaxf(top, sum_of(b, logp, p, t));
    for (int p = 0; p < b->n; p++) part[p] = weigh(b, logp, top, 0, p, INFINITY, &any);
    for (int k = 0; k < b->n_wide; k++) {
        const candidate c = draw_one(b, logp, part, top, k, u[k]);
        take_place(b, k, c);
        part[c.parent] = weigh(b, logp, top, k + 1, c.parent, INFINITY, &any);
    }
}

/* ---- a step ---- */

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

int beams_step(beams *b, const float *const *logp, const double *u, int (*ends)(void *arg, const beam *text), void *arg) {
    uint8_t ended[BEAMS_WIDE];
    int n_ended = 0;
    if (u) draw_wide(b, logp, u);
    else find_best(b, logp);
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
