/* generate.c - texts beside transformers' (scripts/golden/generate.py), and what they may not depend on. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "golden.h"
#include "train/generate.h"

#define PROMPTS 50
#define MOST_TEXTS 256

typedef struct {
    int prompt, number, n;
    int32_t id[64];
    char text[512], pieces[512]; /* without its U+0000 */
    char finish[8];
    double logprob, score;
} kept;

typedef struct {
    arena *a;
    const json *golden;
    prompt prompt[PROMPTS];
    job *job;
    pool *pool;
    kept kept[MOST_TEXTS];
    int n, wants_pieces, stops_after; /* texts, 0: never */
    char shown[512];
} setup;

static setup *begin(void) {
    arena *a = arena_new("test");
    setup *u = ARENA_NEW(a, setup);
    u->a = a;
    u->golden = golden_open(a, "generate.json");
    int n = 0;
    for (const json *p = member(u->golden, "prompts")->child; p; p = p->next, n++) {
        u->prompt[n].id = ARENA_ARRAY(a, 64, int32_t);
        for (const json *i = member(p, "ids")->child; i; i = i->next) u->prompt[n].id[u->prompt[n].n++] = (int32_t)i->integer;
    }
    CHECK_INT(n, PROMPTS);
    CHECK_OK(job_load(&u->job, NULL, NULL, 0, 1, err));
    u->job->task = TASK_CONTINUE;
    u->job->device = "cpu";
    u->pool = pool_new(2);
    return u;
}

static void end(setup *u) {
    pool_free(u->pool);
    job_free(u->job);
    arena_free(u->a);
}

static void add(char to[512], str s) {
    size_t n = strlen(to);
    for (size_t i = 0; i < s.n && n < 511; i++)
        if (s.p[i]) to[n++] = s.p[i];
    to[n] = 0;
}

static hone_status take_piece(void *arg, int64_t i, int number, str piece, hone_err *err) {
    setup *u = arg;
    size_t bad;
    (void)err;
    CHECK(piece.n > 0 && utf8_valid(piece.p, piece.n, &bad));
    CHECK(i == u->n && !number); /* of the first text that is not done */
    add(u->shown, piece);
    return HONE_OK;
}

static hone_status take(void *arg, const continuation *c, hone_err *err) {
    setup *u = arg;
    CHECK(u->n < MOST_TEXTS && c->n <= 64);
    kept *k = &u->kept[u->n++];
    *k = (kept){.prompt = (int)c->prompt, .number = c->number, .n = c->n, .logprob = c->logprob, .score = c->score};
    memcpy(k->id, c->id, sizeof *c->id * (size_t)c->n);
    snprintf(k->finish, sizeof k->finish, "%s", c->finish);
    add(k->text, c->text);
    memcpy(k->pieces, u->shown, sizeof k->pieces);
    u->shown[0] = 0;
    return u->n == u->stops_after ? hone_fail(err, HONE_ESTORAGE, "full") : HONE_OK;
}

/* Settings as "name=value" words. */
static void settings(setup *u, const session *s, generation *g, const char *const *words, int n) {
    const char *value[N_GENERATION] = {NULL};
    for (int i = 0; i < n; i++)
        for (int k = 0; k < N_GENERATION; k++) {
            const size_t len = strlen(generation_name(k));
            if (!strncmp(words[i], generation_name(k), len) && words[i][len] == '=') value[k] = words[i] + len + 1;
        }
    CHECK_OK(generation_load(g, u->a, test_fixture("generate"), s->config, s->tok, NULL, value, err));
    g->seed = (uint64_t)u->job->seed;
}

static hone_status write_texts(setup *u, const int *which, int n, const char *const *words, int n_words, const str *stop,
                               int n_stops, hone_err *err) {
    session *s;
    generation g;
    prompt p[PROMPTS];
    for (int i = 0; i < n; i++) p[i] = u->prompt[which ? which[i] : i];
    CHECK_OK(session_open(&s, u->job, test_fixture("generate"), NULL, u->pool, err));
    settings(u, s, &g, words, n_words);
    g.stop = stop, g.n_stops = n_stops;
    u->n = 0;
    u->shown[0] = 0;
    const generate_sink to = {u->wants_pieces ? take_piece : NULL, take, u};
    const hone_status status = generate(s, &g, p, n, &to, err);
    session_close(s);
    return status;
}

