/* devices.c - open devices, play cases, count what happened. */
#include "devices.h"

#include <unistd.h>

#include "test.h"

/* What has been opened lives as long as the test's process. */
static struct {
    pool *threads;
    hone_device *device;
} opened[16];
static int n_opened;

static hone_device *open_with(const hone_device_v1 *table, int n_threads) {
    CHECK(n_opened < 16);
    opened[n_opened].threads = pool_new(n_threads);
    CHECK_OK(table->open(&opened[n_opened].device, pool_host(opened[n_opened].threads), 0, err));
    return opened[n_opened++].device;
}

cases_on devices_open(const char *name) {
    char file[512];
    snprintf(file, sizeof file, "%s/lib/hone/libhone_%s.so", HONE_BUILD_FOLDER, name);
    if (access(file, F_OK)) test_skip("the device %s was not built", name);
    hone_err err = {.text = ""};
    cases_on on = {.table = device_load(name, &err), .ref = device_load("ref", &err)};
    if (!on.table || !on.ref) test_fail(__FILE__, __LINE__, "%s", err.text);
    on.ref_device = open_with(on.ref, 1);
    on.n_devices = strcmp(name, "ref") ? 3 : 1;
    for (int i = 0; i < on.n_devices; i++) on.device[i] = open_with(on.table, i + 1);
    return on;
}

/* What a device may refuse: ref the 2-byte types, and any device conversions of fp64 and fp16 and the focal
 * loss. */
static int may_refuse(const cases_on *on, const cases_case *k) {
    if (!strcmp(on->table->name, "ref")) return k->dtype == HONE_BF16 || k->dtype == HONE_F16;
    if (!strcmp(on->table->name, "cpu") && k->dtype == HONE_F16) return 1;
    if (k->op == HONE_OP_COPY)
        return k->from == HONE_F64 || k->to == HONE_F64 || k->from == HONE_F16 || k->to == HONE_F16;
    return k->op == HONE_OP_XENT && k->attr.loss.focal_gamma != 0;
}

typedef struct {
    const cases_on *on;
    hone_op first, last;
    cases_mode mode;
    int n_passed, n_failed, n_refused;
    char said[400];
} tally;

static int play_one(void *arg, const cases_case *k) {
    tally *t = arg;
    if (k->op < t->first || k->op > t->last || !(k->modes & t->mode)) return 1;
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
    tally t = {.on = on, .first = first, .last = last, .mode = mode};
    cases_each(play_one, &t);
    if (t.n_failed)
        test_fail(__FILE__, __LINE__, "%d of %d cases failed, the first: %s", t.n_failed,
                  t.n_failed + t.n_passed, t.said);
    CHECK(t.n_passed > 0);
}
