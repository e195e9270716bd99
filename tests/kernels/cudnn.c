/* cudnn.c - cuDNN as a player of the cuda device: its graphs through the emulated library against ref, and the
 * ways in which it cannot play. */
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

#include "devices.h"
#include "emu/control.h"
#include "test.h"

static cuemu_state *machine;

static void find_machine(void) {
    char file[512];
    snprintf(file, sizeof file, "%s/lib/hone/libhone_emu.so", HONE_BUILD_FOLDER);
    if (access(file, F_OK)) test_skip("the device emu was not built");
    void *handle = dlopen(file, RTLD_NOW);
    cuemu_state *(*control)(void) = NULL;
    if (handle) *(void **)&control = dlsym(handle, "cuemu_control");
    CHECK(control != NULL);
    machine = control();
}

typedef struct {
    const cases_on *on;
    int n_played, n_refused, n_failed;
    char said[400];
} tally;

/* The case as cuDNN might play it: without dropout, positions of queries, and what is fused into a norm. */
static cases_case plain_case(const cases_case *k) {
    cases_case c = *k;
    const int wants = !!strstr(k->with, "bias"); /* what nobody asks for is made in the workspace */
    const char *with = k->op == HONE_OP_NORM_FWD        ? wants ? "gamma beta mean" : "gamma beta"
                       : k->op == HONE_OP_NORM_BWD      ? wants ? "mean gamma dgamma dbeta" : "mean gamma dbeta"
                       : k->op == HONE_OP_ATTENTION_BWD ? "dq dk dv"
                                                        : "";
    snprintf(c.with, sizeof c.with, "%s", with);
    c.attr.p = c.attr.p_out = 0;
    c.attr.engine = HONE_ENGINE_CUDNN;
    if (k->op == HONE_OP_ATTENTION_BWD) c.of_naive = 4; /* its graph rounds ds after scaling it, where fp16 has less */
    if (k->n_sequences % 2) /* else unknown, as many as there are rows */
        for (int b = 0; b < k->n_sequences; b++) {
            const int n = k->q_len[b] > k->k_len[b] ? k->q_len[b] : k->k_len[b];
            if (n > c.attr.attention.longest) c.attr.attention.longest = n;
        }
    if (k->op == HONE_OP_NORM_FWD || k->op == HONE_OP_NORM_BWD) c.row_letter = 0; /* a plan has its rows */
    return c;
}

/* Played, or refused with a reason. */
static int play_asked(void *arg, const cases_case *k) {
    tally *t = arg;
    /* Where fp16 ends is the library's own affair: its graph scales ds before it rounds it. */
    if (!strcmp(k->note, "overflow") || !strcmp(k->note, "underflow")) return t->n_refused++, 1;
    const cases_case asked = plain_case(k);
    cases_result r;
    char name[200], why[256] = "";
    const int can = cases_can(t->on->table, &asked, why, sizeof why), before = machine ? machine->n_cudnn : 0;
    if (!can) {
        CHECK(strstr(why, "cuDNN: "));
        t->n_refused++;
        return 1;
    }
    cases_describe(&asked, name, sizeof name);
    const cases_outcome outcome = cases_check(t->on, &asked, &r);
    if (outcome == CASES_PASS && (!machine || machine->n_cudnn > before)) t->n_played++;
    else if (!machine && !t->n_played && strstr(r.what, "libcudnn")) test_skip("%.200s", r.what);
    else if (!machine && strstr(r.what, "compute capability 9.0 alone")) t->n_refused++;
    else {
        if (!t->n_failed)
            snprintf(t->said, sizeof t->said, "%s %s: %.180s", hone_op_find(k->op)->name, name, r.what);
        if (t->n_failed++ < 20) fprintf(stderr, "  %s %s: %s\n", hone_op_find(k->op)->name, name, r.what);
    }
    return 1;
}

static void play_family(const char *device, hone_op first, hone_op last, int least) {
    const cases_on on = devices_open(device);
    tally t = {.on = &on};
    devices_each(first, last, CASES_CHECK, play_asked, &t);
    fprintf(stderr, "  %d played by cuDNN, %d refused\n", t.n_played, t.n_refused);
    if (t.n_failed)
        test_fail(__FILE__, __LINE__, "%d of %d cases failed, the first: %s", t.n_failed,
                  t.n_failed + t.n_played, t.said);
#ifndef HONE_SANITIZED
    CHECK(t.n_played >= least);
#else
    CHECK(least > 0 && t.n_played > 0);
#endif
}
TEST(cudnn_emulated_attention_agrees_with_ref) {
    find_machine();
    play_family("emu", HONE_OP_ATTENTION_FWD, HONE_OP_ATTENTION_BWD, 90);
}
TEST(cudnn_emulated_norms_agree_with_ref) {
    find_machine();
    play_family("emu", HONE_OP_NORM_FWD, HONE_OP_NORM_BWD, 80);
}