#define WORDS(...) (const char *const[]){__VA_ARGS__}, (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))
#define WRITE(u, which, n, ...) CHECK_OK(write_texts(u, which, n, WORDS(__VA_ARGS__), NULL, 0, err))

/* ---- beside transformers ---- */

static void compare_run(setup *u, const json *asked, int n_prompts) {
    const char *words[16];
    int n = 0, at = 0;
    for (const json *x = asked->child; x; x = x->next) {
        if (!strcmp(x->key.p, "name") || !strcmp(x->key.p, "texts")) continue;
        if (x->kind == JSON_STRING) words[n++] = arena_print(u->a, "%s=%s", x->key.p, x->string.p);
        else if (x->kind == JSON_BOOL) words[n++] = arena_print(u->a, "%s=%s", x->key.p, x->boolean ? "true" : "false");
        else words[n++] = arena_print(u->a, "%s=%.9g", x->key.p, x->number);
    }
    words[n++] = arena_print(u->a, "max_new_tokens=%.0f", number_of(u->golden, "max_new_tokens"));
    CHECK_OK(write_texts(u, NULL, n_prompts, words, n, NULL, 0, err));
    int p = 0;
    for (const json *row = member(asked, "texts")->child; row && p < n_prompts; row = row->next, p++)
        for (const json *t = row->child; t; t = t->next, at++) {
            const kept *k = &u->kept[at];
            const char *about = arena_print(u->a, "%s, prompt %d, text %d", text_of(asked, "name"), p, k->number);
            CHECK(at < u->n);
            if (k->prompt != p || strcmp(k->finish, text_of(t, "finish")) || k->n != (int)member(t, "ids")->n)
                test_fail(__FILE__, __LINE__, "%s: prompt %d, %d tokens, %s", about, k->prompt, k->n, k->finish);
            int i = 0;
            for (const json *id = member(t, "ids")->child; id; id = id->next, i++)
                if (id->integer != k->id[i])
                    test_fail(__FILE__, __LINE__, "%s: token %d is %d, expected %d", about, i, k->id[i], (int)id->integer);
            if (json_get(t, "score")) CHECK_NEAR(k->score, number_of(t, "score"), 1e-5 * fabs(number_of(t, "score")));
        }
    CHECK_INT(at, u->n);
}

static void compare_all(const char *device, int n_prompts, int64_t at_once) {
    setup *u = begin();
    int n = 0;
    u->job->device = device;
    u->job->per_device_eval_batch_size = at_once;
    for (const json *asked = member(u->golden, "runs")->child; asked; asked = asked->next, n++) compare_run(u, asked, n_prompts);
    CHECK_INT(n, 9);
    end(u);
}

TEST(generate_writes_what_transformers_writes) { compare_all("cpu", PROMPTS, 8); }
TEST(generate_writes_what_transformers_writes_on_ref) { compare_all("ref", PROMPTS, 16); }
TEST(generate_writes_what_transformers_writes_on_emu) { compare_all("emu", 5, 3); }

/* ---- what texts do not depend on ---- */

static int same_text(const kept *a, const kept *b) {
    return a->n == b->n && a->logprob == b->logprob && !memcmp(a->id, b->id, sizeof *a->id * (size_t)a->n);
}

static const char *const drawn[] = {"do_sample=true", "max_new_tokens=24", "temperature=0.9", "top_p=0.95"};

static const char *const drawn_beams[] = {"do_sample=true", "max_new_tokens=16", "num_beams=3", "top_k=0"};

