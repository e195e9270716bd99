/* process.h - the one door to other processes: start them, read what they say, pass signals on, wait. */
#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H
#include <stddef.h>
#include <stdint.h>

#include "hone/status.h"

typedef struct {
    int64_t pid; /* 0: not running */
    int said_fd; /* its standard error, to be read; -1: at its end */
    int status;  /* once it has ended: exit code, or -N for signal N */
} process;

typedef struct {
    const char *name, *value;
} process_variable;

/* Start program (NULL: this one again) with argv and these variables added, on these cores (n_cores 0: where this process
 * may run). Its standard output is ours, or nowhere if mute. When this process ends, however it ends, the other gets
 * SIGTERM. */
typedef struct {
    const char *program;
    char *const *argv;
    const process_variable *variable;
    int n_variables;
    const int *core; /* [n_cores] numbers of cores */
    int n_cores, mute;
} process_options;
hone_status process_start(process *out, const process_options *o, hone_err *err);
/* Become another program (NULL: this one again; else looked for in PATH), with these variables added: returns only if that
 * fails. */
hone_status process_become(const char *program, char *const *argv, const process_variable *variable,
                           int n_variables, hone_err *err);

/* The numbers of the cores that this process may use, ascending: how many, at most `most`. */
int process_cores(int *core, int most);
int process_is_root(void);

/* Wait at most so many milliseconds until one of n has said something, has ended, or a signal has come (sig.c notes
 * which). ready[i]: process i has something to read. */
void process_wait(process *p, int n, int milliseconds, int *ready);
/* Read what is there: bytes, 0 at the end. */
size_t process_read(process *p, char *to, size_t bytes);
/* Has it ended? status is then set and pid is 0. */
int process_has_ended(process *p);
void process_signal(const process *p, int number);
/* Run a command by the shell, silently, and wait: its exit code, 127 if it could not be run. Allocates nothing of ours. */
int process_shell(const char *command);
#endif
