/* rng.h - randomness of the host is the same function as on devices: Philox4x32 with 7 rounds (device.h). */
#ifndef BASE_RNG_H
#define BASE_RNG_H
#include <stdint.h>

void philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);
/* Number i of the stream `stream` of seed: 64 bits; uniform in [0,1) with 53 bits; integer in [0, n); standard normal
 * (Box-Muller in double). a is any number, b is below 2^40 (a promise). Streams are named below so that no two uses share one. */
typedef enum { RNG_ORDER = 1, RNG_SPLIT, RNG_INIT, RNG_SAMPLE, RNG_BENCH, RNG_TEST, RNG_MASK, RNG_PAIR } rng_stream;
uint64_t rng_bits(uint64_t seed, rng_stream stream, uint64_t a, uint64_t b);
double rng_uniform(uint64_t seed, rng_stream stream, uint64_t a, uint64_t b);
uint64_t rng_below(uint64_t seed, rng_stream stream, uint64_t a, uint64_t b, uint64_t n);
double rng_normal(uint64_t seed, rng_stream stream, uint64_t a, uint64_t b);
#endif
