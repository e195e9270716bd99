/* image.c - a case in a device's memory: one slab with red zones between the operands, so that a write that
 * misses its place is seen. Results begin as NaN: what is not written is seen too. So do the ends of padded rows and
 * the workspace: what is read there is seen. */
#include "harness.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

enum { RED_BYTES = 256, CANARY = 0xA5 };

size_t type_bytes(hone_dtype dtype) {
    static const size_t bytes[HONE_N_DTYPES] = {
#define XX(name, text, n) [name] = n,
        HONE_DTYPE_MAP(XX)
#undef XX
    };
    return bytes[dtype];
}

int type_is_float(hone_dtype dtype) { return dtype <= HONE_F16; }

static double widen(const void *p, hone_dtype dtype) {
    double d;
    float f;
    uint16_t h;
    uint32_t wide;
    switch (dtype) {
    case HONE_F64:
        return memcpy(&d, p, 8), d;
    case HONE_F32:
        return memcpy(&f, p, 4), f;
    case HONE_BF16:
        memcpy(&h, p, 2);
        wide = (uint32_t)h << 16;
        memcpy(&f, &wide, 4);
        return f;
    default:
        memcpy(&h, p, 2);
        if ((h >> 10 & 31) == 31) d = h & 1023 ? NAN : INFINITY;
        else d = h >> 10 & 31 ? ldexp(1024 + (h & 1023), (h >> 10 & 31) - 25) : ldexp(h & 1023, -24);
        return h & 0x8000 ? -d : d;
    }
}

/* x to a format of `digits` significant bits, whose smallest step is 2^bottom and whose end is 2^end. */
static double round_digits(double x, int digits, int bottom, int end) {
    if (!isfinite(x) || x == 0) return x;
    int exponent;
    frexp(x, &exponent);
    const int step = exponent - digits > bottom ? exponent - digits : bottom;
    const double r = ldexp(nearbyint(ldexp(x, -step)), step);
    return fabs(r) >= ldexp(1, end) ? copysign(INFINITY, x) : r;
}

double type_round(double x, hone_dtype dtype) {
    switch (dtype) {
    case HONE_F32:
        return round_digits(x, 24, -149, 128);
    case HONE_BF16:
        return round_digits(x, 8, -133, 128);
    case HONE_F16:
        return round_digits(x, 11, -24, 16);
    default:
        return x;
    }
}

static void narrow(void *p, double x, hone_dtype dtype) {
    const double r = type_round(x, dtype);
    if (dtype == HONE_F64) memcpy(p, &r, 8);
    if (dtype == HONE_F32 || dtype == HONE_BF16) {
        const float f = (float)r;
        memcpy(p, (const char *)&f + (dtype == HONE_BF16 ? 2 : 0), dtype == HONE_BF16 ? 2 : 4);
    }
    if (dtype == HONE_F16) {
        uint16_t h = isnan(r) ? 0x7e00 : isinf(r) ? 0x7c00 : 0;
        int exponent;
        if (isfinite(r) && fabs(r) < 0x1p-14) h = (uint16_t)ldexp(fabs(r), 24);
        else if (isfinite(r)) {
            const double fraction = frexp(fabs(r), &exponent);
            h = (uint16_t)((exponent + 14) * 1024 + (int)ldexp(fraction, 11) - 1024);
        }
        if (signbit(r)) h |= 0x8000;
        memcpy(p, &h, 2);
    }
}

static const hone_operand *operand_of(const cases_values *v, int i) {
    return i < v->op->n_in ? &v->op->in[i] : &v->op->out[i - v->op->n_in];
}

static hone_dtype type_here(const cases_values *v, int i, hone_dtype compute) {
    const hone_dtype dtype = v->v[i].dtype;
    const int is_wider = compute == HONE_F64 || (compute == HONE_F32 && (dtype == HONE_BF16 || dtype == HONE_F16));
    return is_wider && type_is_float(dtype) && !v->k->same_type ? compute : dtype;
}

/* The input whose storage result i takes, or -1. */
static int lender_of(const cases_values *v, int i) {
    const hone_operand *o = operand_of(v, i);
    if (i < v->op->n_in) return -1;
    if (o->adds && v->v[o->adds - 1].bound) return o->adds - 1;
    if (v->k->in_place && o->shares && v->v[o->shares - 1].bound) return o->shares - 1;
    return -1;
}

