#include <string.h>

#include "data/audit.h"
#include "base/err.h"
#include "base/table.h"

#define CLASSES_SHOWN 400

static void add_escaped(text *out, str s) {
    char shown[200];
    text_str(out, text_escape(shown, sizeof shown, s.p, s.n));
}

static double percent(int64_t part, int64_t of) { return of ? 100.0 * (double)part / (double)of : 0; }

/* ---- warnings
 * ------------------------------------------------------------------------------------------------ */

static int warn_classes(const audit *a, text *out) {
    int n = 0, used = 0, missing = 0, first_missing = -1;
    for (int i = 0; i < a->classes->n; i++) {
        used += a->count[i] > 0;
        if (a->count[i]) continue;
        if (!missing++) first_missing = i;
    }
    if (used == 1) {
        for (int i = 0; i < a->classes->n; i++)
            if (a->count[i]) {
                text_printf(out, "%s: all %lld rows have one label: \"", a->name, (long long)a->count[i]);
                add_escaped(out, a->classes->name[i]);
                text_str(out, "\"\n");
            }
        n++;
    }
    if (missing && used != 1) {
        text_printf(out, "%s: %d of %d classes have no row, first \"", a->name, missing, a->classes->n);
        add_escaped(out, a->classes->name[first_missing]);
        text_str(out, "\"\n");
        n++;
    }
    return n;
}

int audit_warnings(const audit *a, text *out) {
    int n = 0;
    if (a->classes) n += warn_classes(a, out);
    if (a->contradictions.n) {
        const audit_row *r = &a->contradictions.row[0];
        text_printf(out, "%s: %lld rows repeat a text under another label, first line %d (\"", a->name,
                    (long long)a->contradictions.n, (int)r->line);
        add_escaped(out, r->label);
        text_printf(out, "\") and line %d (\"", (int)r->other);
        add_escaped(out, r->other_label);
        text_str(out, "\")\n");
        n++;
    }
    if (a->duplicates.n)
        text_printf(out, "%s: %lld rows repeat an earlier row, first line %d\n", a->name,
                    (long long)a->duplicates.n, (int)a->duplicates.row[0].line),
            n++;
    if (a->overlap.n)
        text_printf(out, "%lld rows of %s are also in %s, first line %d\n", (long long)a->overlap.n, a->name,
                    a->overlap_with, (int)a->overlap.row[0].line),
            n++;
    if (a->empty.n)
        text_printf(out, "%s: %lld rows have no text, first line %d\n", a->name, (long long)a->empty.n,
                    (int)a->empty.row[0].line),
            n++;
    if (a->cut.n)
        text_printf(out, "%s: %.*f %% of rows truncated at %d tokens (mean loss %.0f tokens)\n", a->name,
                    percent(a->cut.n, a->n_rows) < 1 ? 2 : 0, percent(a->cut.n, a->n_rows), a->max_length,
                    (double)a->n_cut_tokens / (double)a->cut.n),
            n++;
    if (a->n_unknown)
        text_printf(out, "%s: %lld tokens (%.2g %%) are unknown to the tokenizer\n", a->name,
                    (long long)a->n_unknown, percent(a->n_unknown, a->n_tokens)),
            n++;
    return n;
}

/* ---- for people
 * ---------------------------------------------------------------------------------------------- */

static void print_list(const audit_list *l, const char *title, const char *with, text *out) {
    if (!l->n) return;
    text_printf(out, "\n%s: %lld\n", title, (long long)l->n);
    for (int i = 0; i < l->n_shown; i++) {
        const audit_row *r = &l->row[i];
        text_printf(out, "  line %d", (int)r->line);
        if (r->other) text_printf(out, " and %sline %d", with, (int)r->other);
        text_str(out, ": \"");
        add_escaped(out, r->shown);
        text_str(out, "\"");
        if (r->label.n || r->other_label.n) {
            text_str(out, "  ");
            add_escaped(out, r->label);
            if (!str_eq(r->label, r->other_label)) {
                text_str(out, " / ");
                add_escaped(out, r->other_label);
            }
        }
        text_str(out, "\n");
    }
    if (l->n > l->n_shown) text_printf(out, "  ... and %lld more\n", (long long)l->n - l->n_shown);
}

