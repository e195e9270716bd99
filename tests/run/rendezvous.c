/* rendezvous.c - ranks that meet over sockets, and strangers who would like to. */
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/host.h"
#include "base/net.h"
#include "base/rng.h"
#include "run/rendezvous.h"
#include "test.h"

static int free_port(void) {
    int fd, port = 0;
    CHECK_OK(net_listen(&fd, NULL, &port, err));
    net_close(fd);
    return port;
}

TEST(hmac_is_that_of_rfc_4231) {
    uint8_t out[32];
    char hex[65];
    hmac h;
    hmac_begin(&h, "Jefe", 4);
    hmac_add(&h, "what do ya want ", 16);
    hmac_add(&h, "for nothing?", 12);
    hmac_end(&h, out);
    sha256_hex(out, hex);
    CHECK_STR(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    uint8_t key[131];
    memset(key, 0xaa, sizeof key);
    hmac_begin(&h, key, sizeof key);
    hmac_add(&h, "Test Using Larger Than Block-Size Key - Hash Key First", 54);
    hmac_end(&h, out);
    sha256_hex(out, hex);
    CHECK_STR(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static hone_status add_ranks(comm *c, hone_err *err) {
    int64_t x = c->rank;
    char big[300001], all[5 * sizeof big];
    memset(big, 'a' + c->rank, sizeof big);
    for (int round = 0; round < 3; round++) HONE_TRY(comm_gather(c, big, sizeof big, all, err));
    for (int r = 0; r < c->n; r++)
        for (size_t i = 0; i < sizeof big; i += 997)
            if (all[(size_t)r * sizeof big + i] != 'a' + r)
                return hone_fail(err, HONE_EBUG, "rank %d's bytes", r);
    HONE_TRY(comm_largest(c, &x, err));
    return x == c->n - 1 ? HONE_OK : hone_fail(err, HONE_EBUG, "largest %lld", (long long)x);
}

typedef struct {
    int n, port;
    const char *how; /* "sockets", or NULL: as they find */
    const char *way; /* what it must come to */
    int odd_rank;    /* this one has another secret, or dies; -1: none */
    int dies;
} scene;

static int act(const scene *s, int rank) {
    hone_err err = {0};
    comm *c;
    const rank_place place = {.rank = rank, .n = s->n, .by = "test", .comm = s->how, .port = s->port};
    setenv("HONE_SECRET",
           rank == s->odd_rank && !s->dies ? "another secret, long enough" : "the secret of this test", 1);
    hone_status status = rendezvous_open(&c, &place, 60, &err);
    if (!status) {
        if (strcmp(c->way->name, s->way)) status = hone_fail(&err, HONE_EBUG, "came to %s", c->way->name);
        comm_seen(c, 7, "reduce");
        if (!status) status = comm_barrier(c, &err);
        if (s->dies && rank == s->odd_rank) raise(SIGKILL);
        if (!status) status = s->dies ? comm_barrier(c, &err) : add_ranks(c, &err);
        if (status) comm_abandon(c);
        comm_close(c);
        if (s->dies && !strstr(err.text, "rank 2 (host")) status = hone_fail(&err, HONE_EBUG, "%s", err.text);
    }
    if (status) fprintf(stderr, "  rank %d: %s\n", rank, err.text);
    return hone_status_exit(status);
}

static void play(const scene *s, int *code) {
    pid_t pid[8];
    for (int r = 0; r < s->n; r++)
        if (!(pid[r] = fork())) _exit(act(s, r));
    for (int r = 0; r < s->n; r++) {
        int status;
        waitpid(pid[r], &status, 0);
        code[r] = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }
}

TEST(ranks_with_the_secret_meet_and_talk_over_sockets) {
    int code[8];
    play(&(scene){.n = 4, .port = free_port(), .how = "sockets", .way = "sockets", .odd_rank = -1}, code);
    for (int r = 0; r < 4; r++) CHECK_INT(code[r], 0);
}

TEST(ranks_that_meet_on_one_machine_share_memory) {
    int code[8];
    play(&(scene){.n = 3, .port = free_port(), .way = "shared memory", .odd_rank = -1}, code);
    for (int r = 0; r < 3; r++) CHECK_INT(code[r], 0);
}

TEST(a_rank_that_dies_is_noticed_over_sockets) {
    int code[8];
    const uint64_t from = clock_ns();
    play(&(scene){.n = 3, .port = free_port(), .how = "sockets", .way = "sockets", .odd_rank = 2, .dies = 1},
         code);
    CHECK_INT(code[0], 6);
    CHECK_INT(code[1], 6);
    CHECK_INT(code[2], -SIGKILL);
    CHECK(clock_ns() - from < 3000000000u);
}

/* ---- strangers ------------------------------------------------------------------------------------------------*/

/* Whoever knows no secret: random frames, recorded ones again, half ones, silence, floods. */
static void bother(int port, int n_frames, const uint8_t *recorded, size_t n_recorded, atomic_int *sent) {
    int silent[40], n_silent = 0;
    for (int i = 0; i < n_frames; i++) {
        int fd;
        hone_err err;
        uint8_t frame[256];
        if (net_connect(&fd, "127.0.0.1", port, clock_ns() + 2000000000u, &err)) return;
        for (size_t k = 0; k < sizeof frame; k++) frame[k] = (uint8_t)rng_bits(5, RNG_TEST, (uint64_t)i, k);
        if (i % 3 == 0) memcpy(frame, recorded, n_recorded); /* a true hello, and a wrong proof */
        if (i % 3 == 1) memcpy(frame, recorded, 8);          /* the right first word */
        if (i % 5 == 4) frame[8 + i % 88] ^= 1;              /* one bit */
        const size_t bytes = i % 7 == 6 ? (size_t)i % 95 + 1 : 128 + (size_t)i % 128;
        net_send_all(fd, frame, bytes, clock_ns() + 200000000u);
        atomic_fetch_add(sent, 1);
        if (i % 97 == 0 && n_silent < 40) silent[n_silent++] = fd; /* stays and says no more */
        else net_close(fd);
    }
    while (n_silent) net_close(silent[--n_silent]);
}

TEST(strangers_get_nothing_and_hurt_nobody) {
    const int n_frames = getenv("HONE_LONG_TESTS") ? 100000 : 2000;
    static const uint8_t secret[] = "sixteen and more";
    const rendezvous_self first = {.secret = secret, .secret_bytes = 16, .rank = 0, .n = 2},
                          second = {.secret = secret, .secret_bytes = 16, .rank = 1, .n = 2};
    int listener, port = 0;
    uint8_t hello[96] = "hone rv1";
    CHECK_OK(net_listen(&listener, NULL, &port, err));
    /* A true hello, as someone on the wire would have recorded it. */
    const pid_t recorder = fork();
    if (!recorder) {
        rendezvous_peer p;
        hone_err err;
        rendezvous_call(&p, &second, "127.0.0.1", port, 0, PURPOSE_MEET, clock_ns() + 1000000000u, &err);
        _exit(0);
    }
    for (int fd = -1; fd < 0;) {
        fd = net_accept(listener);
        if (fd >= 0) CHECK(net_read_all(fd, hello, sizeof hello, clock_ns() + 1000000000u));
        net_close(fd);
    }
    waitpid(recorder, NULL, 0);
    atomic_int *sent = mmap(NULL, sizeof *sent, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(sent != MAP_FAILED);
    const pid_t stranger = fork();
    if (!stranger) {
        bother(port, n_frames, hello, sizeof hello, sent);
        _exit(0);
    }
    const pid_t rank1 = fork(); /* the true one comes in the middle of it */
    if (!rank1) {
        rendezvous_peer p;
        hone_err err = {0};
        int word = 0;
        usleep(200000);
        hone_status status =
            rendezvous_call(&p, &second, "127.0.0.1", port, 0, PURPOSE_MEET, clock_ns() + 60000000000u, &err);
        if (!status) status = rendezvous_read(&p, &word, sizeof word, clock_ns() + 60000000000u, &err);
        if (status) fprintf(stderr, "  rank 1: %s\n", err.text);
        _exit(status || word != 4711);
    }
    uint8_t wanted[N_PURPOSES][COMM_RANKS_MAX] = {{0, 1}};
    rendezvous_peer peer[N_PURPOSES * 2];
    CHECK_OK(rendezvous_receive(peer, &first, listener, (const uint8_t(*)[COMM_RANKS_MAX])wanted,
                                clock_ns() + 60000000000u, err));
    int word = 4711, status;
    CHECK_OK(rendezvous_send(&peer[1], &word, sizeof word, clock_ns() + 1000000000u, err));
    CHECK(waitpid(rank1, &status, 0) == rank1 && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    /* And with nobody true coming, nobody is let in. */
    hone_err err = {0};
    wanted[PURPOSE_DATA][1] = 1, wanted[PURPOSE_MEET][1] = 0;
    CHECK_INT(rendezvous_receive(peer, &first, listener, (const uint8_t(*)[COMM_RANKS_MAX])wanted,
                                 clock_ns() + (getenv("HONE_LONG_TESTS") ? 120000000000u : 3000000000u),
                                 &err),
              HONE_ECOMM);
    CHECK_STR(err.text, "rank 1 did not come; expected 2 ranks");
    printf("  %d frames of strangers, none let in\n", atomic_load(sent));
    net_close(listener);
    kill(stranger, SIGKILL);
    waitpid(stranger, NULL, 0);
}

TEST(a_wrong_secret_is_told_to_the_rank_that_has_it) {
    static const uint8_t right[] = "sixteen and more", wrong[] = "sixteen and less";
    const rendezvous_self first = {.secret = right, .secret_bytes = 16, .rank = 0, .n = 2},
                          second = {.secret = wrong, .secret_bytes = 16, .rank = 1, .n = 2};
    int listener, port = 0, status;
    CHECK_OK(net_listen(&listener, NULL, &port, err));
    const pid_t other = fork();
    if (!other) {
        rendezvous_peer p;
        hone_err err = {0};
        rendezvous_call(&p, &second, "127.0.0.1", port, 0, PURPOSE_MEET, clock_ns() + 2000000000u, &err);
        _exit(strstr(err.text, "does not know this run's secret") ? 0 : 1);
    }
    uint8_t wanted[N_PURPOSES][COMM_RANKS_MAX] = {{0, 1}};
    rendezvous_peer peer[N_PURPOSES * 2];
    hone_err err = {0};
    CHECK_INT(rendezvous_receive(peer, &first, listener, (const uint8_t(*)[COMM_RANKS_MAX])wanted,
                                 clock_ns() + 1000000000u, &err),
              HONE_ECOMM);
    CHECK(waitpid(other, &status, 0) == other && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    net_close(listener);
}

TEST(a_secret_that_others_can_read_or_that_is_short_is_refused) {
    uint8_t secret[RENDEZVOUS_SECRET_MAX];
    size_t n;
    char path[512];
    hone_err err = {0};
    clearenv();
    CHECK_INT(rendezvous_secret(secret, &n, &err), HONE_EUSAGE);
    setenv("HONE_SECRET", "short", 1);
    CHECK_INT(rendezvous_secret(secret, &n, &err), HONE_EUSAGE);
    unsetenv("HONE_SECRET");
    snprintf(path, sizeof path, "%s/secret", test_folder());
    CHECK_OK(file_write(path, "0123456789abcdef0123", 20, err));
    setenv("HONE_SECRET_FILE", path, 1);
    char command[600];
    snprintf(command, sizeof command, "chmod 644 '%s'", path);
    CHECK_INT(system(command), 0);
    CHECK_INT(rendezvous_secret(secret, &n, &err), HONE_EUSAGE);
    CHECK(strstr(err.text, "mode 0600"));
    snprintf(command, sizeof command, "chmod 600 '%s'", path);
    CHECK_INT(system(command), 0);
    CHECK_OK(rendezvous_secret(secret, &n, err));
    CHECK_INT(n, 20);
}