hone_query image_query(const cases_values *v, hone_dtype compute) {
    hone_query query = {.op = v->k->op, .attr = v->k->attr};
    for (int i = 0; i < v->op->n_in + v->op->n_out; i++) {
        if (!v->v[i].bound) continue;
        hone_tensor *t = i < v->op->n_in ? &query.in[i] : &query.out[i - v->op->n_in];
        *t = (hone_tensor){.n_dims = v->v[i].n_dims, .dtype = type_here(v, i, compute)};
        memcpy(t->dim, v->v[i].dim, sizeof t->dim);
        const int pad = v->v[i].n_dims > 1 && type_is_float(v->v[i].dtype) ? v->k->pad : 0;
        t->ld = v->v[i].n_dims == 1 ? 1 : v->v[i].width + pad;
    }
    return query;
}

/* As the device is asked: with its work list bound. */
static hone_query query_here(const image *im) {
    hone_query query = image_query(im->v, im->compute);
    const int list = hone_op_operand(im->v->op, "list");
    if (list >= 0 && im->list_bytes)
        query.in[list] = (hone_tensor){
            .dim = {(int64_t)im->list_bytes / 4, 1, 1}, .ld = 1, .n_dims = 1, .dtype = HONE_I32};
    return query;
}

static size_t operand_bytes(const image *im, int i) {
    const operand_values *u = &im->v->v[i];
    return u->rows > 0 ? (size_t)((u->rows - 1) * im->ld[i] + u->width) * type_bytes(im->dtype[i]) : 0;
}

static void place_operands(image *im) {
    const cases_values *v = im->v;
    const hone_query query = image_query(v, im->compute);
    size_t end = RED_BYTES;
    for (int i = 0; i < v->op->n_in + v->op->n_out; i++) {
        if (!v->v[i].bound) continue;
        const hone_tensor *t = i < v->op->n_in ? &query.in[i] : &query.out[i - v->op->n_in];
        im->dtype[i] = t->dtype, im->ld[i] = t->ld;
        const int lender = lender_of(v, i);
        im->at[i] = lender >= 0 ? im->at[lender] : end;
        if (lender < 0) end = (end + operand_bytes(im, i) + RED_BYTES + 255) / 256 * 256;
    }
    im->tick_at = end;
    im->list_at = end + sizeof(hone_tick) + 255 - (end + sizeof(hone_tick) + 255) % 256;
    im->list_bytes = v->k->no_list ? 0 : im->table->list_bytes(&query);
    end = im->list_at + im->list_bytes + RED_BYTES;
    im->work_at = end + 255 - (end + 255) % 256;
    const hone_query asked = query_here(im);
    im->work_bytes = im->table->work_bytes(&asked);
    im->n_bytes = im->work_at + im->work_bytes + RED_BYTES;
}

const unsigned char *image_row(const image *im, const unsigned char *side, int operand, int64_t row) {
    return side + im->at[operand] + (size_t)(row * im->ld[operand]) * type_bytes(im->dtype[operand]);
}

size_t image_row_bytes(const image *im, int operand) {
    return (size_t)im->v->v[operand].width * type_bytes(im->dtype[operand]);
}

static void write_operand(image *im, int i) {
    const operand_values *u = &im->v->v[i];
    const size_t bytes = type_bytes(im->dtype[i]);
    const int is_result = i >= im->v->op->n_in;
    for (int64_t r = 0; r < u->rows; r++) {
        unsigned char *row = im->before + (image_row(im, im->before, i, r) - im->before);
        for (int64_t c = 0; c < u->width; c++) {
            if (is_result) memset(row + (size_t)c * bytes, 0xff, bytes); /* a NaN in every floating type */
            else if (u->x) narrow(row + (size_t)c * bytes, u->x[r * u->width + c], im->dtype[i]);
            else memcpy(row + (size_t)c * bytes, (char *)u->word + (size_t)(r * u->width + c) * bytes, bytes);
        }
        if (r + 1 < u->rows)
            memset(row + (size_t)u->width * bytes, 0xff, (size_t)(im->ld[i] - u->width) * bytes);
    }
}

static int fail_with(char *why, size_t why_bytes, const char *what, const hone_err *err) {
    snprintf(why, why_bytes, "%s: %.160s", what, err->text);
    return 0;
}

