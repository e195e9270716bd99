/* net.h - the one door to sockets: TCP, never blocking longer than asked. Times are those of clock_ns. */
#ifndef BASE_NET_H
#define BASE_NET_H
#include <stddef.h>
#include <stdint.h>

#include "hone/status.h"

/* Listen on exactly this interface (a name or an address; NULL: loopback); port 0: any, *port says which. */
hone_status net_listen(int *out, const char *host, int *port, hone_err *err);
/* The next caller, or -1 if there is none now. */
int net_accept(int listener);
/* Call host:port, again and again until the name is known and somebody answers, or the time is up. */
hone_status net_connect(int *out, const char *host, int port, uint64_t until_ns, hone_err *err);
void net_close(int fd); /* -1 is fine */

/* What can be sent or read now: bytes; 0: nothing now; -1: the other side is gone. */
int64_t net_send(int fd, const void *p, size_t n);
int64_t net_read(int fd, void *p, size_t n);
/* All n bytes before the time is up: 1, else 0. */
int net_send_all(int fd, const void *p, size_t n, uint64_t until_ns);
int net_read_all(int fd, void *p, size_t n, uint64_t until_ns);

/* Wait at most so many milliseconds until something can be read from (writes[i] 0) or also written to (1) one of n
 * sockets; fd -1 is passed over. */
void net_wait(const int *fd, const int *writes, int n, int milliseconds);
/* This side's address as the other one sees it. */
void net_own_address(int fd, char out[64]);

/* n unpredictable bytes from the system. */
void random_bytes(void *out, size_t n);
#endif
