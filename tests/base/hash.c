/* hash.c - published test vectors, whatever the pieces in which the bytes arrive. */
#include "test.h"

/* The sources themselves: what a machine without the instructions would use is tested on any machine. */
#include "../../host/base/hash.c"
#include "../../host/base/sha256.c"

static const char *hash_of(const void *p, size_t n, size_t piece) {
    static char hex[65];
    uint8_t digest[32];
    sha256 s;
    sha256_begin(&s);
    for (size_t i = 0; i < n; i += piece) sha256_add(&s, (const char *)p + i, n - i < piece ? n - i : piece);
    sha256_end(&s, digest);
    sha256_hex(digest, hex);
    return hex;
}

TEST(sha256_gives_the_published_digests) { /* FIPS 180-4 examples, and NIST's million letters */
    CHECK_STR(hash_of("", 0, 1), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK_STR(hash_of("abc", 3, 3), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    static const char two[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    CHECK_STR(hash_of(two, 56, 56), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    static char million[1000000];
    memset(million, 'a', sizeof million);
    CHECK_STR(hash_of(million, sizeof million, sizeof million),
              "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    CHECK_STR(hash_of(million, sizeof million, 61),
              "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* An own, plain SHA-256 of one piece, to compare lengths around the block's edges. */
static void plain_sha256(const uint8_t *p, size_t n, uint8_t out[32]) {
    uint32_t k[64], h[8];
    int count = 0;
    for (unsigned prime = 2; count < 64; prime++) { /* fractional parts of roots of primes, in integers */
        int divides = 0;
        for (unsigned d = 2; d * d <= prime; d++) divides |= prime % d == 0;
        if (divides) continue;
        unsigned __int128 low = 0, high = (unsigned __int128)1 << 36;
        while (high - low > 1) { /* cube root times 2^32 */
            const unsigned __int128 mid = (low + high) / 2;
            if (mid * mid * mid <= (unsigned __int128)prime << 96) low = mid;
            else high = mid;
        }
        k[count] = (uint32_t)low;
        if (count < 8) {
            for (low = 0, high = (unsigned __int128)1 << 40; high - low > 1;) {
                const unsigned __int128 mid = (low + high) / 2;
                if (mid * mid <= (unsigned __int128)prime << 64) low = mid;
                else high = mid;
            }
            h[count] = (uint32_t)low;
        }
        count++;
    }
    uint8_t padded[512] = {0};
    const size_t total = (n + 72) / 64 * 64;
    memcpy(padded, p, n);
    padded[n] = 0x80;
    for (int i = 0; i < 8; i++) padded[total - 1 - (size_t)i] = (uint8_t)((uint64_t)n * 8 >> 8 * i);
    for (size_t at = 0; at < total; at += 64) {
        uint32_t w[64], v[8];
        for (int i = 0; i < 64; i++) {
            if (i < 16)
                w[i] = (uint32_t)padded[at + 4 * (size_t)i] << 24 |
                       (uint32_t)padded[at + 4 * (size_t)i + 1] << 16 |
                       (uint32_t)padded[at + 4 * (size_t)i + 2] << 8 | padded[at + 4 * (size_t)i + 3];
#define ROT(x, r) ((x) >> (r) | (x) << (32 - (r)))
            else
                w[i] = w[i - 16] + w[i - 7] + (ROT(w[i - 15], 7) ^ ROT(w[i - 15], 18) ^ w[i - 15] >> 3) +
                       (ROT(w[i - 2], 17) ^ ROT(w[i - 2], 19) ^ w[i - 2] >> 10);
        }
        memcpy(v, h, sizeof v);
        for (int i = 0; i < 64; i++) {
            const uint32_t t1 = v[7] + (ROT(v[4], 6) ^ ROT(v[4], 11) ^ ROT(v[4], 25)) +
                                ((v[4] & v[5]) ^ (~v[4] & v[6])) + k[i] + w[i];
            const uint32_t t2 = (ROT(v[0], 2) ^ ROT(v[0], 13) ^ ROT(v[0], 22)) +
                                ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
            for (int j = 7; j > 0; j--) v[j] = v[j - 1];
            v[4] += t1;
            v[0] = t1 + t2;
        }
        for (int i = 0; i < 8; i++) h[i] += v[i];
    }
    for (int i = 0; i < 32; i++) out[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

TEST(sha256_is_right_at_every_length_and_cut) {
    uint8_t bytes[200], expected[32];
    for (int i = 0; i < 200; i++) bytes[i] = (uint8_t)(i * 37 + 11);
    for (size_t n = 0; n <= 200; n++) {
        char hex[65];
        plain_sha256(bytes, n, expected);
        sha256_hex(expected, hex);
        for (size_t piece = 1; piece <= 130; piece += 43) CHECK_STR(hash_of(bytes, n, piece), hex);
    }
}

TEST(sha256_without_the_instructions_is_the_same) {
    uint8_t bytes[640];
    for (int i = 0; i < 640; i++) bytes[i] = (uint8_t)(i * i * 7 + i);
    for (size_t n_blocks = 0; n_blocks <= 10; n_blocks++) {
        uint32_t one[8] = {1, 2, 3, 4, 5, 6, 7, 8}, other[8] = {1, 2, 3, 4, 5, 6, 7, 8};
        add_blocks(one, bytes, n_blocks);
        add_blocks_plain(other, bytes, n_blocks);
        CHECK(!memcmp(one, other, sizeof one));
    }
}

TEST(crc32c_without_the_instruction_is_the_same) {
    uint8_t bytes[100];
    for (int i = 0; i < 100; i++) bytes[i] = (uint8_t)(i * 29 + 3);
    for (size_t n = 0; n <= 100; n++) CHECK_INT(crc32c(123, bytes, n), ~crc_by_bits(~123u, bytes, n));
}

TEST(crc32c_gives_the_published_values) { /* RFC 3720, B.4 */
    uint8_t bytes[32] = {0};
    CHECK_INT(crc32c(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    CHECK_INT(crc32c(0, bytes, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++) bytes[i] = (uint8_t)i;
    CHECK_INT(crc32c(0, bytes, 32), 0x46dd794e);
    CHECK_INT(crc32c(0, "123456789", 9), 0xe3069283);
    CHECK_INT(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
    CHECK_INT(crc32c(0, "", 0), 0);
}

TEST(hash64_spreads_short_keys_and_uses_every_byte) {
    uint64_t seen[4096];
    char key[48] = {0};
    for (int i = 0; i < 4096; i++) {
        snprintf(key, sizeof key, "%d", i);
        seen[i] = hash64(key, strlen(key), 0);
        for (int j = 0; j < i; j++) CHECK(seen[i] != seen[j]);
    }
    int buckets[64] = {0};
    for (int i = 0; i < 4096; i++) buckets[seen[i] & 63]++;
    for (int i = 0; i < 64; i++)
        CHECK(buckets[i] > 24 && buckets[i] < 120); /* 64 each, 7 standard deviations */
    for (size_t n = 1; n <= 48; n++)
        for (size_t i = 0; i < n; i++) {
            memset(key, 'a', sizeof key);
            const uint64_t before = hash64(key, n, 7);
            key[i] ^= 1;
            CHECK(hash64(key, n, 7) != before);
            CHECK(hash64(key, n, 8) != hash64(key, n, 7));
        }
    CHECK(hash64("\0", 1, 0) != hash64("", 0, 0) && hash64("\0\0", 2, 0) != hash64("\0", 1, 0));
}
