/* devices.c - open devices, play cases, count what happened. */
#include "devices.h"

#include <stdlib.h>
#include <unistd.h>

#include "test.h"

/* What has been opened lives as long as the test's process. */
static struct {
    pool *threads;
    hone_host_v1 host;
    hone_device *device;
} opened[16];
static int n_opened;

static hone_device *open_with(const hone_device_v1 *table, int n_threads, devices_recall *recall) {
    CHECK(n_opened < 16);
    opened[n_opened].threads = pool_new(n_threads);
    opened[n_opened].host = *pool_host(opened[n_opened].threads);
    if (recall) opened[n_opened].host.recall = recall;
    CHECK_OK(table->open(&opened[n_opened].device, &opened[n_opened].host, 0, err));
    return opened[n_opened++].device;
}

static int plays_all(void) {
#ifdef HONE_SANITIZED
    return getenv("HONE_LONG_TESTS") != NULL;
#else
    return 1;
#endif
}

cases_on devices_open(const char *name) { return devices_open_as(name, NULL); }

cases_on devices_open_as(const char *name, devices_recall *recall) {
    char file[512];
    snprintf(file, sizeof file, "%s/lib/hone/libhone_%s.so", HONE_BUILD_FOLDER, name);
    if (access(file, F_OK)) test_skip("the device %s was not built", name);
    hone_err err = {.text = ""};
    cases_on on = {.table = device_load(name, &err), .ref = device_load("ref", &err)};
    if (!on.table || !on.ref) test_fail(__FILE__, __LINE__, "%s", err.text);
    on.ref_device = open_with(on.ref, 1, NULL);
    on.n_devices = strcmp(name, "ref") && plays_all() ? 3 : 1;
    for (int i = 0; i < on.n_devices; i++) on.device[i] = open_with(on.table, i + 1, recall);
    if (!plays_all()) on.n_devices = 0; /* the one has none to agree with */
    return on;
}

/* What a device may refuse: ref the 2-byte types, and any device conversions of fp64 and fp16 and the focal
 * loss; GPUs update all rows of a table in every step. */
static int may_refuse(const cases_on *on, const cases_case *k) {
    if (!strcmp(on->table->name, "ref")) return k->dtype == HONE_BF16 || k->dtype == HONE_F16;
    if (!strcmp(on->table->name, "cpu")) {
        if (k->dtype == HONE_F16) return 1;
    } else if (k->op == HONE_OP_ADAMW_ROWS || k->op == HONE_OP_ADAMW_MISSED || strstr(k->with, "touched"))
        return 1;
    if (k->op == HONE_OP_COPY)
        return k->from == HONE_F64 || k->to == HONE_F64 || k->from == HONE_F16 || k->to == HONE_F16;
    return k->op == HONE_OP_XENT && k->attr.loss.focal_gamma != 0;
}

/* What chosen cases have shown: pairs of a type and a setting. */
typedef struct {
    uint64_t pair[4096];
    int n;
} shown;

static int is_new(shown *to, const cases_case *k, int kind, uint64_t setting) {
    const uint64_t type = (uint64_t)(k->op == HONE_OP_COPY ? k->from * 16 + k->to : k->dtype);
    const uint64_t pair =
        ((((uint64_t)k->op << 8 | type) << 8 | (uint64_t)kind) << 32) | (setting & 0xffffffff);
    for (int i = 0; i < to->n; i++)
        if (to->pair[i] == pair) return 0;
    CHECK(to->n < (int)(sizeof to->pair / sizeof *to->pair));
    to->pair[to->n++] = pair;
    return 1;
}

/* Kernels are chosen by powers of two and by whether rows begin at 16 bytes. */
static uint64_t size_class(int64_t n) {
    uint64_t class = n % 8 == 0;
    for (; n > 0; n /= 2) class += 2;
    return class;
}

static int is_short(const cases_case *k) {
    int64_t work = 1; /* rows of tables and parts of a whole are none */
    for (int i = 0; i < 26; i++)
        if (k->extent[i] && !strchr("GQSTV", 'A' + i)) work *= k->extent[i];
    int longest = 0;
    for (int b = 0; b < k->n_sequences; b++)
        if (k->q_len[b] + k->k_len[b] > longest) longest = k->q_len[b] + k->k_len[b];
    return k->trap || (k->n_sequences ? longest < 520 : work < 1 << 20);
}

