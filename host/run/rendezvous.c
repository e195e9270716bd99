/* rendezvous.c - proofs, calls, messages. */
#include <stdio.h>
#include <string.h>

#include "run/rendezvous.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/host.h"
#include "base/net.h"
#include "base/version.h"

#define PENDING 64               /* calls that have not proved themselves */
#define PATIENCE_NS 10000000000u /* for one that says nothing */

typedef struct {
    char magic[8];
    int32_t rank, n, purpose;
    char version[44];
    uint8_t nonce[32];
} hello;
typedef struct {
    uint8_t nonce[32], proof[32];
} challenge;
_Static_assert(sizeof(hello) == 96 && sizeof(challenge) == 64, "frames have fixed sizes");

static void prove(const rendezvous_self *self, const char *as, const hello *h, const uint8_t nonce[32],
                  uint8_t out[32]) {
    hmac m;
    hmac_begin(&m, self->secret, self->secret_bytes);
    hmac_add(&m, as, strlen(as));
    hmac_add(&m, h, sizeof *h);
    hmac_add(&m, nonce, 32);
    hmac_end(&m, out);
}

static hello hello_of(const rendezvous_self *self, rendezvous_purpose purpose) {
    hello h = {.rank = self->rank, .n = self->n, .purpose = (int32_t)purpose};
    memcpy(h.magic, "hone rv1", 8);
    snprintf(h.version, sizeof h.version, "%s %.24s", HONE_VERSION, HONE_COMMIT);
    return h;
}

hone_status rendezvous_call(rendezvous_peer *out, const rendezvous_self *self, const char *host, int port,
                            int its_rank, rendezvous_purpose purpose, uint64_t until_ns, hone_err *err) {
    hello h = hello_of(self, purpose);
    challenge c;
    uint8_t proof[32];
    *out = (rendezvous_peer){.fd = -1, .rank = its_rank, .purpose = purpose};
    random_bytes(h.nonce, sizeof h.nonce);
    HONE_TRY(net_connect(&out->fd, host, port, until_ns, err));
    int known =
        net_send_all(out->fd, &h, sizeof h, until_ns) && net_read_all(out->fd, &c, sizeof c, until_ns);
    prove(self, "server", &h, c.nonce, proof);
    known = known && hmac_equal(proof, c.proof);
    prove(self, "client", &h, c.nonce, proof);
    prove(self, "key", &h, c.nonce, out->key);
    if (known && net_send_all(out->fd, proof, sizeof proof, until_ns)) return HONE_OK;
    net_close(out->fd);
    out->fd = -1;
    hone_fail(
        err, HONE_ECOMM,
        "%.200s:%d: who answers does not know this run's secret, or runs another hone; expected rank %d",
        host, port, its_rank);
    return hone_hint(err, "give all ranks the same HONE_SECRET or HONE_SECRET_FILE, and the same build");
}

/* ---- calls that come in ---------------------------------------------------------------------------------------*/

typedef struct {
    int fd;
    uint64_t until_ns;
    size_t got;
    hello h;
    uint8_t nonce[32], proof[32];
} pending;

typedef struct {
    const rendezvous_self *self;
    const uint8_t (*wanted)[COMM_RANKS_MAX];
    rendezvous_peer *out;
    pending call[PENDING];
} reception;

static int is_wanted(const reception *r, const hello *h) {
    const hello own = hello_of(r->self, 0);
    return !memcmp(h->magic, own.magic, 8) && h->n == r->self->n && h->rank >= 0 && h->rank < h->n &&
           h->purpose >= 0 && h->purpose < N_PURPOSES &&
           !memcmp(h->version, own.version, sizeof own.version) && r->wanted[h->purpose][h->rank] &&
           r->out[h->purpose * r->self->n + h->rank].fd < 0;
}

static int answer(const reception *r, pending *p) {
    challenge c;
    random_bytes(p->nonce, sizeof p->nonce);
    memcpy(c.nonce, p->nonce, sizeof c.nonce);
    prove(r->self, "server", &p->h, c.nonce, c.proof);
    return net_send_all(p->fd, &c, sizeof c,
                        clock_ns() + 100000000u); /* 64 bytes: they fit, or it is no caller of ours */
}

/* Once the proof is there and holds, the caller is a peer. */
static int admit(reception *r, pending *p) {
    uint8_t proof[32];
    prove(r->self, "client", &p->h, p->nonce, proof);
    if (!hmac_equal(proof, p->proof) || !is_wanted(r, &p->h)) return 0;
    rendezvous_peer *peer = &r->out[p->h.purpose * r->self->n + p->h.rank];
    *peer = (rendezvous_peer){.fd = p->fd, .rank = p->h.rank, .purpose = (rendezvous_purpose)p->h.purpose};
    prove(r->self, "key", &p->h, p->nonce, peer->key);
    p->fd = -1;
    return 1;
}

