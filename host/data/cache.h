/* cache.h - the token cache: its file, and what is remembered of source files. Internal to host/data.
 *
 * One file a data set, "<key>.tokens": a header of CACHE_HEADER bytes, then the sections of a data set, each
 * from a multiple of 64 bytes on: at [n + 1] int64, target [n, n_targets] double, id [n_tokens] int32, label [n] int32,
 * line [n] int32, word and tag [n_tokens] int32 (of rows of words), span [n, 2], from and to [n_tokens] int32 (of windows, whose
 * line is the number of the question, from 1), type [n_tokens] uint8. Numbers are little-endian. The header holds SHA-256 of
 * all that follows it (of the SHA-256 of each piece of 256 KiB, so that threads can share the work) and of
 * itself. Every byte is covered, and every number is checked against its range before use: a cache is never
 * trusted because it has the right name.
 *
 * "<hash of path>.source" says which content a source file had when it was last read, with size, times and
 * inode;
 * "<key>.labels" holds the classes of a column. Both end with the hash of what stands before. */
#ifndef DATA_CACHE_H
#define DATA_CACHE_H
#include "data/dataset.h"

#define CACHE_HEADER 512
#define CACHE_VERSION 3

/* What its samples are: sections that not all have depend on it. */
typedef enum { CACHE_TEXTS, CACHE_WORDS, CACHE_WINDOWS } cache_kind;

/* Where the sections begin. 0: the counts overflow. */
typedef struct {
    size_t at, target, id, label, line, word, tag, span, from, to, type, bytes;
    int n_targets;
    cache_kind kind;
} cache_layout;
int cache_lay_out(cache_layout *out, int64_t n, int64_t n_tokens, int n_targets, cache_kind kind);

/* What a cache must agree with. */
typedef struct {
    const char *key, *source, *tokenizer; /* SHA-256 in hex */
    int n_ids, n_labels;                  /* ids and labels are below these */
    int n_targets;
    cache_kind kind;
    const char *(*check)(const dataset *d, const void *arg); /* more that must hold: a phrase of what does not; or NULL */
    const void *check_arg;
} cache_want;

/* Point d's arrays into memory and write counts and hashes of a filled data set into its header. */
void cache_point(dataset *d, void *memory, const cache_layout *l);
void cache_seal(const dataset *d, void *memory, const cache_layout *l, const cache_want *want, pool *p);
/* Map a cache. NULL, and *why (a phrase, or NULL where there is no such file), if it cannot be used. */
dataset *cache_open(const char *path, const cache_want *want, pool *p, const char **why);

/* A cache file's place in the folder. Where cache_find leaves *out NULL, the place is locked, so that the caller may build it;
 * where locks do not work, several processes do the same work. cache_leave in any case (of a zeroed one: fine). */
typedef struct {
    char path[4200];
    void *lock;
} cache_place;
/* source: the data file's name for a note that a stale or damaged cache is rebuilt. rebuild: whatever is there is not looked at. */
hone_status cache_find(dataset **out, cache_place *c, const char *folder, const cache_want *want, int rebuild, const char *source,
                       pool *p, hone_err *err);
void cache_leave(cache_place *c);
/* Write everything into memory laid out by l, seal it, and give d what cache_open would give it. */
typedef hone_status cache_fill(dataset *d, void *memory, const cache_layout *l, void *arg, hone_err *err);
/* Fill the file at c and map it. What goes wrong there costs only the cache: a warning, and it is filled in memory, as it is
 * where c is NULL. */
hone_status cache_build(dataset **out, const cache_place *c, const cache_layout *l, const cache_want *want, pool *p,
                        cache_fill *fill, void *arg, hone_err *err);
/* SHA-256 of the text, in hex; which is freed. */
void cache_key(text *description, char out[65]);

/* SHA-256 of a source file, from what is remembered where nothing changed. cache_folder NULL: read it. */
hone_status source_hash(char out[65], const char *path, const char *cache_folder, hone_err *err);
/* Remember it: not if the file changed just now (a second change would not show in its times). */
void source_remember(const char *path, const char *cache_folder, const char *hash);

/* Small text files that end with a hash of what stands before: 1 and the text, or 0. Failing to write is no
 * error. */
int note_read(str *out, arena *a, const char *path);
void note_write(const char *path, str content);

/* What a data set owns beside its struct. */
typedef struct {
    void *view;   /* a file_view that is mapped, or NULL */
    void *memory; /* from mem.h, or NULL */
    void *blocks; /* the same: of dataset_regroup, dataset_cut, dataset_pieces */
    void *pairs;  /* of pairs.c, or NULL */
    arena *questions; /* of windows.h, or NULL */
} dataset_owner;
dataset *dataset_new(void);
#endif
