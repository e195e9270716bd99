/* rendezvous.h - ranks that only know where rank 0 waits find each other, and nobody else gets in.
 *
 * A caller and the one it calls prove to each other that they know the run's secret, without saying it: each sends 32
 * unpredictable bytes and gets HMAC-SHA-256 (RFC 2104) over them, the caller's rank, the number of ranks, what the
 * connection is for, and hone's version. Whoever cannot, says something else, says it again later or says nothing for
 * ten seconds is dropped, and the run does not notice. Frames have fixed sizes. What follows the handshake is not
 * encrypted: use it inside a network that you trust.
 *
 *   hello      96 bytes: "hone rv1", rank, n, purpose (i32), version text [44], nonce [32]
 *   challenge  64 bytes: nonce [32], HMAC("server" hello nonce)
 *   proof      32 bytes: HMAC("client" hello nonce)
 *
 * then both hold the key HMAC("key" hello nonce); messages are u32 bytes, u32 number, HMAC over both and the bytes. */
#ifndef RUN_RENDEZVOUS_H
#define RUN_RENDEZVOUS_H
#include "run/comm.h"
#include "run/rank.h"

#define RENDEZVOUS_SECRET_MAX 256
typedef struct {
    const uint8_t *secret;
    size_t secret_bytes;
    int rank, n;
} rendezvous_self;

typedef enum { PURPOSE_MEET, PURPOSE_DATA, PURPOSE_PULSE, N_PURPOSES } rendezvous_purpose;

/* A connection whose other end has proved itself. */
typedef struct {
    int fd; /* -1: none */
    int rank;
    rendezvous_purpose purpose;
    uint8_t key[32];
    uint32_t n_sent, n_read;
} rendezvous_peer;

/* Call the rank that listens at host:port. */
hone_status rendezvous_call(rendezvous_peer *out, const rendezvous_self *self, const char *host, int port,
                            int its_rank, rendezvous_purpose purpose, uint64_t until_ns, hone_err *err);
/* Take calls on a listening socket until wanted[purpose][rank] of them are all in out[purpose * n + rank]; ranks and
 * purposes that are not wanted, or are there already, are refused. */
hone_status rendezvous_receive(rendezvous_peer *out, const rendezvous_self *self, int listener,
                               const uint8_t (*wanted)[COMM_RANKS_MAX], uint64_t until_ns, hone_err *err);
/* A message of exactly so many bytes. */
hone_status rendezvous_send(rendezvous_peer *p, const void *bytes, size_t n, uint64_t until_ns,
                            hone_err *err);
hone_status rendezvous_read(rendezvous_peer *p, void *bytes, size_t n, uint64_t until_ns, hone_err *err);

/* The secret: HONE_SECRET, or the file that HONE_SECRET_FILE names, which must be ours alone (mode 0600). */
hone_status rendezvous_secret(uint8_t out[RENDEZVOUS_SECRET_MAX], size_t *n, hone_err *err);

/* The communicator of a place: one process alone, hone launch's shared memory, mpirun's MPI, or a rendezvous. limit_s:
 * how long a rank may show no sign of life. */
hone_status ranks_open(comm **out, const rank_place *place, double limit_s, hone_err *err);

/* How ranks_open would do it, or what is missing for it, in a line: for hone doctor. 1, or 0: something is missing. */
int ranks_tell(text *out, const rank_place *place);

/* Meet at place->host:place->port (rank 0 listens there; a host that is not named is loopback), and open
 * shared memory where all are on one machine, else sockets between all. */
hone_status rendezvous_open(comm **out, const rank_place *place, double limit_s, hone_err *err);

/* The same, as far as the connections: *out is shared memory where all are on one machine, else NULL, and data[r]
 * and beats[r] are connections to every other rank (data NULL: none are made). */
typedef struct {
    rendezvous_self self;
    const char *host; /* where rank 0 waits */
    int port;
    int listener;     /* rank 0's, if it listens already, to be closed by the meeting; else -1 */
    int apart;        /* 1: no shared memory, even on one machine */
    double limit_s;
} rendezvous_terms;
/* *per_machine: of the communicator that is made of them (comm.h). */
hone_status rendezvous_meet(comm **out, int *data, int *beats, int *per_machine, const rendezvous_terms *terms,
                            hone_err *err);

/* comm_tcp.c: a communicator over connections that have been made: data[r] and beats[r] of every other rank, owned from
 * now on. */
hone_status comm_tcp_open(comm **out, int rank, int n, const int *data, const int *beats, double limit_s,
                          hone_err *err);
#endif