static int shows_something(shown *to, const cases_case *k) {
    int n = 0;
    for (int i = 0; i < 26; i++)
        if (k->extent[i] && !strchr("BNM", 'A' + i)) n += is_new(to, k, 'A' + i, size_class(k->extent[i]));
    for (int b = 0; b < k->n_sequences; b++) {
        n += is_new(to, k, 'q', size_class(k->q_len[b]));
        n += is_new(to, k, 'k', size_class(k->k_len[b]));
    }
    for (const char *name = k->with; *name; name += strspn(name, " ")) {
        uint32_t hash = 0;
        for (; *name && *name != ' '; name++) hash = hash * 31 + (unsigned char)*name;
        n += is_new(to, k, '+', hash);
    }
    const int is_loss = k->op >= HONE_OP_XENT && k->op <= HONE_OP_SPAN_XENT;
    const int kind = k->attr.act.kind; /* of a norm, an activation, a mask: the first word */
    n +=
        is_new(to, k, 'a',
               is_loss ? (k->attr.loss.smoothing > 0) + 2u * (k->attr.loss.focal_gamma > 0) : (unsigned)kind);
    n += is_new(to, k, 'p', (k->attr.p > 0) + 2u * (k->attr.p_out > 0));
    n += is_new(to, k, 'm', (k->pad > 0) + 2u * (k->in_place > 0) + 4u * (k->no_list > 0));
    return n + is_new(to, k, 't', (uint64_t)k->trap) > 0;
}

typedef struct {
    hone_op first, last;
    cases_mode mode;
    cases_visit *visit;
    void *arg;
    int n_left;
    shown shown;
} choice;

static int choose(void *arg, const cases_case *k) {
    choice *c = arg;
    const unsigned modes = c->mode | (c->mode == CASES_CHECK && getenv("HONE_LONG_TESTS") ? CASES_LONG : 0);
    if (k->op < c->first || k->op > c->last || !(k->modes & modes)) return 1;
    if (plays_all()) return c->visit(c->arg, k);
    if (!is_short(k) || !shows_something(&c->shown, k)) return c->n_left++, 1;
    cases_case whole = *k;
    whole.row_letter = 0;
    return c->visit(c->arg, &whole);
}

void devices_each(hone_op first, hone_op last, cases_mode mode, cases_visit *visit, void *arg) {
    static choice c;
    c = (choice){.first = first, .last = last, .mode = mode, .visit = visit, .arg = arg};
    cases_each(choose, &c);
    if (c.n_left) fprintf(stderr, "  %d cases left out; HONE_LONG_TESTS=1 plays all\n", c.n_left);
}

typedef struct {
    const cases_on *on;
    cases_mode mode;
    int n_passed, n_failed, n_refused;
    char said[400];
} tally;

static int play_one(void *arg, const cases_case *k) {
    tally *t = arg;
    cases_result r;
    const cases_outcome outcome =
        t->mode == CASES_GRAD ? cases_grad(t->on, k, &r) : cases_check(t->on, k, &r);
    if (outcome == CASES_PASS) t->n_passed++;
    if (outcome == CASES_REFUSED && may_refuse(t->on, k)) t->n_refused++;
    else if (outcome != CASES_PASS) {
        char name[256];
        cases_describe(k, name, sizeof name);
        if (!t->n_failed)
            snprintf(t->said, sizeof t->said, "%s %.150s: %.180s", hone_op_find(k->op)->name, name, r.what);
        if (t->n_failed++ < 20) fprintf(stderr, "  %s %s: %s\n", hone_op_find(k->op)->name, name, r.what);
    }
    return 1;
}

void devices_play(const cases_on *on, hone_op first, hone_op last, cases_mode mode) {
    tally t = {.on = on, .mode = mode};
    devices_each(first, last, mode, play_one, &t);
    if (t.n_failed)
        test_fail(__FILE__, __LINE__, "%d of %d cases failed, the first: %s", t.n_failed,
                  t.n_failed + t.n_passed, t.said);
    CHECK(t.n_passed > 0);
}