static void print_classes(const audit *a, text *out) {
    table *t = table_new(3);
    char shown[120];
    const int n = a->classes->n < CLASSES_SHOWN ? a->classes->n : CLASSES_SHOWN;
    table_cell(t, "label");
    table_cell(t, "rows");
    table_cell(t, "percent");
    for (int i = 0; i < n; i++) {
        table_cell(t, "%s", text_escape(shown, sizeof shown, a->classes->name[i].p, a->classes->name[i].n));
        table_cell(t, "%lld", (long long)a->count[i]);
        table_cell(t, "%.2f", percent(a->count[i], a->n_rows));
    }
    text_str(out, "\n");
    table_print(t, out);
    table_free(t);
    if (n < a->classes->n) text_printf(out, "... and %d more classes\n", a->classes->n - n);
}

static void print_lengths(const audit *a, text *out) {
    int64_t most = 1;
    for (int i = 0; i < a->n_buckets; i++)
        if (a->bucket_rows[i] > most) most = a->bucket_rows[i];
    text_printf(out, "\ntokens a row: min %d, median %d, mean %.1f, 95 %% %d, max %d", a->length_min,
                a->length_median, a->length_mean, a->length_p95, a->length_max);
    if (a->max_length) text_printf(out, " (limit %d)", a->max_length);
    text_str(out, "\n");
    for (int i = 0; i < a->n_buckets; i++) {
        text_printf(out, "  %5d to %5d %9lld ", i ? a->bucket_to[i - 1] + 1 : 0, a->bucket_to[i],
                    (long long)a->bucket_rows[i]);
        for (int64_t k = 0; k < (a->bucket_rows[i] * 40 + most - 1) / most; k++) text_str(out, "#");
        text_str(out, "\n");
    }
}

static void print_pieces(const audit *a, text *out) {
    if (!a->n_unknown) return;
    text_printf(out, "\nunknown to the tokenizer: %lld tokens, %lld different\n", (long long)a->n_unknown,
                (long long)a->n_pieces);
    for (int i = 0; i < a->n_pieces_shown; i++) {
        text_str(out, "  \"");
        add_escaped(out, a->piece[i].piece);
        text_printf(out, "\" %lld times, first in line %d\n", (long long)a->piece[i].n,
                    (int)a->piece[i].line);
    }
}

void audit_print(const audit *a, text *out) {
    text_printf(out, "%s: %lld rows, text ", a->name, (long long)a->n_rows);
    add_escaped(out, a->text_columns);
    if (a->guessed) text_str(out, " (guessed)");
    if (a->label_column.n) {
        text_str(out, ", label ");
        add_escaped(out, a->label_column);
    }
    text_str(out, "\n");
    if (a->kind == LABEL_TARGET)
        text_printf(out, "target: min %.6g, mean %.6g, max %.6g\n", a->target_min, a->target_mean,
                    a->target_max);
    if (a->classes) print_classes(a, out);
    if (a->kind != LABEL_NONE && a->n_unlabelled)
        text_printf(out, "\nwithout label: %lld\n", (long long)a->n_unlabelled);
    print_lengths(a, out);
    print_list(&a->duplicates, "rows that repeat an earlier row", "", out);
    print_list(&a->contradictions, "same text under two labels", "", out);
    if (a->overlap_with) {
        char with[420], shown[400];
        text_escape(shown, sizeof shown, a->overlap_with, strlen(a->overlap_with));
        strcpy(with, shown);
        strcat(with, " ");
        print_list(&a->overlap, "rows that are in the other file too", with, out);
    }
    print_list(&a->empty, "rows without text", "", out);
    print_list(&a->cut, "rows longer than the limit", "", out);
    print_pieces(a, out);
}

/* ---- for machines
 * -------------------------------------------------------------------------------------------- */

