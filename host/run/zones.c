/* zones.c - red zones: what lies behind every value holds a pattern, and after each step the pattern must still be
 * there. A plan has them when asked (plan_options.zone_bytes; sessions of Debug builds ask), so run and plan still agree
 * to the byte.
 *
 * Activations share places in time: the zone of one is written just before the step that makes it, and counts until
 * another value is made there. A program's begin forgets them all. */
#include <string.h>

#include "run/inside.h"
#include "base/err.h"

enum { PATTERN = 0xA5, MOST_BYTES = 1024 };

typedef struct {
    char *at;
    size_t bytes;
    size_t from, to; /* of the storage and its zone, in the slab */
    int value;       /* 0: the end of a slab */
    hone_class cls;
    int is_armed;
} zone;

struct zones {
    zone *zone; /* [0]: of the workspace, whose place each step decides */
    int *of;    /* by value; 0: it has none */
    int n;
    char *seen, pattern[MOST_BYTES];
};

static size_t exact_bytes(const hone_value *x) {
    size_t n = hone_dtype_bytes(x->dtype);
    for (int d = 0; d < x->n_dims; d++) n *= (size_t)x->dim[d].n;
    return n;
}
static size_t up(size_t n) { return (n + 255) / 256 * 256; }

static int has_zone(const hone_value *x) {
    return !x->base && (x->cls == HONE_ACTIVATION || x->cls == HONE_INPUT || x->cls == HONE_CONST ||
                        x->cls == HONE_RESULT);
}

static void add(run *r, hone_class cls, size_t from, size_t bytes, size_t zone_bytes, int value) {
    struct zones *z = r->zones;
    if (value) z->of[value] = z->n;
    z->zone[z->n++] = (zone){.at = (char *)r->slab[cls] + from + bytes,
                             .bytes = zone_bytes,
                             .from = from,
                             .to = from + bytes + zone_bytes,
                             .value = value,
                             .cls = cls};
}

hone_status zones_open(run *r, hone_err *err) {
    const hone_plan *p = r->plan;
    static const hone_class whole[] = {HONE_PARAM, HONE_STATE, HONE_GRAD};
    hone_status status = HONE_OK;
    if (!p->zone_bytes) return HONE_OK;
    HONE_ASSERT(p->zone_bytes + 256 <= MOST_BYTES);
    struct zones *z = r->zones = ARENA_NEW(r->a, struct zones);
    z->zone = ARENA_ARRAY(r->a, (size_t)p->n_values + HONE_N_CLASSES + 1, zone);
    z->of = ARENA_ARRAY(r->a, (size_t)p->n_values + 1, int);
    z->n = 1;
    memset(z->pattern, PATTERN, sizeof z->pattern);
    for (int v = 1; v <= p->n_values; v++) {
        const hone_value *x = &p->value[v];
        const size_t bytes = exact_bytes(x);
        if (has_zone(x) && r->slab[x->cls])
            add(r, x->cls, x->offset, bytes, up(bytes) - bytes + p->zone_bytes, v);
    }
    for (size_t c = 0; c < sizeof whole / sizeof *whole; c++)
        if (r->slab[whole[c]]) add(r, whole[c], 0, p->slab_bytes[whole[c]] - p->zone_bytes, p->zone_bytes, 0);
    z->seen = ARENA_ARRAY(r->a, (size_t)z->n * MOST_BYTES, char);
    for (int i = 1; i < z->n && !status; i++) {
        if (z->zone[i].cls == HONE_ACTIVATION) continue;
        z->zone[i].is_armed = 1;
        status = r->table->put(r->queue, z->zone[i].at, z->pattern, z->zone[i].bytes);
        for (int k = 0; k < r->n_images && z->zone[i].cls == HONE_INPUT; k++) /* which is copied as a whole */
            memset((char *)r->image[k] + (z->zone[i].at - (char *)r->slab[HONE_INPUT]), PATTERN,
                   z->zone[i].bytes);
    }
    if (!status) status = r->table->queue_wait(r->queue);
    return status ? hone_fail(err, status, "device %s: writing red zones failed", r->table->name) : HONE_OK;
}

