/* list.c - the list of cases: families in order, names, shapes given by hand. */
#include "harness.h"

static void (*const families[])(cases_sink *to) = {
    embed_cases,   norm_cases, linear_cases, act_cases,   attention_cases, gather_cases,
    softmax_cases, loss_cases, reduce_cases, optim_cases, convert_cases,
};

void emit(cases_sink *to, const cases_case *k) {
    if (to->stopped) return;
    cases_case copy = *k;
    if (copy.n_sequences) {
        copy.extent[CASES_LETTER('B')] = copy.n_sequences;
    }
    if (!copy.of_naive) copy.of_naive = 2;
    to->stopped = !to->visit(to->arg, &copy);
}

void emit_types(cases_sink *to, const cases_case *k) {
    cases_case typed = *k;
    typed.dtype = HONE_F32;
    emit(to, &typed);
    typed.modes &= ~(unsigned)CASES_GRAD;
    typed.dtype = HONE_BF16;
    emit(to, &typed);
    typed.dtype = HONE_F16;
    emit(to, &typed);
}

void cases_each(cases_visit *visit, void *arg) {
    cases_sink sink = {.visit = visit, .arg = arg};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) families[i](&sink);
}

typedef struct {
    hone_op op;
    unsigned modes;
    int n;
} counter;

static int count_one(void *arg, const cases_case *k) {
    counter *c = arg;
    c->n += k->op == c->op && (k->modes & c->modes);
    return 1;
}

int cases_count(hone_op op, unsigned modes) {
    counter c = {.op = op, .modes = modes};
    cases_each(count_one, &c);
    return c.n;
}

void bind_operand(cases_case *k, const char *name, int on) {
    const size_t at = strlen(k->with);
    if (on) snprintf(k->with + at, sizeof k->with - at, "%s%s", at ? " " : "", name);
}

int factor(int r, int j) { return __builtin_parity((unsigned)(r & j)); }

void set_lengths(cases_case *k, char letter, const int *length, int n) {
    int *to = letter == 'M' ? k->k_len : k->q_len;
    k->n_sequences = n;
    for (int b = 0; b < n; b++) to[b] = length[b];
    k->extent[CASES_LETTER(letter)] = sequence_rows(length, n);
}

double sum_bound(int64_t n) { return 0x1p-24 * 4 * (4 + sqrt((double)n)); }