/* Alone, in another order, in other batches, by one thread, without caches: the same bits. */
TEST(generate_draws_the_same_alone_and_together) {
    setup *u = begin();
    static kept want[PROMPTS];
    int order[PROMPTS], unlike = 0;
    CHECK_OK(write_texts(u, NULL, PROMPTS, drawn, 4, NULL, 0, err));
    CHECK_INT(u->n, PROMPTS);
    memcpy(want, u->kept, sizeof want);
    for (int i = 0; i < PROMPTS; i++) order[i] = (i * 7 + 3) % PROMPTS;
    u->job->per_device_eval_batch_size = 3;
    pool_free(u->pool);
    u->pool = pool_new(1);
    CHECK_OK(write_texts(u, order, PROMPTS, drawn, 4, NULL, 0, err));
    for (int i = 0; i < PROMPTS; i++) CHECK(same_text(&u->kept[i], &want[order[i]]));
    pool_free(u->pool);
    u->pool = pool_new(3);
    for (int i = 0; i < 6; i++) {
        CHECK_OK(write_texts(u, &i, 1, drawn, 4, NULL, 0, err));
        CHECK(same_text(&u->kept[0], &want[i]));
    }
    u->job->seed = 43;
    CHECK_OK(write_texts(u, NULL, PROMPTS, drawn, 4, NULL, 0, err));
    for (int i = 0; i < PROMPTS; i++) unlike += !same_text(&u->kept[i], &want[i]);
    CHECK(unlike > PROMPTS / 2);
    end(u);
}

TEST(generate_draws_the_same_beams_alone_and_together) {
    setup *u = begin();
    static kept want[PROMPTS];
    int unlike = 0;
    CHECK_OK(write_texts(u, NULL, PROMPTS, drawn_beams, 4, NULL, 0, err));
    memcpy(want, u->kept, sizeof want);
    u->job->per_device_eval_batch_size = 2;
    pool_free(u->pool);
    u->pool = pool_new(1);
    for (int i = 3; i < 12; i += 4) {
        const int two[2] = {i, i - 1};
        CHECK_OK(write_texts(u, two, 2, drawn_beams, 4, NULL, 0, err));
        CHECK(same_text(&u->kept[0], &want[i]) && same_text(&u->kept[1], &want[i - 1]));
    }
    u->job->seed = 43;
    CHECK_OK(write_texts(u, NULL, PROMPTS, drawn_beams, 4, NULL, 0, err));
    for (int i = 0; i < PROMPTS; i++) unlike += !same_text(&u->kept[i], &want[i]);
    CHECK(unlike > PROMPTS / 2);
    end(u);
}

TEST(generate_gives_the_same_bits_without_caches) {
    setup *u = begin();
    static kept want[4][MOST_TEXTS];
    static const char *const more[4][2] = {{"num_beams=1", "do_sample=false"}, {"num_beams=3", "num_return_sequences=3"},
                                           {"do_sample=true", "num_return_sequences=2"}, {"do_sample=true", "num_beams=3"}};
    for (int cached = 1; cached >= 0; cached--)
        for (int k = 0; k < 4; k++) {
            WRITE(u, NULL, 20, more[k][0], more[k][1], cached ? "use_cache=true" : "use_cache=false", "max_new_tokens=16");
            if (cached) memcpy(want[k], u->kept, sizeof want[k]);
            for (int i = 0; i < u->n; i++) CHECK(same_text(&u->kept[i], &want[k][i]));
        }
    end(u);
}

TEST(generate_draws_several_texts_of_a_prompt_and_the_first_is_that_of_one) {
    setup *u = begin();
    WRITE(u, NULL, 4, "do_sample=true", "max_new_tokens=12");
    kept first[4];
    memcpy(first, u->kept, sizeof first);
    WRITE(u, NULL, 4, "do_sample=true", "max_new_tokens=12", "num_return_sequences=3");
    CHECK_INT(u->n, 12);
    for (int i = 0; i < 12; i++) {
        CHECK_INT(u->kept[i].prompt * 3 + u->kept[i].number, i);
        if (i % 3 == 0) CHECK(same_text(&u->kept[i], &first[i / 3]));
        else CHECK(!same_text(&u->kept[i], &u->kept[i - 1]));
    }
    end(u);
}

