/* net.c - sockets that never block; waiting is poll's. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/net.h"
#include "base/err.h"
#include "base/host.h"

#define MOST 160 /* sockets waited for at once */

static void make_ready(int fd) {
    const int on = 1;
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static hone_status look_up(struct addrinfo **out, const char *host, int port, int to_listen, hone_err *err) {
    char service[16];
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = to_listen ? AI_PASSIVE : 0};
    snprintf(service, sizeof service, "%d", port);
    const int failed = getaddrinfo(host ? host : "127.0.0.1", service, &hints, out);
    if (!failed) return HONE_OK;
    return hone_fail(err, HONE_ECOMM, "%.200s: %s; expected the name or address of a machine",
                     host ? host : "127.0.0.1", gai_strerror(failed));
}

static int port_of(int fd) {
    struct sockaddr_storage a = {0};
    socklen_t n = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &n)) return 0;
    return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
                                         : ((struct sockaddr_in *)&a)->sin_port);
}

hone_status net_listen(int *out, const char *host, int *port, hone_err *err) {
    struct addrinfo *list;
    const int on = 1;
    HONE_TRY(look_up(&list, host, *port, 1, err));
    const int fd = socket(list->ai_family, SOCK_STREAM, 0);
    if (fd >= 0) (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const int failed = fd < 0 || bind(fd, list->ai_addr, list->ai_addrlen) || listen(fd, 128);
    const int why = errno;
    freeaddrinfo(list);
    if (failed) {
        net_close(fd);
        return hone_fail(err, HONE_ECOMM, "%.200s:%d: listening: %s; expected a free port of this machine",
                         host ? host : "127.0.0.1", *port, strerror(why));
    }
    make_ready(fd);
    *port = port_of(fd);
    *out = fd;
    return HONE_OK;
}

int net_accept(int listener) {
    const int fd = accept(listener, NULL, NULL);
    if (fd >= 0) make_ready(fd);
    return fd;
}

static int is_connected(int fd, uint64_t until_ns) {
    int failed = 0;
    socklen_t n = sizeof failed;
    while (clock_ns() < until_ns) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        if (poll(&p, 1, 50) == 1) return !getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &n) && !failed;
    }
    return 0;
}

/* One try at each address of the host; -1: nobody answers. */
static int call_once(const struct addrinfo *list, uint64_t until_ns) {
    for (const struct addrinfo *a = list; a; a = a->ai_next) {
        const int fd = socket(a->ai_family, SOCK_STREAM, 0);
        if (fd < 0) continue;
        make_ready(fd);
        if ((!connect(fd, a->ai_addr, a->ai_addrlen) || errno == EINPROGRESS) && is_connected(fd, until_ns))
            return fd;
        net_close(fd);
    }
    return -1;
}

/* The name is asked for each time: that of a pod exists, and moves, with the pod. */
hone_status net_connect(int *out, const char *host, int port, uint64_t until_ns, hone_err *err) {
    hone_status status;
    int said = 0;
    do {
        struct addrinfo *list;
        int fd = -1;
        status = look_up(&list, host, port, 0, err);
        if (status && !said++) log_warn("%s; asking again", err ? err->text : "a host has no address");
        if (!status) {
            fd = call_once(list, until_ns);
            freeaddrinfo(list);
        }
        if (fd >= 0) {
            *out = fd;
            return HONE_OK;
        }
        poll(NULL, 0, status ? 500 : 50);
    } while (clock_ns() < until_ns);
    return status
               ? status
               : hone_fail(err, HONE_ECOMM, "%.200s:%d: nobody answers; expected rank 0 there", host, port);
}

void net_close(int fd) {
    if (fd >= 0) close(fd);
}

static int64_t outcome(ssize_t n) {
    if (n > 0) return n;
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) ? 0 : -1;
}
int64_t net_send(int fd, const void *p, size_t n) { return outcome(send(fd, p, n, MSG_NOSIGNAL)); }
int64_t net_read(int fd, void *p, size_t n) { return outcome(recv(fd, p, n, 0)); }

static int move_all(int fd, char *p, size_t n, uint64_t until_ns, int sends) {
    for (size_t done = 0; done < n;) {
        const int64_t moved = sends ? net_send(fd, p + done, n - done) : net_read(fd, p + done, n - done);
        if (moved < 0 || (moved == 0 && clock_ns() > until_ns)) return 0;
        done += (size_t)moved;
        if (!moved) net_wait(&fd, &sends, 1, 20);
    }
    return 1;
}
int net_send_all(int fd, const void *p, size_t n, uint64_t until_ns) {
    return move_all(fd, (char *)p, n, until_ns, 1);
}
int net_read_all(int fd, void *p, size_t n, uint64_t until_ns) { return move_all(fd, p, n, until_ns, 0); }

void net_wait(const int *fd, const int *writes, int n, int milliseconds) {
    struct pollfd p[MOST];
    HONE_ASSERT(n <= MOST);
    for (int i = 0; i < n; i++)
        p[i] = (struct pollfd){.fd = fd[i], .events = (short)(writes[i] ? POLLIN | POLLOUT : POLLIN)};
    (void)poll(p, (nfds_t)n, milliseconds);
}

void net_own_address(int fd, char out[64]) {
    struct sockaddr_storage a = {0};
    socklen_t n = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &n) ||
        getnameinfo((struct sockaddr *)&a, n, out, 64, NULL, 0, NI_NUMERICHOST))
        snprintf(out, 64, "127.0.0.1");
}

void random_bytes(void *out, size_t n) {
    for (size_t done = 0; done < n;) {
        const ssize_t got = getrandom((char *)out + done, n - done, 0);
        HONE_ASSERT(got > 0 || errno == EINTR);
        if (got > 0) done += (size_t)got;
    }
}