/* Read on: 0 if this caller is to be dropped. */
static int hear(reception *r, pending *p) {
    const size_t all = sizeof p->h + sizeof p->proof;
    for (;;) {
        const size_t end = p->got < sizeof p->h ? sizeof p->h : all;
        unsigned char *to =
            p->got < sizeof p->h ? (unsigned char *)&p->h + p->got : p->proof + (p->got - sizeof p->h);
        const int64_t n = net_read(p->fd, to, end - p->got);
        if (n <= 0) return n == 0 && clock_ns() < p->until_ns;
        p->got += (size_t)n;
        if (p->got == sizeof p->h && (!is_wanted(r, &p->h) || !answer(r, p))) return 0;
        if (p->got == all) return admit(r, p);
    }
}

static void take_callers(reception *r, int listener) {
    for (int i = 0; i < PENDING; i++) {
        pending *p = &r->call[i];
        if (p->fd >= 0) continue;
        const int fd = net_accept(listener);
        if (fd < 0) return;
        *p = (pending){.fd = fd, .until_ns = clock_ns() + PATIENCE_NS};
    }
}

static int missing(const reception *r, int *rank) {
    int n = 0;
    for (int purpose = 0; purpose < N_PURPOSES; purpose++)
        for (int k = 0; k < r->self->n; k++)
            if (r->wanted[purpose][k] && r->out[purpose * r->self->n + k].fd < 0) *rank = k, n++;
    return n;
}

static void wait_for_callers(const reception *r, int listener) {
    int fd[PENDING + 1] = {listener}, writes[PENDING + 1] = {0}, room = 0;
    for (int i = 0; i < PENDING; i++) fd[i + 1] = r->call[i].fd, room |= r->call[i].fd < 0;
    if (!room) fd[0] = -1;
    net_wait(fd, writes, PENDING + 1, 50);
}

hone_status rendezvous_receive(rendezvous_peer *out, const rendezvous_self *self, int listener,
                               const uint8_t (*wanted)[COMM_RANKS_MAX], uint64_t until_ns, hone_err *err) {
    reception r = {.self = self, .wanted = wanted, .out = out};
    int absent = 0, n = 0;
    for (int i = 0; i < N_PURPOSES * self->n; i++) out[i].fd = -1;
    for (int i = 0; i < PENDING; i++) r.call[i].fd = -1;
    while ((n = missing(&r, &absent)) && clock_ns() < until_ns) {
        wait_for_callers(&r, listener);
        take_callers(&r, listener);
        for (int i = 0; i < PENDING; i++) {
            pending *p = &r.call[i];
            if (p->fd < 0 || hear(&r, p)) continue;
            net_close(p->fd);
            p->fd = -1;
        }
    }
    for (int i = 0; i < PENDING; i++) net_close(r.call[i].fd);
    if (!n) return HONE_OK;
    for (int i = 0; i < N_PURPOSES * self->n; i++) net_close(out[i].fd);
    return hone_fail(err, HONE_ECOMM, "rank %d did not come; expected %d ranks", absent, self->n);
}

/* ---- messages --------------------------------------------------------------------------------------------------*/

typedef struct {
    uint32_t bytes, number;
    uint8_t mac[32];
} message;

static void seal(const rendezvous_peer *p, const char *way, message *m, const void *bytes) {
    hmac h;
    hmac_begin(&h, p->key, sizeof p->key);
    hmac_add(&h, way, strlen(way));
    hmac_add(&h, m, 8);
    hmac_add(&h, bytes, m->bytes);
    hmac_end(&h, m->mac);
}

/* The lower rank's messages and the higher's are sealed apart, so none can be sent back. */
static hone_status broken(const rendezvous_peer *p, const char *what, hone_err *err) {
    return hone_fail(err, HONE_ECOMM, "rank %d %s while the ranks were meeting", p->rank, what);
}

hone_status rendezvous_send(rendezvous_peer *p, const void *bytes, size_t n, uint64_t until_ns,
                            hone_err *err) {
    message m = {.bytes = (uint32_t)n, .number = p->n_sent++};
    seal(p, p->rank ? "to" : "from", &m, bytes);
    return net_send_all(p->fd, &m, sizeof m, until_ns) && net_send_all(p->fd, bytes, n, until_ns)
               ? HONE_OK
               : broken(p, "went away", err);
}

hone_status rendezvous_read(rendezvous_peer *p, void *bytes, size_t n, uint64_t until_ns, hone_err *err) {
    message m, should;
    if (!net_read_all(p->fd, &m, sizeof m, until_ns)) return broken(p, "went away", err);
    if (m.bytes != n || m.number != p->n_read++)
        return broken(p, "sent another message than was expected", err);
    if (!net_read_all(p->fd, bytes, n, until_ns)) return broken(p, "went away", err);
    should = m;
    seal(p, p->rank ? "from" : "to", &should, bytes);
    return hmac_equal(m.mac, should.mac) ? HONE_OK
                                         : broken(p, "sent a message that was changed on its way", err);
}
