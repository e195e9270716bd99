/* comm_mpi.c - what is asked of MPI, by a table in which rank 1 sends back what it gets; MPI itself: tests/e2e/mpi.c. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/host.h"
#include "run/mpi_calls.h"
#include "test.h"

static struct {
    const void *sent;
    void *wanted;
    size_t n_sent, n_wanted, size[8];
    int n_messages, ended, silent, broken;
} echo;

static const char *why(void) { return "the cable is cut"; }
static void end(void) { echo.ended = 1; }
static int send_one(int to, const void *p, size_t bytes) {
    CHECK(to == 1 && !echo.sent && echo.n_messages < 8);
    echo.sent = p, echo.n_sent = bytes;
    echo.size[echo.n_messages++] = bytes;
    return !echo.broken;
}
static int receive_one(int from, void *p, size_t bytes) {
    CHECK(from == 1 && !echo.wanted);
    echo.wanted = p, echo.n_wanted = bytes;
    return 1;
}
static int send_done(int to, int *done) {
    (void)to;
    *done = !echo.sent;
    return 1;
}
static int receive_done(int from, int *done) {
    (void)from;
    *done = 0;
    if (echo.silent || !echo.sent || !echo.wanted) return 1;
    CHECK_INT(echo.n_sent, echo.n_wanted);
    memcpy(echo.wanted, echo.sent, echo.n_sent);
    echo.sent = echo.wanted = NULL;
    return *done = 1;
}
static const mpi_calls calls = {.struct_bytes = sizeof calls,
                                .why = why,
                                .end = end,
                                .send = send_one,
                                .receive = receive_one,
                                .send_done = send_done,
                                .receive_done = receive_done};

static comm *open_echo(int beats[2], double limit_s) {
    comm *c;
    int pair[2];
    CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
    beats[0] = -1, beats[1] = pair[0];
    CHECK_OK(comm_mpi_open(&c, &calls, 0, 2, beats, limit_s, err));
    beats[1] = pair[1];
    return c;
}

TEST(a_piece_goes_by_mpi_in_messages_of_64_mib_at_most) {
    int beats[2];
    comm *c = open_echo(beats, 60);
    const size_t n = 2 * MPI_CALLS_PIECE + 12345;
    unsigned char *out = malloc(n), *in = calloc(n, 1), here = 7, there = 0;
    for (size_t i = 0; i < n; i++) out[i] = (unsigned char)(i * 31 + i / 65537);
    const comm_piece to[2] = {{&here, 1}, {out, n}}, from[2] = {{&there, 1}, {in, n}};
    CHECK_OK(comm_exchange(c, to, from, err));
    CHECK(!memcmp(in, out, n) && there == 7);
    CHECK_INT(echo.n_messages, 3);
    CHECK_INT(echo.size[0], MPI_CALLS_PIECE);
    CHECK_INT(echo.size[2], 12345);
    const comm_piece nothing[2] = {{NULL, 0}, {NULL, 0}};
    CHECK_OK(comm_exchange(c, nothing, nothing, err));
    CHECK_INT(echo.n_messages, 3);
    comm_close(c);
    CHECK(echo.ended);
    free(out), free(in);
}

static void fails_with(const char *says, double limit_s, int closes) {
    int beats[2];
    char word = 1;
    hone_err err = {0};
    comm *c = open_echo(beats, limit_s);
    const comm_piece to[2] = {{&word, 1}, {&word, 1}};
    if (closes) close(beats[1]);
    const uint64_t from = clock_ns();
    CHECK_INT(comm_exchange(c, to, to, &err), HONE_ECOMM);
    CHECK((double)(clock_ns() - from) * 1e-9 < limit_s + 5);
    if (!strstr(err.text, says)) test_fail(__FILE__, __LINE__, "said: %s", err.text);
    comm_close(c);
    CHECK(!echo.ended); /* that would wait for a rank that is not there */
}

TEST(a_rank_of_mpi_whose_connection_is_closed_has_died) {
    echo.silent = 1;
    fails_with("rank 1 (host not heard of, process 0) has died", 2, 1);
}
TEST(a_rank_of_mpi_that_says_nothing_is_given_up) {
    echo.silent = 1;
    fails_with("has shown no sign of life for 0 s", 0, 0);
}
TEST(what_mpi_says_of_a_failure_is_handed_on) {
    echo.broken = 1;
    fails_with("rank 1: MPI: the cable is cut", 60, 0);
}
