#include <stdlib.h>

#include "../test.h"
#include "data_util.h"

static const char *folder(void) {
    static const char *made;
    if (!made) made = test_folder();
    return made;
}

const char *make_file(const char *name, const void *bytes, size_t n) {
    static char path[8][4200];
    static int next;
    char *p = path[next++ % 8];
    snprintf(p, sizeof path[0], "%s/%s", folder(), name);
    FILE *f = fopen(p, "wb");
    CHECK(f != NULL);
    CHECK_INT(fwrite(bytes, 1, n, f), n);
    CHECK_INT(fclose(f), 0);
    return p;
}

const char *make_text(const char *name, const char *content) {
    return make_file(name, content, strlen(content));
}

rows *read_text(const char *name, const char *content, const rows_options *o) {
    rows *r = NULL;
    CHECK_OK(rows_read(&r, make_text(name, content), o, err));
    return r;
}

const char *without_folder(const char *message) {
    static char out[2048];
    char prefix[4300];
    size_t n = (size_t)snprintf(prefix, sizeof prefix, "%s/", folder()), at = 0;
    while (*message && at + 1 < sizeof out) {
        if (!strncmp(message, prefix, n)) message += n;
        else out[at++] = *message++;
    }
    out[at] = 0;
    return out;
}

const char *refusal(const char *name, const void *content, size_t n, const rows_options *o, const char **hint,
                    hone_status status) {
    static hone_err err;
    rows *r = NULL;
    memset(&err, 0, sizeof err);
    if (rows_read(&r, make_file(name, content, n), o, &err) == HONE_OK)
        test_fail(__FILE__, __LINE__, "%s was read", name);
    CHECK(r == NULL);
    CHECK_INT(err.status, status);
    if (hint) *hint = err.hint;
    return without_folder(err.text);
}

const char *cell(const rows *r, int64_t row, int column) {
    static char out[8][4096];
    static int next;
    char *p = out[next++ % 8];
    const str s = r->cell[row * r->n_columns + column];
    CHECK(s.n < sizeof out[0]);
    if (!s.p) return "(absent)";
    memcpy(p, s.p, s.n);
    p[s.n] = 0;
    return p;
}

tokenizer *small_tokenizer(void) {
    tokenizer *t = NULL;
    CHECK_OK(tokenizer_load(&t, test_fixture("data-fixtures/tokenizer"), err));
    return t;
}