int image_init(image *im, const cases_values *v, hone_dtype compute, const hone_device_v1 *table,
               hone_device *device, char *why, size_t why_bytes) {
    *im = (image){.v = v, .compute = compute, .table = table, .device = device};
    place_operands(im);
    im->before = malloc(im->n_bytes);
    im->after = malloc(im->n_bytes);
    if (!im->before || !im->after) abort();
    memset(im->before, CANARY, im->n_bytes);
    memset(im->before + im->work_at, 0xff, im->work_bytes);
    for (int i = 0; i < v->op->n_in + v->op->n_out; i++)
        if (v->v[i].bound && lender_of(v, i) < 0) write_operand(im, i);
    memcpy(im->before + im->tick_at, &v->tick, sizeof v->tick);
    hone_err err = {.text = ""};
    const hone_query query = query_here(im);
    void *slab = NULL;
    if (table->slab_new(device, 0, im->n_bytes, &slab, &err))
        return fail_with(why, why_bytes, "slab_new", &err);
    im->slab = slab;
    if (table->queue_new(device, &im->queue)) return fail_with(why, why_bytes, "queue_new", &err);
    if (table->choose(device, &query, &im->choice, &err)) return fail_with(why, why_bytes, "choose", &err);
    return 1;
}

void image_deinit(image *im) {
    if (im->queue) im->table->queue_free(im->queue);
    if (im->slab) im->table->slab_free(im->device, im->slab);
    free(im->before);
    free(im->after);
}

hone_call image_call(const image *im, slice part) {
    const cases_values *v = im->v;
    const hone_query query = query_here(im);
    hone_call call = {.op = query.op, .attr = query.attr, .work_bytes = im->work_bytes, .choice = im->choice};
    call.tick = (const hone_tick *)(const void *)(im->slab + im->tick_at);
    call.work = im->slab + im->work_at;
    for (int i = 0; i < v->op->n_in + v->op->n_out; i++) {
        if (!v->v[i].bound) continue;
        hone_tensor *t = i < v->op->n_in ? &call.in[i] : &call.out[i - v->op->n_in];
        *t = i < v->op->n_in ? query.in[i] : query.out[i - v->op->n_in];
        int64_t skipped = 0;
        for (int d = 0; d < t->n_dims && d < 2; d++) {
            if (operand_of(v, i)->dim[d] != part.letter) continue;
            skipped += part.first * (d ? 1 : t->ld);
            t->dim[d] = part.n;
        }
        t->p = im->slab + im->at[i] + (size_t)skipped * type_bytes(im->dtype[i]);
    }
    if (im->list_bytes) {
        const int list = hone_op_operand(v->op, "list");
        call.in[list] = query.in[list];
        call.in[list].p = im->slab + im->list_at;
    }
    return call;
}

/* As the batcher does: the list of the sequences that the call plays. */
static void fill_list(image *im, const hone_call *call) {
    static const char *const names[] = {"q_at", "k_at", "key"};
    const void *content[3] = {NULL};
    for (int i = 0; i < 3; i++) {
        const void *p = call->in[hone_op_operand(im->v->op, names[i])].p;
        if (p) content[i] = im->before + ((const unsigned char *)p - im->slab);
    }
    hone_query query = {.op = call->op, .attr = call->attr};
    memcpy(query.in, call->in, sizeof query.in);
    memcpy(query.out, call->out, sizeof query.out);
    const int64_t rows[2] = {call->in[hone_op_operand(im->v->op, "q")].dim[0],
                             call->in[hone_op_operand(im->v->op, "k")].dim[0]};
    im->table->list_fill(&query, content[0], content[1], content[2], rows, im->before + im->list_at);
}

/* Under AddressSanitizer nothing between the operands may be touched, not even read, while an op plays; on a GPU nobody
 * would see. */
#if defined(__SANITIZE_ADDRESS__)
static void guard_zones(const image *im, int on) {
    if (!strcmp(im->table->name, "cuda")) return;
    ASAN_UNPOISON_MEMORY_REGION(im->slab, im->n_bytes);
    if (!on) return;
    ASAN_POISON_MEMORY_REGION(im->slab, im->n_bytes);
    for (int i = 0; i < im->v->op->n_in + im->v->op->n_out; i++)
        if (im->v->v[i].bound) ASAN_UNPOISON_MEMORY_REGION(im->slab + im->at[i], operand_bytes(im, i));
    ASAN_UNPOISON_MEMORY_REGION(im->slab + im->tick_at, sizeof(hone_tick));
    ASAN_UNPOISON_MEMORY_REGION(im->slab + im->list_at, im->list_bytes);
    ASAN_UNPOISON_MEMORY_REGION(im->slab + im->work_at, im->work_bytes);
}
#else
static void guard_zones(const image *im, int on) { (void)im, (void)on; }
#endif

