/* values.c - what stands in a case's operands. */
#include "harness.h"

static uint64_t mix(uint64_t x) { /* SplitMix64's output function */
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

double noise_uniform(uint64_t stream, uint64_t i) {
    return (double)(mix(mix(stream * 0x9E3779B97F4A7C15u + 1) + i * 0x9E3779B97F4A7C15u) >> 11) * 0x1p-53;
}

double noise_normal(uint64_t stream, uint64_t i) { /* Box and Muller */
    const double u = 1 - noise_uniform(stream, 2 * i),
                 angle = 2 * 3.14159265358979323846 * noise_uniform(stream, 2 * i + 1);
    return sqrt(-2 * log(u)) * cos(angle);
}

hone_range sequence_range(const int *length, int b) {
    hone_range r = {0, length[b]};
    for (int i = 0; i < b; i++) r.first += length[i] + (i % 3 == 1);
    return r;
}

int64_t sequence_rows(const int *length, int n) {
    return n ? (int64_t)sequence_range(length, n - 1).first + length[n - 1] + 3 : 3;
}

static int listed(const char *list, const char *name) {
    const size_t length = strlen(name);
    for (const char *p = list; (p = strstr(p, name)); p += length)
        if ((p == list || p[-1] == ' ') && (p[length] == ' ' || !p[length])) return 1;
    return 0;
}

static hone_dtype stored_type(const cases_case *k, const hone_operand *o, int is_result, hone_dtype compute) {
    switch (o->type) {
    case 'f':
        return compute == HONE_F64 ? HONE_F64 : HONE_F32;
    case 'i':
        return HONE_I32;
    case 'k':
        return HONE_KEY;
    case 'r':
        return HONE_RANGE;
    case '*':
        return is_result ? k->to : k->from;
    default:
        return compute;
    }
}

int64_t extent_of(const cases_values *v, char letter) {
    return letter >= 'A' && letter <= 'Z' ? v->k->extent[CASES_LETTER(letter)] : letter - '0';
}

static void *new_cells(int64_t n, size_t bytes) {
    void *cells = calloc((size_t)(n > 0 ? n : 1), bytes);
    if (!cells) abort();
    return cells;
}

void values_init(cases_values *v, const cases_on *on, const cases_case *k, hone_dtype compute) {
    *v = (cases_values){.k = k, .on = on, .op = hone_op_find(k->op), .compute = compute};
    v->tick =
        (hone_tick){.seed = {0x5eed, 7}, .step_key = {0x8badf00du, 0x1234567u}, .step = 41, .adam_t = 40};
    const float scale = 1;
    memcpy(&v->tick.loss_scale, &scale, sizeof scale);
    for (int i = 0; i < v->op->n_in + v->op->n_out; i++) {
        const int is_result = i >= v->op->n_in;
        const hone_operand *o = is_result ? &v->op->out[i - v->op->n_in] : &v->op->in[i];
        operand_values *u = &v->v[i];
        if (o->opt && !listed(k->with, o->name)) continue;
        *u = (operand_values){.bound = 1,
                              .n_dims = o->n_dims,
                              .dim = {1, 1, 1},
                              .dtype = stored_type(k, o, is_result, compute)};
        for (int d = 0; d < o->n_dims; d++) u->dim[d] = extent_of(v, o->dim[d]);
        u->rows = u->dim[0];
        u->width = u->dim[1] * u->dim[2];
        const int64_t n = u->rows * u->width;
        if (type_is_float(u->dtype)) u->x = new_cells(n, sizeof(double));
        else u->word = new_cells(n, u->dtype == HONE_I32 ? 4 : 8);
    }
}

void values_deinit(cases_values *v) {
    for (int i = 0; i < N_OPERANDS; i++) {
        free(v->v[i].x);
        free(v->v[i].word);
    }
}

operand_values *values_find(cases_values *v, const char *name) {
    const int i = hone_op_operand(v->op, name);
    return i >= 0 && v->v[i].bound ? &v->v[i] : NULL;
}

double *floats_of(cases_values *v, const char *name) {
    operand_values *u = values_find(v, name);
    return u ? u->x : NULL;
}

int32_t *words_of(cases_values *v, const char *name) {
    operand_values *u = values_find(v, name);
    return u ? u->word : NULL;
}

void values_copy(cases_values *to, const char *name, const cases_values *from, const char *from_name) {
    operand_values *a = values_find(to, name);
    const int at = hone_op_operand(from->op, from_name);
    const operand_values *b = at >= 0 && from->v[at].bound ? &from->v[at] : NULL;
    if (!a || !b) return;
    const size_t n = (size_t)(a->rows * a->width);
    if (a->x) memcpy(a->x, b->x, n * sizeof(double));
    else memcpy(a->word, b->word, n * (a->dtype == HONE_I32 ? 4 : 8));
}

void values_round(cases_values *v) {
    for (int i = 0; i < v->op->n_in; i++)
        for (int64_t e = 0; v->v[i].x && e < v->v[i].rows * v->v[i].width; e++)
            v->v[i].x[e] = type_round(v->v[i].x[e], v->v[i].dtype);
}

/* Ranges as sequence_range tells; the operand's name says whether they are of queries or of keys. */
static void fill_ranges(cases_values *v, operand_values *u, const char *name) {
    const int *length = !strcmp(name, "k_at") ? v->k->k_len : v->k->q_len;
    for (int b = 0; b < u->rows; b++) {
        const hone_range r = sequence_range(length, b);
        u->word[2 * b] = r.first, u->word[2 * b + 1] = r.n;
    }
}

/* Sample and position of each row; rows of no sequence have a sample of their own. */
static void fill_keys(cases_values *v, operand_values *u) {
    for (int64_t n = 0; n < u->rows; n++) {
        u->word[2 * n] = v->k->n_sequences ? -1 : (int32_t)(n / 5);
        u->word[2 * n + 1] = (int32_t)(n % 5);
    }
    for (int b = 0; b < v->k->n_sequences; b++) {
        const hone_range r = sequence_range(v->k->q_len, b);
        for (int i = 0; i < r.n && r.first + i < u->rows; i++)
            u->word[2 * (r.first + i)] = 1000 + 7 * b, u->word[2 * (r.first + i) + 1] = i;
    }
}

void values_fill(cases_values *v) {
    for (int i = 0; i < v->op->n_in; i++) {
        operand_values *u = &v->v[i];
        if (!u->bound) continue;
        for (int64_t e = 0; u->x && e < u->rows * u->width; e++)
            u->x[e] = noise_normal((uint64_t)v->k->op * 64 + (uint64_t)i, (uint64_t)e);
        if (u->dtype == HONE_RANGE) fill_ranges(v, u, v->op->in[i].name);
        if (u->dtype == HONE_KEY) fill_keys(v, u);
    }
    values_round(v);
    if (v->k->fill) v->k->fill(v);
    values_round(v);
}
