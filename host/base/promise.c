/* promise.c - the end of a program that contradicts itself. */
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"

void promise_broken(const char *file, int line, const char *condition) {
    fprintf(stderr, "error: hone broke a promise to itself at %s:%d: %s\n", file, line, condition);
    fprintf(stderr, "hint: this is a bug; please report it with the lines above\n");
    fflush(stderr);
    abort();
}
