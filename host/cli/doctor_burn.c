/* doctor_burn.c - a device that is ill computes something else now and then: the same work again and again, by its bits. */
#include <stdio.h>
#include <string.h>

#include "cli/doctor.h"
#include "base/err.h"
#include "base/host.h"
#include "cases/cases.h"

#define CASES_MOST 128
#define SLICE_S 0.02
#define FEWEST                                                                                               \
    ((int64_t)1                                                                                              \
     << 12) /* product of a case's extents: enough to do, and the check against ref takes moments */
#define MOST ((int64_t)1 << 20)

typedef struct {
    cases_case k[CASES_MOST];
    int n, have[HONE_N_OPS];
} picked;

/* Four of each op: products, attention, norms, softmax, losses, updates, sums. */
static int pick(void *arg, const cases_case *k) {
    picked *p = arg;
    int64_t elements = 1;
    for (int i = 0; i < 26; i++)
        if (k->extent[i] > 0 && elements < MOST) elements *= k->extent[i];
    if (p->have[k->op] == 4 || elements < FEWEST || elements >= MOST) return 1;
    p->have[k->op]++;
    p->k[p->n++] = *k;
    return p->n < CASES_MOST;
}

typedef struct {
    cases_on on;
    const hone_host_v1 *host;
    const char *name;
    int ordinal;
    uint32_t bits[CASES_MOST]; /* of the first time, on the first device of the kind */
    int known[CASES_MOST];
    int64_t n_runs;
} burning;

static hone_status burn_once(burning *b, const picked *p, double until_ns, hone_err *err) {
    for (int i = 0; i < p->n && (double)clock_ns() < until_ns; i++) {
        cases_result r = {0};
        char name[200];
        const cases_outcome outcome = cases_bench(&b->on, &p->k[i], b->host, SLICE_S, &r);
        if (outcome == CASES_REFUSED) continue;
        cases_describe(&p->k[i], name, sizeof name);
        if (outcome == CASES_FAIL)
            return hone_fail(err, HONE_ENOTFINITE, "%s %d: %s %s is wrong: %s", b->name, b->ordinal,
                             hone_op_find(p->k[i].op)->name, name, r.what);
        if (b->known[i] && r.bits != b->bits[i])
            return hone_fail(
                err, HONE_ENOTFINITE,
                "%s %d: %s %s gave bits %08x, and %08x before; expected the same: take that device out",
                b->name, b->ordinal, hone_op_find(p->k[i].op)->name, name, r.bits, b->bits[i]);
        b->bits[i] = r.bits;
        b->known[i] = 1;
        b->n_runs += r.n_runs;
    }
    return HONE_OK;
}

static hone_status burn_device(burning *b, const picked *p, double seconds, hone_err *err) {
    HONE_TRY(b->on.table->open(&b->on.device[0], b->host, b->ordinal, err));
    const double until_ns = (double)clock_ns() + seconds * 1e9;
    hone_status status = HONE_OK;
    int times = 0;
    while (!status && (double)clock_ns() < until_ns) {
        status = burn_once(b, p, until_ns, err);
        times++;
    }
    b->on.table->close(b->on.device[0]);
    return status;
}

static hone_status burn_kind(doctor *d, burning *b, const picked *p, double seconds, hone_err *err) {
    const int n = b->on.table->count ? b->on.table->count() : 1;
    int n_cases = 0;
    b->on.n_devices = 1;
    for (b->ordinal = 0; b->ordinal < n; b->ordinal++) HONE_TRY(burn_device(b, p, seconds / n, err));
    for (int i = 0; i < p->n; i++) n_cases += b->known[i];
    doctor_fact(d, b->name, "%d device%s, %d cases, %lld calls: the same bits each time", n, n > 1 ? "s" : "",
                n_cases, (long long)b->n_runs);
    return HONE_OK;
}

hone_status doctor_burn(doctor *d, double seconds, hone_err *err) {
    static picked p;
    static burning b;
    p = (picked){0};
    b = (burning){0};
    cases_each(pick, &p);
    b.on.table = device_pick(d->device ? d->device : "auto", err);
    b.on.ref = b.on.table ? device_load("ref", err) : NULL;
    if (!b.on.ref) return HONE_EUSAGE;
    pool *threads = pool_new(d->threads);
    b.host = pool_host(threads);
    b.name = b.on.table->name;
    hone_status status = b.on.ref->open(&b.on.ref_device, b.host, 0, err);
    if (!status) status = burn_kind(d, &b, &p, seconds, err);
    if (b.on.ref_device) b.on.ref->close(b.on.ref_device);
    pool_free(threads);
    return status;
}
