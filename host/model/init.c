/* init.c - parameters that no folder has. */
#include <string.h>

#include "base/hash.h"
#include "base/rng.h"
#include "model/params.h"

void param_init(float *to, int64_t first, int64_t n, const param_want *w, uint64_t seed) {
    const uint64_t key = hash64(w->name, strlen(w->name), 0);
    for (int64_t i = 0; i < n; i++)
        to[i] = w->init == HONE_INIT_ZERO ? 0.0f
                : w->init == HONE_INIT_ONE
                    ? 1.0f
                    : (float)((double)w->init_std * rng_normal(seed, RNG_INIT, key, (uint64_t)(first + i)));
}