/* The zone of a value that is about to be made. Where it takes the place of one that is read, nothing of that is
 * touched. */
static hone_status arm(run *r, int v) {
    struct zones *z = r->zones;
    zone *mine = &z->zone[z->of[v]];
    char *from = (char *)r->slab[HONE_ACTIVATION] + mine->from + exact_bytes(&r->plan->value[v]);
    char *const to = (char *)r->slab[HONE_ACTIVATION] + mine->to;
    for (int i = 1; i < z->n; i++) {
        zone *x = &z->zone[i];
        if (x == mine || !x->is_armed || x->cls != HONE_ACTIVATION || x->to <= mine->from ||
            mine->to <= x->from)
            continue;
        x->is_armed = 0;
        if (x->from == mine->from && x->at > from && x->at < to) from = x->at;
    }
    mine->at = from;
    mine->bytes = (size_t)(to - from);
    mine->is_armed = 1;
    return r->table->put(r->queue, mine->at, z->pattern, mine->bytes);
}

hone_status zones_arm(run *r, const hone_step *s, int i) {
    struct zones *z = r->zones;
    if (!z) return HONE_OK;
    for (int k = 1; k < z->n && i == 0; k++)
        if (z->zone[k].cls == HONE_ACTIVATION) z->zone[k].is_armed = 0;
    for (int k = 0; k < HONE_MAX_OUT; k++) {
        int v = s->out[k];
        while (v && r->plan->value[v].base) v = r->plan->value[v].base;
        if (!v || r->plan->value[v].cls != HONE_ACTIVATION) continue;
        if (z->zone[z->of[v]].is_armed) continue; /* a part of it was made before */
        HONE_TRY(arm(r, v));
    }
    if (!r->slab[HONE_WORK]) return HONE_OK;
    z->zone[0] = (zone){.at = (char *)r->slab[HONE_WORK] + s->work_bytes,
                        .bytes = r->plan->zone_bytes,
                        .cls = HONE_WORK,
                        .is_armed = 1};
    return r->table->put(r->queue, z->zone[0].at, z->pattern, z->zone[0].bytes);
}

static const char *name_of(const run *r, const zone *x) {
    static const char *const slabs[] = {"",
#define XX(name, text, what) "the slab " text,
                                        HONE_CLASS_MAP(XX)
#undef XX
    };
    return x->value ? r->plan->value[x->value].name : x->cls == HONE_WORK ? "its workspace" : slabs[x->cls];
}

hone_status zones_check(run *r, const hone_step *s, int i, hone_err *err) {
    struct zones *z = r->zones;
    hone_status status = HONE_OK;
    if (!z) return HONE_OK;
    for (int k = 0; k < z->n && !status; k++)
        if (z->zone[k].is_armed)
            status =
                r->table->get(r->queue, z->seen + (size_t)k * MOST_BYTES, z->zone[k].at, z->zone[k].bytes);
    if (!status) status = r->table->queue_wait(r->queue);
    if (status) return hone_fail(err, status, "device %s: reading red zones failed", r->table->name);
    for (int k = 0; k < z->n; k++) {
        const zone *x = &z->zone[k];
        const char *seen = z->seen + (size_t)k * MOST_BYTES;
        size_t first = 0, n = 0;
        for (size_t b = x->bytes; b-- > 0 && x->is_armed;)
            if (seen[b] != z->pattern[b]) first = b, n++;
        if (n)
            return hone_fail(
                err, HONE_EBUG,
                "device %s: step %d, %s of layer %d wrote behind %s: %zu bytes, from %zu after its end on",
                r->table->name, i, hone_op_find(s->op)->name, s->layer, name_of(r, x), n, first);
    }
    return HONE_OK;
}
