/* hooks.h - a rank that is wrong or slow: the linker puts these between the loop of training and what it calls. */
#ifndef FAULT_HOOKS_H
#define FAULT_HOOKS_H
#include <stdint.h>

typedef struct {
    int64_t
        flip_at; /* before the weights are compared at this step the lowest bit of one is flipped; 0: never */
    int flip_param; /* in this parameter, from 1 */
    int slow_us;    /* each micro-batch takes so much longer */
} hooks;
extern hooks hook;
#endif
