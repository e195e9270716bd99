/* hash.h - SHA-256 (FIPS 180-4; checksums of files and parameters) and a fast 64-bit hash for tables (not for files). */
#ifndef BASE_HASH_H
#define BASE_HASH_H
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint32_t h[8];
    uint64_t n_bytes;
    uint8_t block[64];
} sha256;
void sha256_begin(sha256 *s);
void sha256_add(sha256 *s, const void *p, size_t n); /* uses the processor's SHA instructions where there are any */
void sha256_end(sha256 *s, uint8_t out[32]);
void sha256_hex(const uint8_t digest[32], char out[65]);

/* HMAC-SHA-256 (RFC 2104). hmac_equal takes the same time whatever the bytes. */
typedef struct {
    sha256 inner, outer;
} hmac;
void hmac_begin(hmac *h, const void *key, size_t n);
void hmac_add(hmac *h, const void *p, size_t n);
void hmac_end(hmac *h, uint8_t out[32]);
int hmac_equal(const uint8_t a[32], const uint8_t b[32]);

uint64_t hash64(const void *p, size_t n, uint64_t seed);
uint32_t crc32c(uint32_t crc, const void *p, size_t n); /* Castagnoli, as TensorBoard's records use it; start with 0 */
#endif
