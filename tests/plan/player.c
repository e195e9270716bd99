/* player.c - playing is: set pointers and extents of a call, call. */
#include <math.h>
#include <stdlib.h>

#include "base/host.h"
#include "plan/rung.h"
#include "player.h"
#include "test.h"

static int root_of(const hone_plan *p, int v) {
    while (p->value[v].base) v = p->value[v].base;
    return v;
}

int64_t player_elements(const player *p, int value) {
    int64_t n = 1;
    for (int d = 0; d < p->plan->value[value].n_dims; d++) n *= p->plan->value[value].dim[d].n;
    return n;
}

static void *allocate(size_t bytes) {
    void *p = aligned_alloc(256, (bytes + 256) / 256 * 256);
    CHECK(p);
    memset(p, 0, bytes);
    return p;
}

/* A piece for every value a program makes; what a "+" input lends is its result's piece. */
static void own_program(player *p, const hone_program *program) {
    for (int i = 0; i < program->n_steps; i++) {
        const hone_step *s = &program->step[i];
        const hone_op_info *op = hone_op_find(s->op);
        for (int k = 0; k < op->n_out; k++) {
            const int v = s->out[k] ? root_of(p->plan, s->out[k]) : 0;
            const hone_class cls = p->plan->value[v].cls;
            if (!v || p->storage[v] || (cls != HONE_ACTIVATION && cls != HONE_RESULT)) continue;
            const int plus = op->out[k].adds ? s->in[op->out[k].adds - 1] : 0;
            if (plus) {
                p->storage[v] = p->storage[root_of(p->plan, plus)];
                CHECK(p->storage[v]);
                continue;
            }
            p->bytes[v] = (size_t)player_elements(p, v) * hone_dtype_bytes(p->plan->value[v].dtype);
            p->storage[v] = allocate(p->bytes[v]);
        }
    }
}

player *player_open(const hone_plan *plan, int own) {
    hone_err err = {.text = ""};
    player *p = calloc(1, sizeof *p);
    CHECK(p);
    p->plan = plan;
    p->own = own;
    p->device = device_load("ref", &err);
    if (!p->device) test_fail(__FILE__, __LINE__, "%s", err.text);
    for (int c = 1; c < HONE_N_CLASSES; c++) p->slab[c] = allocate(plan->slab_bytes[c]);
    for (int v = 1; v <= plan->n_values; v++)
        if (plan->value[v].cls == HONE_CONST)
            memcpy(player_at(p, v, 0), plan->value[v].data,
                   (size_t)player_elements(p, v) * hone_dtype_bytes(plan->value[v].dtype));
    if (!own) return p;
    p->storage = calloc((size_t)plan->n_values + 1, sizeof *p->storage);
    p->bytes = calloc((size_t)plan->n_values + 1, sizeof *p->bytes);
    CHECK(p->storage && p->bytes);
    for (int k = 0; k < HONE_N_PROGRAMS; k++) own_program(p, &plan->program[k]);
    return p;
}

void player_close(player *p) {
    for (int c = 1; c < HONE_N_CLASSES; c++) free(p->slab[c]);
    for (int v = 1; p->own && v <= p->plan->n_values; v++)
        if (p->bytes[v]) free(p->storage[v]);
    free(p->storage);
    free(p->bytes);
    free(p);
}

void *player_at(const player *p, int value, int slot) {
    const hone_value *x = &p->plan->value[value];
    const int root = root_of(p->plan, value);
    const size_t columns = (size_t)(x->row_at * x->ld + x->at) * hone_dtype_bytes(x->dtype);
    if (p->own && p->storage && p->storage[root]) return p->storage[root] + columns;
    size_t at = p->plan->value[root].offset + columns;
    if (x->cls == HONE_GRAD) at += (size_t)(slot + x->slot) * p->plan->slot_bytes;
    return p->slab[x->cls] + at;
}

/* Gradients lie as the parameters do, after the loss and what aligns them. */
void *player_gradient(const player *p, int param, int slot) {
    const hone_plan *plan = p->plan;
    const size_t f = hone_dtype_bytes(plan->value[plan->loss].dtype);
    const size_t first = plan->value[plan->param[param].value].offset /
                         hone_dtype_bytes(plan->dtype), /* in elements */
        before = plan->slot_bytes / f - (size_t)plan->n_trained;
    return p->slab[HONE_GRAD] + (size_t)slot * plan->slot_bytes + (before + first) * f;
}

