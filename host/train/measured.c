/* measured.c - what the device measured to choose by: one memory for the ranks of a run and for all who resume it, as
 * another choice (of a product's algorithm) would be other bits. Entries are keyed by device, driver and library, so on
 * another machine there are none that fit: what is chosen anew is said. */
#include "train/train.h"
#include "base/err.h"
#include "base/file.h"
#include "base/memo.h"

#define FILE_NAME "measured.txt" /* in a checkpoint: lines of memo.h */
#define MAX_FILE_BYTES ((size_t)4 << 20)

hone_status measured_write(const char *folder, hone_err *err) {
    text lines = {0};
    hone_status status = HONE_OK;
    arena *a = arena_new("measured");
    memo_print(&lines);
    if (lines.n) status = file_write(path_join(a, folder, FILE_NAME), lines.p, lines.n, err);
    arena_free(a);
    text_free(&lines);
    return status;
}

static hone_status read_kept(const checkpoint *from, hone_err *err) {
    str lines = {0};
    arena *a = arena_new("measured");
    const char *path = path_join(a, from->path, FILE_NAME);
    const hone_status status =
        file_exists(path) ? file_read(&lines, a, path, MAX_FILE_BYTES, HONE_EDAMAGED, err) : HONE_OK;
    if (!status) memo_read(lines.p, lines.n);
    arena_free(a);
    return status;
}

static size_t bytes_in_use(void) {
    text lines = {0};
    memo_print(&lines);
    const size_t n = lines.n;
    text_free(&lines);
    return n;
}

/* Rank 0's entries become everybody's. */
static hone_status share(comm *c, hone_err *err) {
    text lines = {0};
    if (c->rank == 0) memo_print(&lines);
    size_t n = lines.n;
    hone_status status = comm_broadcast(c, &n, sizeof n, 0, err);
    while (!status && lines.n < n) text_str(&lines, "?"); /* room */
    if (!status && n) status = comm_broadcast(c, lines.p, n, 0, err);
    if (!status && c->rank) memo_read(lines.p, lines.n);
    text_free(&lines);
    return status;
}

static void tell_new(size_t before, const char *who, const char *whose) {
    char key[400];
    const int n = memo_since(before, key, sizeof key);
    if (n)
        log_warn("%s has no choice for %d of the device's measured calls (%s%s): they are chosen anew and "
                 "may differ in "
                 "their last bits from %s",
                 who, n, key, n > 1 ? ", ..." : "", whose);
}

hone_status measured_start(training *t, const session_limits *limits, const checkpoint *from, hone_err *err) {
    comm *c = t->s->comm;
    hone_limits kind;
    HONE_TRY(session_device(t->s, err));
    HONE_TRY(t->s->table->limits(NULL, &kind));
    if (!kind.measures) return session_start(t->s, limits, err);
    comm_seen(c, 0, "choosing algorithms");
    if (from) HONE_TRY(read_kept(from, err));
    size_t before = bytes_in_use();
    if (c->rank == 0) HONE_TRY(session_start(t->s, limits, err));
    if (from && c->rank == 0) tell_new(before, from->path, "the run that was saved");
    if (c->n == 1) return HONE_OK;
    HONE_TRY(share(c, err));
    if (c->rank == 0) return HONE_OK;
    before = bytes_in_use();
    HONE_TRY(session_start(t->s, limits, err));
    tell_new(before, "rank 0", "its own");
    return HONE_OK;
}
