/* meet.c - from an address and a secret to a communicator. Rank 0 is called by all, hears where each of them is, and
 * tells all of them; then they talk through shared memory if they are on one machine, else over sockets. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "run/rendezvous.h"
#include "run/mpi_calls.h"
#include "base/err.h"
#include "base/file.h"
#include "base/host.h"
#include "base/net.h"
#include "base/shm.h"

#define MEETING_NS 300000000000u /* for all to come: nodes of a cluster start minutes apart */

hone_status rendezvous_secret(uint8_t out[RENDEZVOUS_SECRET_MAX], size_t *n, hone_err *err) {
    const char *own = env_get("HONE_SECRET"), *path = env_get("HONE_SECRET_FILE");
    *n = 0;
    if (own && *own) {
        *n = strlen(own) < RENDEZVOUS_SECRET_MAX ? strlen(own) : RENDEZVOUS_SECRET_MAX;
        memcpy(out, own, *n);
    } else if (path && *path) {
        arena *a = arena_new("secret");
        str s;
        struct stat mode;
        hone_status status = file_read(&s, a, path, 4096, HONE_EUSAGE, err);
        if (!status && (stat(path, &mode) || (mode.st_mode & 077)))
            status =
                hone_fail(err, HONE_EUSAGE, "%s: others may read it; expected a file of mode 0600", path);
        if (!status) {
            *n = s.n < RENDEZVOUS_SECRET_MAX ? s.n : RENDEZVOUS_SECRET_MAX;
            memcpy(out, s.p, *n);
        }
        arena_free(a);
        HONE_TRY(status);
    }
    if (*n >= 16) return HONE_OK;
    hone_fail(err, HONE_EUSAGE,
              "%s: %zu bytes; ranks that meet over the network need a secret of at least 16",
              own && *own     ? "HONE_SECRET"
              : path && *path ? path
                              : "HONE_SECRET",
              *n);
    return hone_hint(
        err,
        "on one machine hone launch -n N needs none; else give all ranks the same HONE_SECRET, or a file of "
        "mode 0600 in HONE_SECRET_FILE");
}

/* What rank 0 must know of each, and all of all. */
typedef struct {
    char machine[128]; /* boot id, the device of /dev/shm, HONE_MACHINE: the same for those that can share memory */
    char address[64];
    int32_t port;
} card;
typedef struct {
    card of[COMM_RANKS_MAX];
    char shared[256]; /* path of the shared memory; "": sockets */
} table_of_cards;

static void fill_card(card *c, int fd, int port) {
    arena *a = arena_new("card");
    str id;
    hone_err ignored;
    memset(c, 0, sizeof *c);
    struct stat shared = {0};
    const char *own = env_get("HONE_MACHINE");
    if (file_read(&id, a, "/proc/sys/kernel/random/boot_id", 64, HONE_ECOMM, &ignored)) host_name(c->machine);
    else if (!stat("/dev/shm", &shared))
        snprintf(c->machine, sizeof c->machine, "%.36s %llx %.40s", id.p, (unsigned long long)shared.st_dev, own ? own : "");
    net_own_address(fd, c->address);
    c->port = port;
    arena_free(a);
}

/* A rank that cannot tell (no machine) shares nothing. */
static int is_same_machine(const table_of_cards *t, int a, int b) {
    return *t->of[a].machine && !memcmp(t->of[a].machine, t->of[b].machine, sizeof t->of[a].machine);
}

static int is_one_machine(const table_of_cards *t, int n) {
    int same = *t->of[0].machine != 0;
    for (int r = 1; r < n; r++) same &= is_same_machine(t, 0, r);
    return same;
}

/* comm.h. One rank a machine is as if nothing were known. */
static int find_per_machine(const table_of_cards *t, int n) {
    int k = 1;
    while (k < n && is_same_machine(t, 0, k)) k++;
    for (int r = 0; r < n; r++)
        for (int other = 0; other < r; other++)
            if (is_same_machine(t, r, other) != (r / k == other / k)) return 0;
    return n % k || k == 1 || k == n ? 0 : k;
}

typedef struct {
    const rendezvous_terms *terms;
    rendezvous_self self;
    int listener, port; /* where this rank takes calls */
    table_of_cards cards;
    rendezvous_peer peer[N_PURPOSES * COMM_RANKS_MAX];
    uint64_t until_ns;
} meeting;

