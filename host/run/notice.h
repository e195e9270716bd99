/* notice.h - a cloud's notice that this machine will be taken away, turned into the wish to save and end (sig.h's).
 *
 * "file:PATH" (or a plain path): the notice is that the file is there. "command:WORDS": a shell command that exits with
 * 0 once the notice has been given, run every five seconds. */
#ifndef RUN_NOTICE_H
#define RUN_NOTICE_H
#include "hone/status.h"

typedef struct notice notice;
/* what: as above. The thread looks until notice_close. */
hone_status notice_open(notice **out, const char *what, hone_err *err);
void notice_close(notice *n); /* NULL is fine */
#endif