int image_play(image *im, slice part, char *why, size_t why_bytes) {
    const hone_call call = image_call(im, part);
    if (im->list_bytes) fill_list(im, &call);
    hone_status status = im->table->put(im->queue, im->slab, im->before, im->n_bytes);
    if (!status) status = im->table->queue_wait(im->queue);
    guard_zones(im, 1);
    if (!status) status = im->table->op[im->v->k->op](im->queue, &call);
    if (!status) status = im->table->queue_wait(im->queue);
    guard_zones(im, 0);
    if (!status) status = im->table->get(im->queue, im->after, im->slab, im->n_bytes);
    if (!status) status = im->table->queue_wait(im->queue);
    if (status) snprintf(why, why_bytes, "the op returned status %d", (int)status);
    return !status;
}

double image_get(const image *im, int operand, int64_t row, int64_t column) {
    const unsigned char *p = image_row(im, im->after, operand, row);
    if (type_is_float(im->dtype[operand]))
        return widen(p + (size_t)column * type_bytes(im->dtype[operand]), im->dtype[operand]);
    int32_t word;
    memcpy(&word, p + (size_t)column * 4, 4);
    return word;
}

void image_read(const image *im, cases_values *to) {
    for (int i = to->op->n_in; i < to->op->n_in + to->op->n_out; i++) {
        operand_values *u = &to->v[i];
        for (int64_t e = 0; u->bound && e < u->rows * u->width; e++) {
            const double x = image_get(im, i, e / u->width, e % u->width);
            if (u->x) u->x[e] = x;
            else u->word[e] = (int32_t)x;
        }
    }
}

/* Which operand's storage a byte belongs to or follows, for messages. */
static const char *name_place(const image *im, size_t byte) {
    const char *name = "the slab's begin";
    size_t best = 0;
    for (int i = 0; i < im->v->op->n_in + im->v->op->n_out; i++)
        if (im->v->v[i].bound && im->at[i] <= byte && im->at[i] >= best)
            best = im->at[i], name = operand_of(im->v, i)->name;
    if (byte >= im->tick_at) name = "tick";
    if (im->list_bytes && byte >= im->list_at) name = "list";
    return byte >= im->work_at + im->work_bytes ? "work" : name;
}

int image_is_clean(const image *im, char *why, size_t why_bytes) {
    const cases_values *v = im->v;
    unsigned char *expected = malloc(im->n_bytes);
    if (!expected) abort();
    memcpy(expected, im->before, im->n_bytes);
    for (int i = v->op->n_in; i < v->op->n_in + v->op->n_out; i++)
        for (int64_t r = 0; v->v[i].bound && r < v->v[i].rows; r++) {
            const size_t at = (size_t)(image_row(im, im->after, i, r) - im->after);
            memcpy(expected + at, im->after + at, image_row_bytes(im, i));
        }
    memcpy(expected + im->work_at, im->after + im->work_at, im->work_bytes);
    int clean = 1;
    for (size_t b = 0; b < im->n_bytes && clean; b++) {
        if (expected[b] == im->after[b]) continue;
        const char *name = name_place(im, b);
        snprintf(why, why_bytes, "byte %zu of the slab was written, in or behind %s", b, name);
        clean = 0;
    }
    free(expected);
    return clean;
}

uint32_t image_bits(const image *im) { /* FNV-1a */
    uint32_t hash = 2166136261u;
    const cases_values *v = im->v;
    for (int i = v->op->n_in; i < v->op->n_in + v->op->n_out; i++)
        for (int64_t r = 0; v->v[i].bound && r < v->v[i].rows; r++) {
            const unsigned char *p = image_row(im, im->after, i, r);
            for (size_t b = 0; b < image_row_bytes(im, i); b++) hash = (hash ^ p[b]) * 16777619u;
        }
    return hash;
}