static hone_status meet_as_first(meeting *m, hone_err *err) {
    uint8_t wanted[N_PURPOSES][COMM_RANKS_MAX] = {{0}};
    const int n = m->self.n;
    m->port = m->terms->port;
    m->listener = m->terms->listener;
    if (m->listener < 0) HONE_TRY(net_listen(&m->listener, m->terms->host, &m->port, err));
    for (int r = 1; r < n; r++) wanted[PURPOSE_MEET][r] = 1;
    HONE_TRY(rendezvous_receive(m->peer, &m->self, m->listener, wanted, m->until_ns, err));
    fill_card(&m->cards.of[0], m->peer[n > 1].fd, m->port);
    for (int r = 1; r < n; r++)
        HONE_TRY(rendezvous_read(&m->peer[r], &m->cards.of[r], sizeof(card), m->until_ns, err));
    if (is_one_machine(&m->cards, n) && !m->terms->apart) {
        char path[4096];
        shm_path(path, "meet");
        snprintf(m->cards.shared, sizeof m->cards.shared, "%.255s", path);
        HONE_TRY(comm_shm_make(m->cards.shared, n, err));
    }
    for (int r = 1; r < n; r++)
        HONE_TRY(rendezvous_send(&m->peer[r], &m->cards, sizeof m->cards, m->until_ns, err));
    return HONE_OK;
}

static hone_status meet_as_other(meeting *m, hone_err *err) {
    card own;
    rendezvous_peer *first = &m->peer[0];
    char address[64];
    HONE_TRY(rendezvous_call(first, &m->self, m->terms->host ? m->terms->host : "127.0.0.1", m->terms->port, 0,
                             PURPOSE_MEET, m->until_ns, err));
    net_own_address(first->fd, address);
    HONE_TRY(net_listen(&m->listener, address, &m->port,
                        err)); /* on the interface that reaches rank 0, on no other */
    fill_card(&own, first->fd, m->port);
    HONE_TRY(rendezvous_send(first, &own, sizeof own, m->until_ns, err));
    return rendezvous_read(first, &m->cards, sizeof m->cards, m->until_ns, err);
}

/* Everybody calls those before it and is called by those after it, for signs of life and, unless data is NULL, for
 * data. */
static hone_status connect_all(meeting *m, int *data, int *beats, hone_err *err) {
    uint8_t wanted[N_PURPOSES][COMM_RANKS_MAX] = {{0}};
    const int n = m->self.n, me = m->self.rank;
    int *const of[N_PURPOSES] = {[PURPOSE_DATA] = data, [PURPOSE_PULSE] = beats};
    for (int r = 0; r < me; r++)
        for (int purpose = PURPOSE_DATA; purpose <= PURPOSE_PULSE; purpose++) {
            rendezvous_peer p;
            const card *c = &m->cards.of[r];
            if (!of[purpose]) continue;
            HONE_TRY(rendezvous_call(&p, &m->self, c->address, c->port, r, (rendezvous_purpose)purpose,
                                     m->until_ns, err));
            of[purpose][r] = p.fd;
        }
    for (int r = me + 1; r < n; r++) wanted[PURPOSE_DATA][r] = data != NULL, wanted[PURPOSE_PULSE][r] = 1;
    HONE_TRY(rendezvous_receive(m->peer, &m->self, m->listener, wanted, m->until_ns, err));
    for (int r = me + 1; r < n; r++) {
        if (data) data[r] = m->peer[PURPOSE_DATA * n + r].fd;
        beats[r] = m->peer[PURPOSE_PULSE * n + r].fd;
    }
    return HONE_OK;
}

static hone_status open_shared(comm **out, meeting *m, hone_err *err) {
    hone_err ignored;
    hone_status status =
        comm_shm_open(out, m->cards.shared, m->self.rank, m->self.n, m->terms->limit_s, err);
    if (!status) status = comm_barrier(*out, err); /* all have it: its name is not needed any more */
    if (m->self.rank == 0) file_remove(m->cards.shared, &ignored);
    return status;
}

static hone_status open_connections(meeting *m, int *data, int *beats, hone_err *err) {
    for (int r = 0; r < m->self.n; r++) {
        if (data) data[r] = -1;
        beats[r] = -1;
    }
    const hone_status status = connect_all(m, data, beats, err);
    for (int r = 0; status && r < m->self.n; r++) net_close(data ? data[r] : -1), net_close(beats[r]);
    return status;
}

