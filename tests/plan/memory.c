/* memory.c - the planner of places, by itself against all orders of placing and on models against their
 * bound. */
#include <time.h>

#include "base/arena.h"
#include "plan/device.h"
#include "plan/passes.h"
#include "sample.h"
#include "test.h"

static uint64_t state = 88172645463325252u;
static uint64_t draw(uint64_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % below;
}

static int live_together(const buffer *a, const buffer *b) {
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest place for x that no placed buffer of its time touches. */
static size_t lowest_place(const buffer *const *placed, int n, const buffer *x) {
    size_t at = 0;
    for (int moved = 1; moved;) {
        moved = 0;
        for (int i = 0; i < n; i++)
            if (live_together(placed[i], x) && placed[i]->offset < at + x->bytes &&
                at < placed[i]->offset + placed[i]->bytes)
                at = placed[i]->offset + placed[i]->bytes, moved = 1;
    }
    return at;
}

/* The least bytes of any order of first fit: with some order it reaches the optimum. */
static size_t best_of_orders(buffer *b, int n, const buffer **placed, int depth, unsigned used, size_t top,
                             size_t best) {
    if (top >= best) return best;
    if (depth == n) return top;
    for (int i = 0; i < n; i++) {
        if (used >> i & 1) continue;
        b[i].offset = lowest_place(placed, depth, &b[i]);
        placed[depth] = &b[i];
        const size_t end = b[i].offset + b[i].bytes;
        best = best_of_orders(b, n, placed, depth + 1, used | 1u << i, end > top ? end : top, best);
    }
    return best;
}

TEST(places_of_seven_buffers_are_near_the_best_there_are) {
    enum { N = 7, CASES = 400 };
    int n_best = 0;
    double worst = 1;
    arena *a = arena_new("test");
    for (int c = 0; c < CASES; c++) {
        buffer b[N], copy[N];
        const buffer *placed[N];
        for (int i = 0; i < N; i++) {
            const int first = (int)draw(10);
            b[i] = (buffer){first, first + (int)draw(6), 256 * (1 + draw(12)), 0};
        }
        memcpy(copy, b, sizeof b);
        const size_t best = best_of_orders(copy, N, placed, 0, 0, 0, SIZE_MAX), got = buffers_place(b, N, a),
                     bound = buffers_bound(b, N, 20, a);
        size_t top = 0;
        for (int i = 0; i < N; i++) {
            CHECK(b[i].offset % 256 == 0);
            top = b[i].offset + b[i].bytes > top ? b[i].offset + b[i].bytes : top;
            for (int j = 0; j < i; j++)
                if (live_together(&b[i], &b[j]))
                    CHECK(b[i].offset >= b[j].offset + b[j].bytes || b[j].offset >= b[i].offset + b[i].bytes);
        }
        CHECK_INT(top, got);
        CHECK(bound <= best && best <= got);
        n_best += got == best;
        if ((double)got / (double)best > worst) worst = (double)got / (double)best;
    }
    arena_free(a);
    printf("  the best in %d of %d cases, at worst %.3f times it\n", n_best, CASES, worst);
    CHECK(worst <= 1.35);
}

/* Models of the sizes that people train; planned only. */
static const struct {
    const char *name;
    sample s;
} models[] = {
    {"MiniLM",
     {.layers = 6,
      .width = 384,
      .heads = 12,
      .inner = 1536,
      .vocab = 30522,
      .positions = 512,
      .outputs = 77,
      .tokens = 4096,
      .seqs = 256,
      .p = 0.1,
      .dtype = HONE_F32}},
    {"DistilBERT",
     {.family = "distilbert",
      .layers = 6,
      .width = 768,
      .heads = 12,
      .inner = 3072,
      .vocab = 30522,
      .positions = 512,
      .outputs = 77,
      .tokens = 4096,
      .seqs = 128,
      .p = 0.1,
      .dtype = HONE_F32}},
    {"BERT-base",
     {.layers = 12,
      .width = 768,
      .heads = 12,
      .inner = 3072,
      .vocab = 30522,
      .positions = 512,
      .outputs = 2,
      .tokens = 8192,
      .seqs = 64,
      .p = 0.1,
      .dtype = HONE_F32}},
    {"BERT-large",
     {.layers = 24,
      .width = 1024,
      .heads = 16,
      .inner = 4096,
      .vocab = 30522,
      .positions = 512,
      .outputs = 2,
      .tokens = 8192,
      .seqs = 16,
      .p = 0.1,
      .dtype = HONE_F32}},
};

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

TEST(activations_of_models_lie_near_the_bound) {
    for (size_t m = 0; m < sizeof models / sizeof *models; m++)
        for (int plain = 0; plain < 2; plain++)
            for (int level = 0; level <= 2; level++) {
                sample s = models[m].s;
                s.recompute = level;
                s.no_narrow = s.no_pack = s.no_fuse = plain;
                model_config *config = sample_config(&s);
                const plan_options o = sample_options(&s, config);
                hone_plan *p = NULL;
                const double before = seconds();
                CHECK_OK(plan_build(&p, &o, err));
                const double took = seconds() - before,
                             share = (double)p->slab_bytes[HONE_ACTIVATION] / (double)p->bound_bytes;
                fprintf(
                    stderr,
                    "  %-10s %s recompute %d: %4d steps, %7.1f MiB, %.4f of the bound, planned in %.1f ms\n",
                    models[m].name, plain ? "plain " : "passes", level, p->program[HONE_MICRO].n_steps,
                    (double)p->slab_bytes[HONE_ACTIVATION] / 1048576, share, took * 1e3);
                if (!(share >= 1 && share <= 1.03))
                    test_fail(__FILE__, __LINE__, "%s, recompute %d: %.4f of the bound", models[m].name,
                              level, share);
                hone_plan_free(p);
                config_free(config);
            }
}

/* Printed, not judged: machines differ. */
TEST(planning_a_large_model_takes_milliseconds) {
    for (int level = 0; level <= 2; level++) {
        sample s = models[3].s;
        s.recompute = level;
        double least = 1e9;
        model_config *config = sample_config(&s);
        const plan_options o = sample_options(&s, config);
        for (int i = 0; i < 7; i++) {
            hone_plan *p = NULL;
            const double before = seconds();
            CHECK_OK(plan_build(&p, &o, err));
            const double took = seconds() - before;
            least = took < least ? took : least;
            hone_plan_free(p);
        }
        config_free(config);
        CHECK(least < 10);
        fprintf(stderr, "  BERT-large, recompute %d: planned in %.1f ms\n", level, least * 1e3);
    }
}

static size_t work_bytes(int64_t length_max) {
    sample s = models[3].s;
    s.dtype = HONE_BF16, s.recompute = 0;
    model_config *config = sample_config(&s);
    plan_options o = sample_options(&s, config);
    o.device = plan_device("cuda"), o.longest = (int32_t)length_max, o.tokens_max = 4096;
    CHECK(o.device);
    hone_plan *p = NULL;
    CHECK_OK(plan_build(&p, &o, err));
    const size_t bytes = p->slab_bytes[HONE_WORK];
    hone_plan_free(p);
    config_free(config);
    return bytes;
}

/* A GPU's backward makes parts of dq, fp32 [N,D], for each block of 256 keys that a sequence may have, four at most. */
TEST(attention_has_workspace_for_the_longest_sequence_and_no_more) {
    const size_t part = sizeof(float) * 4096 * 1024;
    CHECK_INT(work_bytes(0), 4 * part);
    CHECK_INT(work_bytes(512), 2 * part);
    CHECK(work_bytes(256) < part);
    CHECK_INT(work_bytes(256), work_bytes(128));
}

TEST(device_bytes_are_the_sum_of_the_slabs) {
    const sample s = {.accumulation = 5, .p = 0.1};
    hone_plan *p = sample_plan(&s);
    size_t sum = 0;
    for (int c = 1; c < HONE_N_CLASSES; c++) sum += p->slab_bytes[c];
    CHECK_INT(hone_plan_device_bytes(p), sum);
    CHECK_INT(p->n_slots, 3); /* 1 + floor(log2 5) */
    CHECK_INT(p->slab_bytes[HONE_GRAD], 3 * p->slot_bytes);
    hone_plan_free(p);
}
