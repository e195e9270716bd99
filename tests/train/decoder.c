/* decoder.c - logits from caches are those of whole texts: to the bit where a row does not depend on its neighbours. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "golden.h"
#include "train/decoder.h"

#define TEXTS 5
#define CACHED 40

typedef struct {
    job *job;
    pool *pool;
    session *s;
    decoder *d;
    int vocab;
} setup;

static void begin(setup *u, const char *device, int threads, int slots, int64_t tokens_max) {
    const decoder_sizes sizes = {.slots = slots, .cached = CACHED, .tokens_max = tokens_max, .moves = 1};
    *u = (setup){0};
    CHECK_OK(job_load(&u->job, NULL, NULL, 0, 1, err));
    u->job->task = TASK_CONTINUE;
    u->job->device = device;
    u->pool = pool_new(threads);
    CHECK_OK(session_open(&u->s, u->job, test_fixture("generate"), NULL, u->pool, err));
    CHECK_OK(decoder_open(&u->d, u->s, &sizes, err));
    u->vocab = u->s->config->vocab;
}

static void end(setup *u) {
    decoder_close(u->d);
    session_close(u->s);
    pool_free(u->pool);
    job_free(u->job);
}

/* Texts of 3, 10, 17 ... tokens. */
static int64_t length_of(int t) { return 3 + 7 * t; }
static int32_t token_of(int t, int64_t at) { return (int32_t)((t * 131 + at * at * 17 + at * 5) % 320); }

static const float *step(setup *u, const decoder_feed *feed, int n) {
    const float *logits;
    CHECK_OK(decoder_step(u->d, feed, n, &logits, err));
    for (int64_t i = 0; i < (int64_t)n * u->vocab; i++) CHECK(isfinite(logits[i]));
    return logits;
}

/* A text by itself and at once. */
static void alone(setup *u, int t, int64_t n, float *out) {
    int32_t id[CACHED];
    for (int64_t k = 0; k < n; k++) id[k] = token_of(t, k);
    memcpy(out, step(u, &(decoder_feed){0, 0, n, id}, 1), sizeof *out * (size_t)u->vocab);
}

/* All texts side by side: the first `first` tokens at once, then one a step. Compares the logits of each last token. */
static void together(setup *u, const float *want, int64_t first, double bound) {
    int32_t id[TEXTS][CACHED];
    int64_t done[TEXTS] = {0};
    for (int t = 0; t < TEXTS; t++)
        for (int64_t k = 0; k < CACHED; k++) id[t][k] = token_of(t, k);
    for (int left = TEXTS; left;) {
        decoder_feed feed[TEXTS];
        int n = 0, which[TEXTS];
        for (int t = 0; t < TEXTS; t++) {
            const int64_t most = length_of(t) - done[t], k = done[t] ? 1 : first;
            if (!most) continue;
            which[n] = t;
            feed[n++] = (decoder_feed){t, done[t], k < most ? k : most, id[t] + done[t]};
        }
        const float *logits = step(u, feed, n);
        for (int i = 0; i < n; i++) {
            const int t = which[i];
            done[t] += feed[i].n;
            if (done[t] < length_of(t)) continue;
            left--;
            for (int v = 0; v < u->vocab; v++) {
                const float a = logits[(int64_t)i * u->vocab + v], b = want[t * u->vocab + v];
                if (bound > 0 ? !(fabs((double)a - (double)b) <= bound) : memcmp(&a, &b, sizeof a))
                    test_fail(__FILE__, __LINE__, "text %d, token %d: %.9g, alone %.9g", t, v, (double)a, (double)b);
            }
        }
    }
}

static void compare(const char *device, double bound) {
    setup u;
    begin(&u, device, 2, TEXTS, 128);
    float *want = mem_new(sizeof *want * TEXTS * (size_t)u.vocab, "logits");
    for (int t = 0; t < TEXTS; t++) alone(&u, t, length_of(t), want + t * u.vocab);
    for (int64_t first = 1; first < CACHED; first = 3 * first) together(&u, want, first, bound);
    end(&u);
    if (bound == 0) { /* other threads, other sizes */
        begin(&u, device, 1, TEXTS + 2, 160);
        together(&u, want, 4, bound);
        end(&u);
    }
    mem_free(want);
}

TEST(decoder_gives_cached_logits_with_the_bits_of_whole_texts_on_cpu) { compare("cpu", 0); }
TEST(decoder_gives_cached_logits_with_the_bits_of_whole_texts_on_ref) { compare("ref", 0); }
TEST(decoder_gives_cached_logits_of_whole_texts_on_emu) { compare("emu", 1e-5); }

static void move(const char *device, double bound) {
    setup u;
    const int64_t n = 9;
    int32_t id[2][CACHED];
    for (int t = 0; t < 2; t++)
        for (int64_t k = 0; k < CACHED; k++) id[t][k] = token_of(t, k);
    begin(&u, device, 2, 3, 64);
    float *want = mem_new(sizeof *want * 2 * (size_t)u.vocab, "logits");
    for (int t = 0; t < 2; t++) alone(&u, t, n + 1, want + t * u.vocab);
    step(&u, (decoder_feed[]){{0, 0, n, id[0]}, {1, 0, n, id[1]}}, 2);
    /* 0 and 1 change places, 2 becomes what 0 was. */
    CHECK_OK(decoder_move(u.d, (decoder_copy[]){{0, 1, 0, n}, {1, 0, 0, n}, {0, 2, 0, n}}, 3, err));
    const float *logits = step(&u, (decoder_feed[]){{0, n, 1, id[1] + n}, {1, n, 1, id[0] + n}, {2, n, 1, id[0] + n}}, 3);
    static const int which[3] = {1, 0, 0};
    for (int i = 0; i < 3; i++)
        for (int v = 0; v < u.vocab; v++)
            CHECK_NEAR(logits[i * u.vocab + v], want[which[i] * u.vocab + v], bound);
    CHECK_OK(decoder_move(u.d, NULL, 0, err));
    mem_free(want);
    end(&u);
}

TEST(decoder_moves_what_caches_hold) {
    move("cpu", 0);
    move("ref", 0);
    move("emu", 1e-5);
}

/* Caches are memory of the plan: what a run asks of the device for them is known before. */
TEST(decoder_caches_are_in_the_plan) {
    setup u;
    begin(&u, "cpu", 1, 4, 64);
    const hone_plan *p = u.s->plan;
    const size_t layer = 2 * 4 * CACHED * 32 * sizeof(float);
    CHECK_INT(p->slab_bytes[HONE_STATE], 2 * layer + p->zone_bytes);
    CHECK_INT(run_device_bytes(u.s->run), hone_plan_device_bytes(p));
    CHECK_INT(p->program[HONE_EVAL].n_steps, 0);
    CHECK_INT(p->program[HONE_MOVE].n_steps, 2 * 4);
    end(&u);
}
