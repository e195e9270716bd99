/* comm.c - the collectives that are an exchange with particular pieces. */
#include <string.h>
#include <time.h>

#include "run/comm.h"
#include "base/err.h"
#include "base/host.h"

hone_status comm_exchange(comm *c, const comm_piece *to, const comm_piece *from, hone_err *err) {
    HONE_ASSERT(to[c->rank].bytes == from[c->rank].bytes);
    if (to[c->rank].bytes && to[c->rank].p != from[c->rank].p)
        memmove(from[c->rank].p, to[c->rank].p, to[c->rank].bytes);
    if (c->n == 1) return HONE_OK;
    for (int r = 0; r < c->n; r++)
        if (r != c->rank) c->bytes_sent += to[r].bytes;
    const uint64_t begun = clock_ns();
    const hone_status status = c->way->exchange(c, to, from, err);
    c->spent_ns += clock_ns() - begun;
    return status;
}

hone_status comm_gather(comm *c, const void *mine, size_t bytes, void *all, hone_err *err) {
    comm_piece to[COMM_RANKS_MAX], from[COMM_RANKS_MAX];
    for (int r = 0; r < c->n; r++) {
        to[r] = (comm_piece){(void *)mine, bytes};
        from[r] = (comm_piece){(char *)all + (size_t)r * bytes, bytes};
    }
    return comm_exchange(c, to, from, err);
}

hone_status comm_broadcast(comm *c, void *p, size_t bytes, int root, hone_err *err) {
    comm_piece to[COMM_RANKS_MAX] = {{0}}, from[COMM_RANKS_MAX] = {{0}};
    for (int r = 0; r < c->n; r++)
        if (c->rank == root && r != root) to[r] = (comm_piece){p, bytes};
    if (c->rank != root) from[root] = (comm_piece){p, bytes};
    return comm_exchange(c, to, from, err);
}

hone_status comm_barrier(comm *c, hone_err *err) {
    char mine = 0, all[COMM_RANKS_MAX];
    return comm_gather(c, &mine, 1, all, err);
}

hone_status comm_largest(comm *c, int64_t *x, hone_err *err) {
    int64_t all[COMM_RANKS_MAX];
    HONE_TRY(comm_gather(c, x, sizeof *x, all, err));
    for (int r = 0; r < c->n; r++)
        if (all[r] > *x) *x = all[r];
    return HONE_OK;
}

hone_status comm_first_word(comm *c, int64_t *word, int *rank, hone_err *err) {
    int64_t all[COMM_RANKS_MAX];
    HONE_TRY(comm_gather(c, word, sizeof *word, all, err));
    *rank = -1;
    for (int r = c->n - 1; r >= 0; r--)
        if (all[r]) *rank = r;
    if (*rank >= 0) *word = all[*rank];
    return HONE_OK;
}

static void stay(comm *c) { (void)c; }
static const comm_way nobody = {.name = "one process", .close = stay};
comm *comm_alone(void) {
    static comm alone = {.way = &nobody, .rank = 0, .n = 1};
    return &alone;
}

#define LOOK_NS 50000000u
#define EAGER 200 /* times it is asked before it begins to rest */
hone_status comm_look(comm *c, int64_t n_asked, hone_err *err) {
    static uint64_t looked;
    const struct timespec rest = {0, 20000};
    if (n_asked < EAGER) return HONE_OK;
    nanosleep(&rest, NULL);
    if (!c->way->look || clock_ns() - looked < LOOK_NS) return HONE_OK;
    looked = clock_ns();
    return c->way->look(c, err);
}

void comm_seen(comm *c, int64_t step, const char *phase) {
    if (c && c->way->seen) c->way->seen(c, step, phase);
}

void comm_abandon(comm *c) {
    if (c && c->way->abandon) c->way->abandon(c);
}

void comm_close(comm *c) {
    if (c) c->way->close(c);
}
