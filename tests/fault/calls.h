/* calls.h - the calls by which hone reaches disk and memory, each of which may be made to fail. The linker puts these wrappers
 * between hone and the C library (CMakeLists.txt, --wrap); what a device's shared object calls is not among them. */
#ifndef FAULT_CALLS_H
#define FAULT_CALLS_H

typedef struct {
    const char *from; /* calls count from the mkdir or open of a path that holds this; NULL: never */
    int counts_all;   /* every call from the start on, not only from that one; of logs, locks and removals too */
    int memory;       /* requests for memory and threads count, nothing else */
    int speaking;     /* calls to the other ranks count, nothing else; they do not fail */
    int reading;      /* opens, looks, lists, reads, mappings count, nothing else */
    int fail_at;      /* the number of the call that fails, from 1; 0: none */
    int every_write;  /* of the writes, hundreds of which are alike, each so-manieth counts; 1: all */
    int for_ever;     /* and every later one */
    int error;        /* the errno that it leaves */
    int slow_us;      /* each fsync of a new file takes so long */
    const char *resume_from; /* of the job; NULL: true */
    int waits;        /* the job says save_in_background: false */
    int short_writes; /* every write takes at most so many bytes; 0: all */
    int syncs;        /* wait for the disk: hundreds of runs need not */
    int no_room;      /* statvfs says that nothing is free */
    const char *watched; /* opens of paths that hold this are counted */
    int n_watched;
    int n;            /* out: calls counted */
    const char *last; /* out: the call that failed first */
} faults;
extern faults fault;
#endif
