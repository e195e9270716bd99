/* beams.c - with as many beams as there are texts the search is complete; transformers' own choices: tests/e2e/generate.c. */
#include <math.h>

#include "base/rng.h"
#include "test.h"
#include "train/beams.h"

#define V 6
#define LENGTH 3
#define N 60

/* Log-probabilities of what follows a token (V: of the first). */
static void fill(float table[V + 1][V], uint64_t seed) {
    for (int t = 0; t <= V; t++) {
        double sum = 0;
        for (int i = 0; i < V; i++) {
            table[t][i] = (float)(3 * rng_uniform(seed, RNG_TEST, (uint64_t)t, (uint64_t)i));
            sum += exp((double)table[t][i]);
        }
        for (int i = 0; i < V; i++) table[t][i] -= (float)log(sum);
    }
}

static int ends(void *arg, const beam *b) {
    return b->n == LENGTH || b->id[b->n - 1] == *(int *)arg;
}

static int search(beams *b, const float table[V + 1][V], int n, int end) {
    int steps = 0, more = 1;
    for (; more; steps++) {
        const float *logp[N];
        for (int i = 0; i < n; i++) {
            const beam *r = beams_running(b, i);
            logp[i] = table[r->n ? r->id[r->n - 1] : V];
        }
        more = beams_step(b, logp, ends, &end);
    }
    return steps;
}

/* The best text of all, by the score of its sum over its length to the power of the penalty. */
static double best_of_all(const float table[V + 1][V], int end, double penalty, int32_t best[LENGTH], int *n_best) {
    double top = -INFINITY;
    for (int code = 0; code < V * V * V; code++) {
        const int id[LENGTH] = {code / (V * V), code / V % V, code % V};
        double sum = 0;
        int n = 0;
        for (; n < LENGTH; n++) {
            sum += (double)table[n ? id[n - 1] : V][id[n]];
            if (id[n] == end) {
                n++;
                break;
            }
        }
        if (sum / pow(n, penalty) <= top) continue;
        top = sum / pow(n, penalty);
        *n_best = n;
        for (int i = 0; i < n; i++) best[i] = id[i];
    }
    return top;
}

TEST(beams_that_hold_all_texts_find_the_best) {
    arena *a = arena_new("test");
    const double penalties[] = {0, 1, -0.5, 2};
    beams *b = beams_new(a, 3, V, 1, LENGTH);
    int found = 0, tried = 0;
    for (uint64_t seed = 0; seed < 50; seed++)
        for (int p = 0; p < 4; p++, tried++) {
            float table[V + 1][V];
            int32_t best[LENGTH];
            int n_best = 0, same = 1;
            fill(table, seed);
            const double top = best_of_all(table, 2, penalties[p], best, &n_best);
            beams_begin(b, LENGTH, penalties[p], EARLY_NEVER);
            search(b, table, 3, 2);
            const beam *first = beams_finished(b, 0);
            CHECK(first->is_finished && beams_finished(b, 0)->score >= beams_finished(b, 1)->score);
            CHECK((double)first->score <= top + 1e-6);
            CHECK_NEAR(first->sum / pow(first->n, penalties[p]), first->score, 1e-6);
            for (int i = 0; i < n_best; i++) same &= first->n == n_best && first->id[i] == best[i];
            found += same;
        }
    CHECK(found * 10 > tried * 8); /* three beams of 216 texts find most of the best ones */
    arena_free(a);
}

TEST(beams_stop_early_when_asked_and_no_text_goes_on_behind_its_end) {
    arena *a = arena_new("test");
    float table[V + 1][V];
    beams *b = beams_new(a, 2, V, 1, LENGTH);
    int steps[2] = {0, 0};
    for (uint64_t seed = 0; seed < 30; seed++) {
        fill(table, seed);
        for (int t = 0; t <= V; t++) table[t][4] += 1.5f; /* ends are likely */
        for (int early = 0; early < 2; early++) {
            beams_begin(b, LENGTH, 1, early ? EARLY_YES : EARLY_NEVER);
            steps[early] += search(b, table, 2, 4);
            for (int i = 0; i < 2; i++) {
                const beam *f = beams_finished(b, i);
                CHECK(f->is_finished && (f->n == LENGTH || f->id[f->n - 1] == 4));
                for (int k = 0; k + 1 < f->n; k++) CHECK(f->id[k] != 4);
            }
        }
    }
    CHECK(steps[1] < steps[0]);
    arena_free(a);
}
