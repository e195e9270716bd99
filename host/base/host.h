/* host.h - the remaining doors: clock, environment, signals, threads, log, plugins. */
#ifndef BASE_HOST_H
#define BASE_HOST_H
#include <stdint.h>
#include "base/str.h"
#include "hone/device.h"

/* clock.c */
uint64_t clock_ns(void);            /* monotonic */
uint64_t clock_thread_ns(void);     /* of the processor, given to the calling thread */
double clock_process_seconds(void); /* since this process was started */
double clock_wall_seconds(void);    /* since 1970 */
void clock_text(char out[32]);      /* 2026-11-24T14:18:00Z */

/* env.c: every variable that hone reads is named there. NULL: not set. */
const char *env_get(const char *name);
const char *env_expand(const char *name); /* any variable: only for ${NAME} in a job file */
const char *env_cache_folder(void); /* HONE_CACHE, else XDG_CACHE_HOME/hone, else HOME/.cache/hone, else a folder in TMPDIR */

/* sig.c: what a signal asked for. The handler only sets it; a second signal leaves at once. */
typedef enum { SIG_NOTHING, SIG_SAVE, SIG_INTERRUPT } sig_wish; /* SIGTERM, SIGUSR1: SAVE (exit 75). SIGINT: INTERRUPT (130) */
void sig_install(void);
sig_wish sig_wished(void);
void sig_wish_for(sig_wish wished); /* as if a signal had come; the first wish counts */
/* Ranks end at the same step: once shared, sig_wished and sig_check tell what was agreed on, and sig_heard what this
 * process has heard by itself. */
void sig_share(int on);
sig_wish sig_heard(void);
void sig_agree(sig_wish agreed);
/* Asked inside long work that nothing needs to be saved of: HONE_EPREEMPTED or HONE_EINTERRUPTED once a signal came. */
hone_status sig_check(hone_err *err);

/* pool.c: one pool of threads, made once. n 0: HONE_THREADS, else the cores this process may use. */
typedef struct pool pool;
pool *pool_new(int n_threads);
void pool_free(pool *p);
int pool_threads(const pool *p);
int pool_cores(void); /* that this process may use (affinity, cgroup quota) */
int machine_cores(void); /* that there are */
void pool_run(pool *p, int64_t n, void (*fn)(void *arg, int64_t i, int thread), void *arg);
/* Between two calls: from now on `note` is told by each thread when it was at work on a call; NULL: by none. */
typedef struct {
    void (*note)(void *arg, int thread, uint64_t from_ns, uint64_t to_ns);
    void *arg;
} pool_watcher;
void pool_watch(pool *p, const pool_watcher *w);
/* The host half of the device table over a pool; the struct is the pool's. */
const hone_host_v1 *pool_host(pool *p);

/* log.c: stderr, one line at a time, whole. */
typedef enum { LOG_QUIET, LOG_WARN, LOG_INFO, LOG_DEBUG } log_level;
void log_set(log_level level);
void log_note(const char *fmt, ...) HONE_PRINTF(1, 2);   /* INFO */
void log_warn(const char *fmt, ...) HONE_PRINTF(1, 2);   /* "warning: ..." */
void log_debug(const char *fmt, ...) HONE_PRINTF(1, 2);
void log_error(const hone_err *err);                     /* "error: ...", "hint: ..." */
void log_bar(const char *fmt, ...) HONE_PRINTF(1, 2);    /* a progress line: overwritten in place; only on a terminal */
int log_is_terminal(void);
void stderr_add(const char *p, size_t n); /* bytes of another process, as they are */

/* rss.c: peak resident bytes of this process, and now. */
int64_t rss_peak_bytes(void);
int64_t rss_now_bytes(void);

/* dl.c: find and open a device's shared object: HONE_PLUGINS, then beside the program (../lib/hone, .), then the
 * install folder. NULL and err: not there, or another version of the table; err says where it was looked for. */
const hone_device_v1 *device_load(const char *name, hone_err *err);
/* The same, opened and closed once: NULL and err also where this machine is not ready for it. */
const hone_device_v1 *device_try(const char *name, hone_err *err);
/* By name; "auto": cuda where this machine is ready for it, else cpu. */
const hone_device_v1 *device_pick(const char *name, hone_err *err);
/* What the shared object of a loaded device exports beside its table; NULL: nothing of that name. */
const void *device_symbol(const hone_device_v1 *table, const char *symbol);
/* The symbol of another shared object of hone's, looked for in the same folders; it stays open. NULL and err. */
const void *library_load(const char *file, const char *symbol, hone_err *err);
int library_is_there(const char *file);
int program_path(char out[4096]); /* of the program that runs; 0 and "": it cannot be told */
/* Set path to where a file of hone's own (configs/...) lies: in the checkout around the build folder, or installed
 * beside the program. 0: in neither. */
int program_share(text *path, const char *file);
#endif
