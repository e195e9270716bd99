/* memo.h - a small memory that outlives the process: what was measured once (which algorithm of a matrix product is the
 * fastest here) under a key. It lies in a file of the cache folder, a checksummed line an entry; damaged lines are no
 * entries, and where the folder cannot be written only this process remembers. Any thread may call.
 *
 * What this process has asked for and got, or put, is in use until it ends and does not change when another process
 * writes the file. memo_print and memo_read carry the entries in use to a checkpoint and back, or to other ranks. */
#ifndef BASE_MEMO_H
#define BASE_MEMO_H
#include "base/str.h"

#define MEMO_MAX_BYTES 256 /* of a value */

/* key: 1 to 500 bytes without newlines. 1 and n bytes, or 0: no entry of that key and size. */
int memo_get(const char *key, void *bytes, size_t n);
void memo_put(const char *key, const void *bytes, size_t n);

void memo_print(text *out);                 /* the entries in use, a line each */
int memo_read(const char *lines, size_t n); /* take entries into use; how many lines were whole */
/* How many entries came into use after the first n bytes of what memo_print gives; the key of the first, cut to fit. */
int memo_since(size_t n, char *key, size_t key_bytes);
#endif
