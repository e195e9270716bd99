/* entities.c - entities counted as seqeval counts them (scripts/golden/entities.py), and by hand where tags are odd. */
#include <math.h>

#include "golden.h"
#include "train/metrics.h"

static uint32_t next_number(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

static labels labels_of(arena *a, const json *tags) {
    labels l = {0, ARENA_ARRAY(a, tags->n, str)};
    for (const json *t = tags->child; t; t = t->next) l.name[l.n++] = t->string;
    return l;
}

/* Scores of which the guess has the largest. */
static void draw_text(uint64_t *state, int n_tags, int n, int32_t *label, float *score) {
    for (int i = 0; i < n; i++) {
        label[i] = (int32_t)(next_number(state) % (uint32_t)n_tags);
        int32_t guess = label[i];
        if (next_number(state) % 4 == 0) guess = -1;
        for (int k = 0; k < n_tags; k++) score[i * n_tags + k] = 0;
        if (guess < 0) guess = (int32_t)(next_number(state) % (uint32_t)n_tags);
        score[i * n_tags + guess] = 1;
    }
}

static void check_case(arena *a, const json *c) {
    const labels l = labels_of(a, member(c, "tags"));
    uint64_t state = (uint64_t)number_of(c, "seed");
    int32_t label[12];
    float score[12 * 16];
    metrics m;
    metric got[METRICS_MAX];
    metrics_init_tags(&m, a, &l, 12);
    for (int t = 0; t < number_of(c, "n"); t++) {
        const int n = (int)(next_number(&state) % 12) + 1;
        draw_text(&state, l.n, n, label, score);
        metrics_add_tags(&m, score, label, n, 0);
    }
    const int n = metrics_figures(&m, got);
    for (const json *w = member(c, "figures")->child; w; w = w->next) {
        int found = 0;
        for (int i = 0; i < n; i++) {
            if (strcmp(got[i].name, w->key.p)) continue;
            found = 1;
            if (!(fabs(got[i].value - w->number) <= 1e-12))
                test_fail(__FILE__, __LINE__, "%s: %s is %.15g, expected %.15g", text_of(c, "name"), w->key.p,
                          got[i].value, w->number);
        }
        CHECK(found);
    }
    for (const json *w = member(c, "types")->child; w; w = w->next) {
        double f[4];
        int64_t support = -1;
        for (int t = 0; t < m.entities->n_types; t++)
            if (str_eq(m.entities->type[t], w->key)) entities_of_type(m.entities, t, f, &support);
        f[3] = (double)support;
        const json *want = w->child;
        for (int i = 0; i < 4; i++, want = want->next) CHECK_NEAR(f[i], want->number, 1e-12);
    }
}

TEST(entities_are_counted_as_seqeval_does) {
    arena *a = arena_new("test");
    int n = 0;
    for (const json *c = member(golden_open(a, "entities.json"), "cases")->child; c; c = c->next, n++)
        check_case(a, c);
    CHECK(n >= 5);
    arena_free(a);
}

/* Words without a label do not count, and a text that has none is no sample. */
TEST(words_without_a_tag_are_no_part_of_the_figures) {
    static str names[] = {{"O", 1}, {"B-X", 3}};
    const labels l = {2, names};
    const float score[6] = {0, 1, 0, 1, 0, 1};
    const int32_t some[] = {1, -1, 1}, none[] = {-1, -1, -1};
    arena *a = arena_new("test");
    metrics m;
    metric got[METRICS_MAX];
    metrics_init_tags(&m, a, &l, 3);
    metrics_add_tags(&m, score, some, 3, 1);
    metrics_add_tags(&m, score, none, 3, 0);
    CHECK(metrics_figures(&m, got) > 2);
    CHECK_INT(m.n, 2);
    CHECK_INT(m.n_samples, 1);
    CHECK_INT(m.entities->labelled[1], 2);
    metrics_clear(&m);
    CHECK_INT(m.entities->labelled[1] + m.n + m.n_samples, 0);
    arena_free(a);
}

/* Parts of speech are classes of words. */
TEST(tags_that_name_no_entities_are_classes) {
    static str names[] = {{"NOUN", 4}, {"VERB", 4}};
    const labels l = {2, names};
    arena *a = arena_new("test");
    metrics m;
    metrics_init_tags(&m, a, &l, 3);
    CHECK(!m.entities);
    arena_free(a);
}