/* On a GPU, with the library itself. */
static void need_gpu(void) {
    if (access("/dev/nvidiactl", F_OK) && access("/dev/dxg", F_OK)) test_skip("no GPU answers");
}
TEST(cuda_plays_attention_by_cudnn_as_ref_does) {
    need_gpu();
    play_family("cuda", HONE_OP_ATTENTION_FWD, HONE_OP_ATTENTION_BWD,
                40); /* forward alone where backward is refused */
}
TEST(cuda_plays_norms_by_cudnn_as_ref_does) {
    need_gpu();
    play_family("cuda", HONE_OP_NORM_FWD, HONE_OP_NORM_BWD, 40);
}

/* ---- choosing ----------------------------------------------------------------------------------------------------*/
static char said[4096]; /* what the device logged */
static void note(void *context, const char *line) {
    (void)context;
    snprintf(said + strlen(said), sizeof said - strlen(said), "%s\n", line);
}
static hone_device *open_device(void) {
    static hone_host_v1 host; /* outlives the device */
    hone_device *d;
    host = *pool_host(pool_new(1));
    host.log = note;
    CHECK_OK(device_load("emu", err)->open(&d, &host, 0, err));
    return d;
}

/* Attention of one sequence of S rows among N. */
static hone_query attention(int64_t N, int longest, hone_engine engine, hone_dtype dtype) {
    const hone_tensor rows = {.dim = {N, 2, 32}, .ld = 64, .n_dims = 3, .dtype = dtype};
    hone_query q = {.op = HONE_OP_ATTENTION_FWD,
                    .attr = {.engine = engine, .attention = {.longest = longest, .scale = 0.2}}};
    q.in[0] = q.in[1] = q.in[2] = q.out[0] = rows;
    q.in[3] = q.in[4] = (hone_tensor){.dim = {3, 1, 1}, .ld = 1, .n_dims = 1, .dtype = HONE_RANGE};
    q.out[1] = (hone_tensor){.dim = {2, N, 1}, .ld = N, .n_dims = 2, .dtype = HONE_F32};
    return q;
}

static void refuses(const hone_query *q, const char *words, const char *instead) {
    const hone_device_v1 *table = device_load("emu", NULL);
    hone_device *d = open_device();
    hone_err err = {0};
    void *choice = &err;
    const hone_status status = table->choose(d, q, &choice, &err);
    if (status != HONE_EUSAGE || choice || !strstr(err.text, words) ||
        !strstr(err.hint, instead))
        test_fail(__FILE__, __LINE__, "status %d, \"%s\" (%s); expected \"%s\" and a hint", status, err.text,
                  err.hint, words);
    table->close(d);
}

/* A norm of N rows, asked of cuDNN. */
static hone_query norm(int64_t N) {
    const hone_tensor rows = {.dim = {N, 48, 1}, .ld = 48, .n_dims = 2, .dtype = HONE_BF16},
                      vector = {.dim = {48, 1, 1}, .ld = 1, .n_dims = 1, .dtype = HONE_BF16},
                      numbers = {.dim = {N, 1, 1}, .ld = 1, .n_dims = 1, .dtype = HONE_F32};
    return (hone_query){.op = HONE_OP_NORM_FWD,
                        .attr = {.engine = HONE_ENGINE_CUDNN, .norm = {HONE_NORM_LAYER, 1e-5}},
                        .in = {[0] = rows, [4] = vector, [5] = vector},
                        .out = {rows, numbers, numbers}};
}

TEST(cudnn_that_is_asked_for_but_absent_is_an_error) {
    find_machine();
    const hone_query q = attention(600, 512, HONE_ENGINE_CUDNN, HONE_BF16);
    machine->cudnn_version = 0;
    refuses(&q, "emu: ATTENTION_FWD by cuDNN: this machine has no libcudnn.so.9", "\"attention\": \"hone\"");
    machine->cudnn_version = 90100;
    refuses(&q, "cuDNN is 9.1.0; expected 9.6.0 or later", "\"attention\": \"hone\"");
    const hone_query n = norm(64);
    refuses(&n, "emu: NORM_FWD by cuDNN: cuDNN is 9.1.0", "\"layernorm\": \"hone\"");
    machine->cudnn_version = 91900, machine->cudnn_knows_nothing = 1;
    refuses(&q, "it knows no engine for this graph", "\"attention\": \"hone\"");
}
TEST(cudnn_backward_is_refused_where_its_bits_would_change) {
    find_machine();
    hone_query q = attention(600, 512, HONE_ENGINE_CUDNN, HONE_BF16);
    hone_query back = {.op = HONE_OP_ATTENTION_BWD, .attr = q.attr};
    back.in[0] = back.in[1] = q.out[0], back.in[2] = q.out[1];
    for (int i = 0; i < 5; i++) back.in[3 + i] = q.in[i];
    back.out[0] = back.out[1] = back.out[2] = q.out[0];
    machine->major = 8;
    refuses(&back, "adds in one order on compute capability 9.0 alone", "\"attention\": \"hone\"");
}