static uint64_t mix(uint64_t x) {
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

static double uniform(uint64_t key) { return (double)(mix(key) >> 11) * 0x1p-53; }

void player_begin(player *p, unsigned seed) {
    const hone_plan *plan = p->plan;
    for (int i = 1; i <= plan->n_params; i++) {
        const hone_param *x = &plan->param[i];
        uint64_t key = seed;
        for (const char *c = x->name; *c; c++) key = mix(key ^ (uint64_t)*c);
        const int64_t n = player_elements(p, x->value);
        for (int64_t e = 0; e < n; e++) {
            const double w = (uniform(key + (uint64_t)e) - 0.5) * 0.8 + (x->init == HONE_INIT_ONE);
            if (plan->dtype == HONE_F64) ((double *)player_at(p, x->value, 0))[e] = w;
            else ((float *)player_at(p, x->value, 0))[e] = (float)w;
        }
    }
    if (plan->tick)
        *(hone_tick *)player_at(p, plan->tick, 0) =
            (hone_tick){.seed = {seed, 7}, .step_key = {seed * 77, 13}, .loss_scale = 0x3f800000};
}

static int64_t rows_played(const player *p, int space, const int64_t *rows) {
    const hone_space *s = &p->plan->space[space];
    return s->slice_of ? plan_slice_rows(s, rows[s->slice_of]) : rows[space];
}

static void bind_operand(const player *p, hone_tensor *t, int v, int slot, const int64_t *rows) {
    if (!v) return;
    const hone_value *x = &p->plan->value[v];
    t->p = player_at(p, v, slot);
    t->n_dims = x->n_dims;
    t->ld = x->ld;
    t->dtype = x->dtype;
    for (int d = 0; d < 3; d++) t->dim[d] = d < x->n_dims ? x->dim[d].n : 1;
    for (int d = 0; rows && d < x->n_dims; d++)
        if (x->dim[d].space) t->dim[d] = rows_played(p, x->dim[d].space, rows);
}

static void poison(const player *p) {
    memset(p->slab[HONE_ACTIVATION], 0xff, p->plan->slab_bytes[HONE_ACTIVATION]);
    memset(p->slab[HONE_RESULT], 0xff, p->plan->slab_bytes[HONE_RESULT]);
    memset(p->slab[HONE_WORK], 0xff, p->plan->slab_bytes[HONE_WORK]);
    for (int v = 1; p->own && v <= p->plan->n_values; v++)
        if (p->bytes[v]) memset(p->storage[v], 0xff, p->bytes[v]);
}

void player_play(player *p, hone_program_kind program, int slot, const int64_t *rows) {
    const hone_plan *plan = p->plan;
    CHECK(plan->program[program].n_steps > 0);
    poison(p);
    if (program == HONE_MICRO)
        memset(p->slab[HONE_GRAD] + (size_t)slot * plan->slot_bytes, 0xff, plan->slot_bytes);
    for (int i = 0; i < plan->program[program].n_steps; i++) {
        const hone_step *s = &plan->program[program].step[i];
        const int slice = plan_step_slice(plan, s);
        if (rows && slice && !rows_played(p, slice, rows)) continue;
        hone_call c = {.op = s->op, .attr = s->attr, .work = p->slab[HONE_WORK], .work_bytes = s->work_bytes};
        if (plan->tick) c.tick = player_at(p, plan->tick, 0);
        for (int k = 0; k < HONE_MAX_IN; k++) bind_operand(p, &c.in[k], s->in[k], slot, rows);
        for (int k = 0; k < HONE_MAX_OUT; k++) bind_operand(p, &c.out[k], s->out[k], slot, rows);
        if (p->device->op[s->op](NULL, &c))
            test_fail(__FILE__, __LINE__, "step %d, %s failed", i, hone_op_find(s->op)->name);
    }
}

/* ---- batches ---- */

void batch_make(batch *b, int n, int longest, int vocab, int classes, unsigned first, double scale) {
    memset(b, 0, sizeof *b);
    b->n = n;
    b->scale = scale;
    for (int i = 0; i < n; i++) {
        const uint64_t key = mix(first + (uint64_t)i) & 0xffffff00u;
        b->sample[i] = first + (uint32_t)i;
        b->length[i] = 1 + (int)(uniform(key) * longest);
        b->label[i] = (int32_t)(uniform(key + 1) * classes);
        b->target[i] = uniform(key + 2) * 4 - 2;
        for (int t = 0; t < b->length[i]; t++) {
            b->id[i][t] = (int32_t)(uniform(key + 10 + (uint64_t)t) * vocab);
            b->type[i][t] = t > b->length[i] / 2;
        }
    }
}

batch batch_part(const batch *b, int from, int n) {
    batch part = {.n = n, .scale = b->scale, .looks_at_last = b->looks_at_last};
    for (int i = 0; i < n; i++) {
        const int k = from + i;
        part.length[i] = b->length[k];
        memcpy(part.id[i], b->id[k], sizeof b->id[k]);
        memcpy(part.type[i], b->type[k], sizeof b->type[k]);
        part.label[i] = b->label[k];
        part.target[i] = b->target[k];
        part.sample[i] = b->sample[k];
    }
    return part;
}

static void put_real(const player *p, int v, int64_t i, double x) {
    if (p->plan->value[v].dtype == HONE_F64) ((double *)player_at(p, v, 0))[i] = x;
    else ((float *)player_at(p, v, 0))[i] = (float)x;
}

/* Of space "word": the rows of odd places, from 1; their label is what stands there. */
static int n_words(const batch *b, int i) { return b->length[i] / 2; }

static int find_space(const player *p, const char *name) {
    for (int s = 1; s <= p->plan->n_spaces; s++)
        if (!strcmp(p->plan->space[s].name, name)) return s;
    return 0;
}

/* Of space "read": of each sequence the first row and those of its words. */
static void feed_read(const player *p, int v, const batch *b) {
    const hone_fill fill = p->plan->value[v].fill;
    int32_t *to = player_at(p, v, 0);
    int64_t row = 0, first = 0;
    for (int i = 0; i < b->n; i++, first += b->length[i - 1]) {
        if (fill == HONE_FILL_AT) ((hone_range *)to)[i] = (hone_range){(int32_t)row, 1 + n_words(b, i)};
        for (int t = 0; t < b->length[i]; t += t ? 2 : 1, row++) {
            if (fill == HONE_FILL_POS) to[row] = t;
            if (fill == HONE_FILL_KEY) ((hone_key *)to)[row] = (hone_key){b->sample[i], (uint32_t)t};
            if (fill == HONE_FILL_INDEX) to[row] = (int32_t)first + t;
        }
    }
}

static void feed_words(const player *p, int v, const batch *b) {
    const hone_fill fill = p->plan->value[v].fill;
    const int read = find_space(p, "read");
    const int logits = p->plan->eval_logits; /* of a vocabulary there are none: its words are their own labels */
    const int32_t classes = logits ? (int32_t)p->plan->value[logits].dim[1].n : INT32_MAX;
    int32_t *to = player_at(p, v, 0);
    int64_t row = 0, first = 0;
    for (int i = 0; i < b->n; i++, first += b->length[i - 1]) {
        if (fill == HONE_FILL_AT) ((hone_range *)to)[i] = (hone_range){(int32_t)row, n_words(b, i)};
        for (int t = 1; t < b->length[i]; t += 2, row++) {
            if (fill == HONE_FILL_POS) to[row] = t;
            if (fill == HONE_FILL_KEY) ((hone_key *)to)[row] = (hone_key){b->sample[i], (uint32_t)t};
            if (fill == HONE_FILL_INDEX) to[row] = read ? (int32_t)row + i + 1 : (int32_t)first + t;
            if (fill == HONE_FILL_LABEL) to[row] = b->id[i][t] % classes;
        }
    }
}

/* What row `row` of a space reads: of tok, token t of sequence b, whose label is the next one; of seq, that sequence's
 * first or last token. */
static void feed_row(const player *p, int v, int64_t row, const batch *b, int i, int t, int64_t first,
                     int is_tok) {
    const hone_fill fill = p->plan->value[v].fill;
    int32_t *to = player_at(p, v, 0);
    if (fill == HONE_FILL_ID) to[row] = b->id[i][t];
    if (fill == HONE_FILL_TYPE) to[row] = b->type[i][t];
    if (fill == HONE_FILL_POS) to[row] = t;
    if (fill == HONE_FILL_KEY) ((hone_key *)to)[row] = (hone_key){b->sample[i], (uint32_t)t};
    if (fill == HONE_FILL_INDEX) to[row] = (int32_t)first + t;
    if (fill == HONE_FILL_LABEL) to[row] = !is_tok ? b->label[i] : t + 1 < b->length[i] ? b->id[i][t + 1] : -1;
    const int64_t width = p->plan->value[v].n_dims > 1 ? p->plan->value[v].dim[1].n : 1;
    for (int64_t k = 0; fill == HONE_FILL_TARGET && k < width; k++)
        put_real(p, v, row * width + k, b->target[i] + 0.1 * (double)k);
    if (fill == HONE_FILL_SPAN) to[2 * row] = b->length[i] / 3, to[2 * row + 1] = b->length[i] - 1;
    if (fill == HONE_FILL_AT) {
        if (is_tok) ((hone_range *)to)[i] = (hone_range){(int32_t)first, b->length[i]};
        else ((hone_range *)to)[i] = (hone_range){i, 1};
    }
}

static void feed_tail(const player *p, int v) {
    const hone_value *x = &p->plan->value[v];
    int32_t *to = player_at(p, v, 0);
    const int64_t width = x->n_dims > 1 ? x->dim[1].n : 1;
    for (int64_t r = 0; r < x->dim[0].n * width; r++) {
        if (x->fill == HONE_FILL_KEY) ((hone_key *)to)[r] = (hone_key){0, 0};
        else if (x->fill == HONE_FILL_AT) ((hone_range *)to)[r] = (hone_range){0, 0};
        else if (x->fill == HONE_FILL_TARGET) put_real(p, v, r, NAN);
        else to[r] = -1;
    }
}

/* Stable, -1 last: by counting over ids. */
static void feed_order(const player *p, int v) {
    const hone_value *x = &p->plan->value[v];
    const int32_t *id = player_at(p, x->fill_of, 0);
    int32_t *to = player_at(p, v, 0), n = 0, top = -1;
    for (int64_t r = 0; r < x->dim[0].n; r++) top = id[r] > top ? id[r] : top;
    for (int32_t want = 0; want <= top; want++)
        for (int64_t r = 0; r < x->dim[0].n; r++)
            if (id[r] == want) to[n++] = (int32_t)r;
    for (int64_t r = 0; r < x->dim[0].n; r++)
        if (id[r] < 0) to[n++] = (int32_t)r;
}

static void feed_value(const player *p, int v, const batch *b, int64_t *rows) {
    const hone_value *x = &p->plan->value[v];
    const int is_tok = !strcmp(p->plan->space[x->fill_space].name, "tok");
    feed_tail(p, v);
    if (!strcmp(p->plan->space[x->fill_space].name, "word")) {
        feed_words(p, v, b);
        return;
    }
    if (x->fill_space == find_space(p, "read")) {
        feed_read(p, v, b);
        return;
    }
    int64_t first = 0, words = 0;
    for (int i = 0; i < b->n; i++) {
        for (int t = 0; is_tok && t < b->length[i]; t++) feed_row(p, v, first + t, b, i, t, first, 1);
        if (!is_tok) feed_row(p, v, i, b, i, b->looks_at_last ? b->length[i] - 1 : 0, first, 0);
        if (x->fill == HONE_FILL_INDEX && find_space(p, "read")) ((int32_t *)player_at(p, v, 0))[i] = (int32_t)words + i;
        first += b->length[i];
        words += n_words(b, i);
    }
    rows[x->fill_space] = is_tok ? first : b->n;
}

void player_feed(player *p, const batch *b, int64_t *rows) {
    for (int s = 1; s <= p->plan->n_spaces; s++) {
        const int is_tok = !strcmp(p->plan->space[s].name, "tok");
        const int is_word = !strcmp(p->plan->space[s].name, "word");
        if (p->plan->space[s].slice_of) continue;
        const int is_read = s == find_space(p, "read");
        rows[s] = is_tok || is_word ? 0 : b->n;
        for (int i = 0; is_tok && i < b->n; i++) rows[s] += b->length[i];
        for (int i = 0; (is_word || is_read) && i < b->n; i++) rows[s] += n_words(b, i);
        CHECK(rows[s] <= p->plan->space[s].cap);
    }
    for (int v = 1; v <= p->plan->n_values; v++) {
        const hone_value *x = &p->plan->value[v];
        if (x->cls != HONE_INPUT || x->base) continue;
        if (x->fill == HONE_FILL_SCALE) put_real(p, v, 0, b->scale);
        else if (x->fill == HONE_FILL_CLIP) put_real(p, v, 0, 0.5);
        else if (x->fill == HONE_FILL_RATE)
            for (int64_t g = 0; g < x->dim[0].n; g++) {
                put_real(p, v, 2 * g, 0.01 * (double)(g + 1));
                put_real(p, v, 2 * g + 1, g % 2 ? 0.1 : 0);
            }
        else if (x->fill != HONE_FILL_ORDER) feed_value(p, v, b, rows);
    }
    for (int v = 1; v <= p->plan->n_values; v++)
        if (p->plan->value[v].cls == HONE_INPUT && p->plan->value[v].fill == HONE_FILL_ORDER)
            feed_order(p, v);
}
