/* spool.h - bytes put aside until it is known how many there are: added in order, then taken in order, as often as wished.
 *
 * They lie in a file of a folder that has no name any more (so nothing is left of it, whatever ends the process), or in
 * memory. What goes wrong with the file is HONE_ESTORAGE. */
#ifndef BASE_SPOOL_H
#define BASE_SPOOL_H
#include <stddef.h>
#include "hone/status.h"

typedef struct spool spool;

hone_status spool_new(spool **out, const char *folder, hone_err *err); /* folder NULL: in memory */
hone_status spool_add(spool *s, const void *p, size_t n, hone_err *err);
/* Nothing is added from here on; the next byte taken is the first. */
hone_status spool_rewind(spool *s, hone_err *err);
hone_status spool_take(spool *s, void *to, size_t n, hone_err *err); /* no more than was added: a promise */
void spool_free(spool *s);                                           /* NULL is fine */
#endif