/* Whether the rule takes cuDNN for a forward, and what the log says. */
static int takes(const hone_query *q, const char *words) {
    const hone_device_v1 *table = device_load("emu", NULL);
    hone_device *d = open_device();
    void *choice;
    *said = 0;
    CHECK_OK(table->choose(d, q, &choice, err));
    const int took = choice != NULL;
    CHECK_OK(table->choose(d, q, &choice, err)); /* says nothing more */
    if (words ? !strstr(said, words) || strchr(said, '\n') != said + strlen(said) - 1 : *said)
        test_fail(__FILE__, __LINE__, "the log says \"%s\"; expected \"%s\"", said, words ? words : "");
    table->close(d);
    return took;
}
TEST(cudnn_is_preferred_for_long_sequences_on_hopper_without_dropout) {
    find_machine();
    hone_query q = attention(600, 512, HONE_ENGINE_AUTO, HONE_BF16);
    CHECK(takes(&q, "ATTENTION_FWD, bf16: cuDNN 9.19.0 plays: sequences may be longer than 256"));
    q.attr.attention.longest = 256;
    CHECK(!takes(&q, NULL));
    q.attr.attention.longest = 0; /* unknown */
    CHECK(!takes(&q, NULL));
    q.attr.attention.longest = 512, q.attr.p = 0.1f;
    CHECK(!takes(&q, NULL));
    q.attr.p = 0, q.attr.engine = HONE_ENGINE_HONE;
    CHECK(!takes(&q, NULL));
    q = attention(600, 512, HONE_ENGINE_AUTO, HONE_F32);
    CHECK(!takes(&q, NULL));
    q = attention(600, 512, HONE_ENGINE_AUTO, HONE_BF16);
    machine->cudnn_version = 0;
    CHECK(!takes(&q, "hone's own kernels play, though cuDNN may be faster for long sequences: this machine "
                     "has no libcudnn.so.9"));
    machine->cudnn_version = 91900, machine->major = 8;
    CHECK(!takes(&q, NULL));
}
TEST(cudnn_refuses_what_it_cannot_play_when_the_plan_is_made) {
    find_machine();
    const hone_device_v1 *table = device_load("emu", NULL);
    hone_query q = attention(600, 512, HONE_ENGINE_CUDNN, HONE_BF16);
    char why[256];
    CHECK(table->can(&q, why, sizeof why));
    CHECK_INT(table->list_bytes(&q), 0);
    q.attr.p = 0.1f;
    CHECK(!table->can(&q, why, sizeof why));
    CHECK_STR(why, "cuDNN: dropout inside attention: its masks are not hone's");
    q = attention(600, 512, HONE_ENGINE_CUDNN, HONE_F32);
    CHECK(!table->can(&q, why, sizeof why));
    CHECK_STR(why, "cuDNN: attention in bf16 and fp16 alone");
    q = attention(600, 512, HONE_ENGINE_CUDNN, HONE_F16);
    for (int i = 0; i < 3; i++) q.in[i].dim[2] = 20;
    CHECK(!table->can(&q, why, sizeof why));
    CHECK_STR(why, "cuDNN: head width K = 20; expected a multiple of 8 up to 256");
}
TEST(cudnn_norms_are_norms_and_no_more) {
    find_machine();
    const hone_device_v1 *table = device_load("emu", NULL);
    char why[256];
    hone_query q = norm(64);
    CHECK(table->can(&q, why, sizeof why));
    q.out[1].n_dims = 0; /* its means lie in the workspace */
    CHECK(table->can(&q, why, sizeof why));
    const size_t few = table->work_bytes(&q);
    q.in[0].dim[0] = 640;
    CHECK(table->work_bytes(&q) > few);
    q.in[3] = q.in[0];
    CHECK(!table->can(&q, why, sizeof why));
    CHECK_STR(why, "cuDNN: a layer norm with gamma and beta, and nothing beside it");
    q = norm(64);
    q.attr.norm.kind = HONE_NORM_RMS;
    CHECK(!table->can(&q, why, sizeof why));
    q = norm(64);
    q.attr.p_out = 0.1f;
    CHECK(!table->can(&q, why, sizeof why));
    CHECK_STR(why, "cuDNN: dropout in a norm");
}
/* What is chosen for one number of rows plays no other. */
TEST(cudnn_norms_have_a_plan_for_each_number_of_rows) {
    find_machine();
    const hone_device_v1 *table = device_load("emu", NULL);
    hone_device *d = open_device();
    void *one, *other, *again;
    hone_query q = norm(64), more = norm(128);
    CHECK_OK(table->choose(d, &q, &one, err));
    CHECK_OK(table->choose(d, &more, &other, err));
    CHECK_OK(table->choose(d, &q, &again, err));
    CHECK(one && other && one == again && one != other);
    table->close(d);
}