/* Append to text as printf does. */
static void append(char *text, size_t bytes, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void append(char *text, size_t bytes, const char *fmt, ...) {
    const size_t at = strlen(text);
    va_list args;
    va_start(args, fmt);
    if (at < bytes) vsnprintf(text + at, bytes - at, fmt, args);
    va_end(args);
}

static void describe_lengths(const char *what, const int *length, int n, char *name, size_t bytes) {
    append(name, bytes, " %s=", what);
    for (int b = 0; b < n; b++) {
        int same = 1;
        while (b + same < n && length[b + same] == length[b]) same++;
        append(name, bytes, "%s%d", b ? "," : "", length[b]);
        if (same > 1) append(name, bytes, "x%d", same), b += same - 1;
    }
}

static int is_tf32(const cases_case *k) {
    return !strncmp(hone_op_find(k->op)->name, "LINEAR", 6) && k->attr.linear.tf32;
}

static void add_extents(const cases_case *k, const char *between, char *text, size_t bytes) {
    text[0] = 0;
    for (char c = 'A'; c <= 'Z'; c++)
        if (k->extent[CASES_LETTER(c)])
            append(text, bytes, "%s%c=%lld", *text ? between : "", c, (long long)k->extent[CASES_LETTER(c)]);
}

void cases_shape(const cases_case *k, char *shape, size_t shape_bytes) { add_extents(k, ",", shape, shape_bytes); }

void cases_describe(const cases_case *k, char *name, size_t name_bytes) {
    const hone_op_info *op = hone_op_find(k->op);
    add_extents(k, " ", name, name_bytes);
    if (k->op == HONE_OP_ATTENTION_FWD || k->op == HONE_OP_ATTENTION_BWD) {
        static const char *const masks[] = {"full", "causal", "window"};
        describe_lengths("q", k->q_len, k->n_sequences, name, name_bytes);
        describe_lengths("k", k->k_len, k->n_sequences, name, name_bytes);
        append(name, name_bytes, " %s", masks[k->attr.attention.mask]);
        if (k->attr.attention.longest) append(name, name_bytes, " longest=%d", k->attr.attention.longest);
    }
    if (*k->with) append(name, name_bytes, " with %s", k->with);
    if (k->attr.p > 0) append(name, name_bytes, " p=%g", (double)k->attr.p);
    if (k->attr.p_out > 0) append(name, name_bytes, " p_out=%g", (double)k->attr.p_out);
    if (op->in[0].type == 0 && !strncmp(op->name, "LINEAR", 6))
        append(name, name_bytes, " act=%d", k->attr.linear.act);
    if (!strncmp(op->name, "ACT", 3)) append(name, name_bytes, " kind=%d", k->attr.act.kind);
    if (k->op == HONE_OP_XENT && k->attr.loss.smoothing > 0)
        append(name, name_bytes, " smoothing=%g", k->attr.loss.smoothing);
    if (k->op == HONE_OP_XENT && k->attr.loss.focal_gamma > 0)
        append(name, name_bytes, " focal=%g", k->attr.loss.focal_gamma);
    if (!strncmp(op->name, "NORM", 4) && k->attr.norm.kind == HONE_NORM_RMS) append(name, name_bytes, " rms");
    if (k->pad) append(name, name_bytes, " pad=%d", k->pad);
    if (k->in_place) append(name, name_bytes, " in place");
    if (k->no_list) append(name, name_bytes, " without list");
    if (*k->note) append(name, name_bytes, " (%s)", k->note);
    const hone_dtype type = op->in[0].type == '*' ? k->from : k->dtype;
    append(name, name_bytes, " %s", is_tf32(k) ? "tf32" : hone_dtype_name(type));
    if (op->in[0].type == '*') append(name, name_bytes, " to %s", hone_dtype_name(k->to));
}

static hone_status set_extent(cases_case *k, char letter, long long n, hone_err *err) {
    if (letter == 'S' && k->n_sequences) {
        for (int b = 0; b < k->n_sequences; b++) k->q_len[b] = k->k_len[b] = (int)n;
        if (k->extent[CASES_LETTER('N')])
            k->extent[CASES_LETTER('N')] = sequence_rows(k->q_len, k->n_sequences);
        if (k->extent[CASES_LETTER('M')])
            k->extent[CASES_LETTER('M')] = sequence_rows(k->k_len, k->n_sequences);
        return HONE_OK;
    }
    if (letter < 'A' || letter > 'Z' || !k->extent[CASES_LETTER(letter)])
        return hone_fail(err, HONE_EUSAGE, "--shape: %s has no extent %c; its line is %s",
                         hone_op_find(k->op)->name, letter, hone_op_find(k->op)->line);
    if (k->n_sequences && strchr("NMB", letter))
        return hone_fail(err, HONE_EUSAGE, "--shape: %c of %s follows from the lengths; set S", letter,
                         hone_op_find(k->op)->name);
    k->extent[CASES_LETTER(letter)] = n;
    return HONE_OK;
}

hone_status cases_set_shape(cases_case *k, const char *text, hone_err *err) {
    for (const char *p = text; *p;) {
        char letter;
        double value;
        int n = 0;
        if (sscanf(p, "%c=%lf%n", &letter, &value, &n) != 2 || (p[n] && p[n] != ',') ||
            !(value >= 0 && value < 1e9))
            return hone_fail(err, HONE_EUSAGE, "--shape: \"%.40s\"; expected LETTER=NUMBER,LETTER=NUMBER", p);
        if (letter == 'p') k->attr.p = (float)value;
        else HONE_TRY(set_extent(k, letter, (long long)value, err));
        p += n + (p[n] == ',');
    }
    return HONE_OK;
}