hone_status rendezvous_meet(comm **out, int *data, int *beats, int *per_machine, const rendezvous_terms *terms,
                            hone_err *err) {
    static meeting m; /* a process meets once */
    m = (meeting){.terms = terms, .self = terms->self, .listener = -1};
    m.until_ns = clock_ns() + MEETING_NS;
    for (int i = 0; i < N_PURPOSES * COMM_RANKS_MAX; i++) m.peer[i].fd = -1;
    *out = NULL;
    hone_status status = m.self.rank ? meet_as_other(&m, err) : meet_as_first(&m, err);
    *per_machine = status ? 0 : find_per_machine(&m.cards, m.self.n);
    if (!status) status = *m.cards.shared ? open_shared(out, &m, err) : open_connections(&m, data, beats, err);
    for (int r = 0; r < m.self.n; r++)
        net_close(m.peer[r].fd); /* of meeting: data and pulse stand behind these */
    net_close(m.listener);
    return status;
}

hone_status rendezvous_open(comm **out, const rank_place *place, double limit_s, hone_err *err) {
    uint8_t secret[RENDEZVOUS_SECRET_MAX];
    int data[COMM_RANKS_MAX], beats[COMM_RANKS_MAX], per_machine;
    rendezvous_terms terms = {.self = {.secret = secret, .rank = place->rank, .n = place->n},
                              .host = place->host,
                              .port = place->port,
                              .listener = -1,
                              .apart = place->comm && !strcmp(place->comm, "sockets"),
                              .limit_s = limit_s};
    HONE_TRY(rendezvous_secret(secret, &terms.self.secret_bytes, err));
    if (!place->port)
        return hone_fail(
            err, HONE_EUSAGE,
            "rank %d of %d by %s: no port where rank 0 waits; expected MASTER_ADDR and MASTER_PORT",
            place->rank, place->n, place->by);
    hone_status status = rendezvous_meet(out, data, beats, &per_machine, &terms, err);
    memset(secret, 0, sizeof secret);
    if (!status && !*out) status = comm_tcp_open(out, place->rank, place->n, data, beats, limit_s, err);
    if (!status) (*out)->per_machine = per_machine;
    return status;
}

/* Under mpirun MPI is how ranks meet, unless they have been told where (MASTER_PORT) and it is not there. */
static int meets_by_mpi(const rank_place *place, int *apart) {
    *apart = place->comm && !strcmp(place->comm, "mpi");
    return *apart || (place->mpi && !place->comm && (mpi_is_there() || !place->port));
}

hone_status ranks_open(comm **out, const rank_place *place, double limit_s, hone_err *err) {
    int apart;
    *out = comm_alone();
    if (place->n == 1) return HONE_OK;
    if (meets_by_mpi(place, &apart)) HONE_TRY(mpi_meet(out, place, apart, limit_s, err));
    else if (place->comm && strcmp(place->comm, "sockets"))
        HONE_TRY(comm_shm_open(out, place->comm, place->rank, place->n, limit_s, err));
    else HONE_TRY(rendezvous_open(out, place, limit_s, err));
    (*out)->local_rank = place->local_rank;
    return HONE_OK;
}

int ranks_tell(text *out, const rank_place *place) {
    uint8_t secret[RENDEZVOUS_SECRET_MAX];
    size_t n;
    int apart;
    hone_err err = {0};
    if (place->n == 1) {
        text_str(out, "alone: there is nobody to meet");
        return 1;
    }
    if (meets_by_mpi(place, &apart)) {
        text_printf(out, "by MPI, then %s%s", apart ? "by MPI" : "shared memory on one machine, MPI across",
                    mpi_is_there() ? "" : "; but there is no libhone_mpi.so (build hone where mpi.h is)");
        return mpi_is_there();
    }
    if (place->comm && strcmp(place->comm, "sockets")) {
        text_printf(out, "in the shared memory %s", place->comm);
        return 1;
    }
    if (!place->port) {
        text_str(out, "nowhere: MASTER_PORT is not set, and MASTER_ADDR where rank 0 is another machine");
        return 0;
    }
    text_printf(out, "at %s, port %d", place->host ? place->host : "127.0.0.1", place->port);
    if (rendezvous_secret(secret, &n, &err)) {
        text_printf(out, "; but %s", err.text);
        return 0;
    }
    memset(secret, 0, sizeof secret);
    text_str(out, "; the secret is there");
    return 1;
}
