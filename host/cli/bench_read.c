#include <string.h>

#include "cli/bench_read.h"
#include "base/file.h"
#include "base/host.h"
#include "data/reader.h"

#define PASSES 5

typedef struct {
    int64_t n_rows;
    int n_columns;
    uint64_t all_ns, hash_ns; /* the least of the passes */
} reading;

static hone_status pass(reading *out, const char *path, hone_err *err) {
    const rows_options o = {.header = -1, .quoting = -1};
    const uint64_t from = clock_thread_ns();
    rows *r;
    HONE_TRY(rows_open(&r, path, &o, err));
    hone_status status = rows_next(r, err);
    while (!status && r->n_rows) status = rows_next(r, err);
    const uint64_t ns = clock_thread_ns() - from;
    out->n_rows = r->first;
    out->n_columns = r->n_columns;
    if (!out->all_ns || ns < out->all_ns) out->all_ns = ns;
    rows_free(r);
    return status;
}

static hone_status hash(reading *out, const char *path, hone_err *err) {
    char hex[65];
    const uint64_t from = clock_thread_ns();
    HONE_TRY(source_hash_file(hex, path, err));
    const uint64_t ns = clock_thread_ns() - from;
    if (!out->hash_ns || ns < out->hash_ns) out->hash_ns = ns;
    return HONE_OK;
}

static double mb_per_s(const char *path, uint64_t ns) {
    return ns ? 1e3 * (double)file_bytes(path) / (double)ns : 0;
}

static void show(text *out, const char *path, const reading *x, int as_json) {
    const double all = mb_per_s(path, x->all_ns), hashed = mb_per_s(path, x->hash_ns);
    if (as_json) {
        text_str(out, "{\"file\":");
        text_json(out, path, strlen(path));
        text_printf(out, ",\"bytes\":%lld,\"rows\":%lld,\"columns\":%d,\"mb_per_s\":%.1f,\"hash_mb_per_s\":%.1f}\n",
                    (long long)file_bytes(path), (long long)x->n_rows, x->n_columns, all, hashed);
        return;
    }
    text_printf(out, "%s: %.1f MB, %lld rows, %d columns: %.0f MB/s read, hashed, checked and cut into fields; hashed alone %.0f MB/s\n",
                path, (double)file_bytes(path) / 1e6, (long long)x->n_rows, x->n_columns, all, hashed);
}

hone_status bench_read(const args *a, hone_err *err) {
    HONE_TRY(args_words(a, 2, 1 << 20, "hone bench read FILE...", err));
    text out = {0};
    hone_status status = HONE_OK;
    for (int i = 1; i < a->n_words && !status; i++) {
        reading x = {0};
        for (int k = 0; k < PASSES && !status; k++) {
            status = pass(&x, a->word[i], err);
            if (!status) status = hash(&x, a->word[i], err);
        }
        if (!status) show(&out, a->word[i], &x, a->json);
    }
    if (!status) stdout_add(out.p, out.n);
    text_free(&out);
    return status;
}
