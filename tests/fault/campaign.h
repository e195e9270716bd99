/* campaign.h - what campaigns share: random numbers that can be drawn again, processes in groups, what a run has announced.
 *
 * A campaign is a test with a short form; HONE_LONG_TESTS=1 plays the long one. Its seed is printed, and HONE_TEST_SEED
 * sets it: a failure names the number of its round, so that it can be played again (HONE_TEST_ROUND: that one alone). */
#ifndef FAULT_CAMPAIGN_H
#define FAULT_CAMPAIGN_H
#include <stdint.h>
#include <sys/types.h>

#include "../e2e/command.h"

typedef struct {
    uint64_t seed;
    int n_rounds, first; /* rounds first .. n_rounds - 1 are played */
    uint64_t state;      /* of the round */
    const char *name;
} campaign;

campaign campaign_begin(const char *name, int short_rounds, int long_rounds);
void campaign_round(campaign *c, int round);      /* random numbers of this round from its beginning */
uint64_t campaign_below(campaign *c, uint64_t n); /* 0 .. n - 1 */
void campaign_say(const campaign *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* `hone ARGUMENTS` as the first process of a group of its own; its words go to files NAME-out and NAME-err. */
pid_t group_start(arena *a, const char *name, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void group_kill(pid_t group); /* all of it, at once, and waits for its first process */
int group_wait(pid_t group,
               double limit_s);  /* as said.code of its first process; -1000: the limit has passed */
int group_is_empty(pid_t group); /* nothing of it lives */
/* The processes whose parent is this one, in the order of their start. */
int children_of(arena *a, pid_t parent, pid_t *child, int room);

/* The newest step that RUN/log.jsonl has announced as saved, -1: none. */
int64_t newest_announced(arena *a, const char *run);
/* Every chain of RUN/log.jsonl is that of the same step of `whole` (chain of step i + 1 in whole[i]); the test fails else.
 * Returns how many there were. */
int check_chain(arena *a, const char *run, char (*whole)[17], int n, const char *what);
int read_chain(arena *a, const char *run, char (*chain)[17], int room);
#endif