/* With top_k 1 nothing is left to chance. */
TEST(generate_draws_the_likeliest_of_one) {
    setup *u = begin();
    static kept want[PROMPTS];
    WRITE(u, NULL, PROMPTS, "max_new_tokens=12");
    memcpy(want, u->kept, sizeof want);
    WRITE(u, NULL, PROMPTS, "max_new_tokens=12", "do_sample=true", "top_k=1");
    for (int i = 0; i < PROMPTS; i++) CHECK(same_text(&u->kept[i], &want[i]));
    end(u);
}

/* ---- ends and pieces ---- */

TEST(generate_pieces_are_the_texts) {
    setup *u = begin();
    int n = 0;
    u->wants_pieces = 1;
    u->job->per_device_eval_batch_size = 4;
    const str stop[] = {STR("qq"), STR("or\xef")};
    for (int k = 0; k < 2; k++) {
        CHECK_OK(write_texts(u, NULL, 30, drawn, 4, stop, 2 * k, err));
        for (int i = 0; i < u->n; i++, n++) CHECK_STR(u->kept[i].pieces, u->kept[i].text);
        WRITE(u, NULL, 10, "num_beams=2");
        for (int i = 0; i < u->n; i++, n++) CHECK_STR(u->kept[i].pieces, u->kept[i].text);
    }
    CHECK_INT(n, 80);
    end(u);
}

TEST(generate_stops_before_stop_strings) {
    setup *u = begin();
    static kept want[PROMPTS];
    int stopped = 0;
    const str stop[] = {STR(" p"), STR("a")};
    WRITE(u, NULL, PROMPTS, "max_new_tokens=24");
    memcpy(want, u->kept, sizeof want);
    CHECK_OK(write_texts(u, NULL, PROMPTS, WORDS("max_new_tokens=24"), stop, 2, err));
    for (int i = 0; i < PROMPTS; i++) {
        const kept *k = &u->kept[i];
        const char *p = strstr(want[i].text, " p"), *a = strstr(want[i].text, "a"), *at = p && (!a || p < a) ? p : a;
        if (at && strcmp(k->finish, "eos")) {
            CHECK_STR(k->finish, "stop");
            CHECK_INT(strlen(k->text), at - want[i].text);
            CHECK(!strncmp(k->text, want[i].text, strlen(k->text)));
            CHECK(k->n <= want[i].n && !memcmp(k->id, want[i].id, sizeof *k->id * (size_t)k->n));
            stopped++;
        } else CHECK(same_text(k, &want[i]));
    }
    CHECK(stopped > 5);
    const str both[] = {STR("p p p")}; /* spread over tokens */
    CHECK_OK(write_texts(u, NULL, PROMPTS, WORDS("max_new_tokens=24", "num_beams=2"), both, 1, err));
    for (int i = 0; i < PROMPTS; i++) CHECK(!strstr(u->kept[i].text, "p p p"));
    end(u);
}

TEST(generate_ends_at_the_last_position_and_at_max_length) {
    setup *u = begin();
    int most = 0;
    WRITE(u, NULL, PROMPTS, "max_new_tokens=1000", "min_new_tokens=1000");
    for (int i = 0; i < PROMPTS; i++) {
        CHECK_STR(u->kept[i].finish, "length");
        CHECK_INT(u->kept[i].n, 64 - u->prompt[i].n + 1);
    }
    WRITE(u, NULL, PROMPTS, "max_length=40", "min_new_tokens=1000");
    for (int i = 0; i < PROMPTS; i++) {
        CHECK_INT(u->kept[i].n + u->prompt[i].n, 40);
        most = u->kept[i].n > most ? u->kept[i].n : most;
    }
    CHECK(most > 30);
    WRITE(u, NULL, 3, "max_new_tokens=1");
    for (int i = 0; i < 3; i++) CHECK_INT(u->kept[i].n, 1);
    end(u);
}

TEST(generate_ends_with_what_its_sink_returns) {
    setup *u = begin();
    hone_err err = {0};
    u->stops_after = 4;
    CHECK_INT(write_texts(u, NULL, PROMPTS, drawn, 4, NULL, 0, &err), HONE_ESTORAGE);
    CHECK_INT(u->n, 4);
    end(u);
}