static void json_list(const audit_list *l, const char *key, text *out) {
    text_printf(out, ",\"%s\":{\"count\":%lld,\"first\":[", key, (long long)l->n);
    for (int i = 0; i < l->n_shown; i++) {
        const audit_row *r = &l->row[i];
        text_printf(out, "%s{\"line\":%d", i ? "," : "", (int)r->line);
        if (r->other) text_printf(out, ",\"other_line\":%d", (int)r->other);
        text_str(out, ",\"text\":");
        text_json(out, r->shown.p, r->shown.n);
        if (r->label.n || r->other_label.n) {
            text_str(out, ",\"label\":");
            text_json(out, r->label.p, r->label.n);
            text_str(out, ",\"other_label\":");
            text_json(out, r->other_label.p, r->other_label.n);
        }
        text_str(out, "}");
    }
    text_str(out, "]}");
}

static void json_labels(const audit *a, text *out) {
    if (a->label_column.n) {
        text_str(out, ",\"label_column\":");
        text_json(out, a->label_column.p, a->label_column.n);
    }
    if (a->classes) {
        text_str(out, ",\"classes\":{");
        for (int i = 0; i < a->classes->n; i++) {
            if (i) text_str(out, ",");
            text_json(out, a->classes->name[i].p, a->classes->name[i].n);
            text_printf(out, ":%lld", (long long)a->count[i]);
        }
        text_str(out, "}");
    }
    if (a->kind == LABEL_TARGET) {
        text_str(out, ",\"target\":{\"min\":");
        text_double(out, a->target_min);
        text_str(out, ",\"mean\":");
        text_double(out, a->target_mean);
        text_str(out, ",\"max\":");
        text_double(out, a->target_max);
        text_str(out, "}");
    }
    if (a->kind != LABEL_NONE) text_printf(out, ",\"unlabelled\":%lld", (long long)a->n_unlabelled);
}

static void json_tokens(const audit *a, text *out) {
    text_printf(out,
                ",\"tokens\":%lld,\"cut_tokens\":%lld,\"max_seq_length\":%d,\"length\":{\"min\":%d,"
                "\"median\":%d,\"mean\":",
                (long long)a->n_tokens, (long long)a->n_cut_tokens, a->max_length, a->length_min,
                a->length_median);
    text_double(out, a->length_mean);
    text_printf(out, ",\"p95\":%d,\"max\":%d,\"histogram\":[", a->length_p95, a->length_max);
    for (int i = 0; i < a->n_buckets; i++)
        text_printf(out, "%s{\"to\":%d,\"rows\":%lld}", i ? "," : "", a->bucket_to[i],
                    (long long)a->bucket_rows[i]);
    text_printf(out, "]},\"unknown\":{\"count\":%lld,\"different\":%lld,\"first\":[", (long long)a->n_unknown,
                (long long)a->n_pieces);
    for (int i = 0; i < a->n_pieces_shown; i++) {
        text_str(out, i ? ",{\"text\":" : "{\"text\":");
        text_json(out, a->piece[i].piece.p, a->piece[i].piece.n);
        text_printf(out, ",\"count\":%lld,\"line\":%d}", (long long)a->piece[i].n, (int)a->piece[i].line);
    }
    text_str(out, "]}");
}

void audit_json(const audit *a, text *out) {
    text_str(out, "{\"file\":");
    text_json(out, a->name, strlen(a->name));
    text_printf(out, ",\"rows\":%lld,\"text_columns\":", (long long)a->n_rows);
    text_json(out, a->text_columns.p, a->text_columns.n);
    json_labels(a, out);
    json_tokens(a, out);
    json_list(&a->duplicates, "duplicates", out);
    json_list(&a->contradictions, "contradictions", out);
    if (a->overlap_with) {
        text_str(out, ",\"compared_with\":");
        text_json(out, a->overlap_with, strlen(a->overlap_with));
        json_list(&a->overlap, "overlap", out);
    }
    json_list(&a->empty, "empty", out);
    json_list(&a->cut, "truncated", out);
    text_str(out, "}");
}
