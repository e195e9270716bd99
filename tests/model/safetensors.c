#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "make.h"

static hone_status open_bytes(const char *folder, const void *p, size_t n, hone_err *err) {
    safetensors *s;
    const hone_status status = safetensors_open(&s, make_file(folder, "x.safetensors", p, n), err);
    if (!status) safetensors_close(s);
    return status;
}

static hone_status open_header(const char *folder, const char *header, size_t n_data, hone_err *err) {
    safetensors *s;
    const hone_status status =
        safetensors_open(&s, make_safetensors(folder, "x.safetensors", header, n_data), err);
    if (!status) safetensors_close(s);
    return status;
}

static hone_status open_length(const char *folder, unsigned long long length, size_t n, hone_err *err) {
    unsigned char p[4096] = {0};
    for (int i = 0; i < 8; i++) p[i] = (unsigned char)(length >> 8 * i);
    return open_bytes(folder, p, n, err);
}

#define A "\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}"
#define REFUSE(header, n_data, text)                                                                         \
    CHECK_REFUSED(open_header(folder, header, n_data, err), HONE_EDAMAGED, text)

TEST(safetensors_lengths_are_refused_before_anything_is_read) {
    const char *folder = test_folder();
    CHECK_REFUSED(open_bytes(folder, "", 0, err), HONE_EDAMAGED,
                  "x.safetensors: byte 0: file has 0 bytes, a header needs at least 8");
    CHECK_REFUSED(open_bytes(folder, "1234567", 7, err), HONE_EDAMAGED,
                  ": byte 0: file has 7 bytes, a header needs at least 8");
    CHECK_REFUSED(open_length(folder, 9999, 4096, err), HONE_EDAMAGED,
                  ": byte 0: header length 9999 exceeds the 4088 bytes that follow");
    CHECK_REFUSED(open_length(folder, 100000001, 4096, err), HONE_EDAMAGED,
                  ": byte 0: header length 100000001 above the limit 100000000");
    CHECK_REFUSED(open_length(folder, 100000000, 4096, err), HONE_EDAMAGED,
                  ": byte 0: header length 100000000 exceeds the 4088 bytes that follow");
    for (int i = 0; i <= 16; i++)
        CHECK_REFUSED(open_length(folder, 0ull - (unsigned long long)(i + 1), 4096, err), HONE_EDAMAGED,
                      " above the limit 100000000");
    CHECK_REFUSED(open_length(folder, 1ull << 63, 4096, err), HONE_EDAMAGED, " above the limit 100000000");
    CHECK_REFUSED(open_length(folder, 1ull << 32, 4096, err), HONE_EDAMAGED, " above the limit 100000000");
    CHECK_REFUSED(open_length(folder, 0, 8, err), HONE_EDAMAGED, ": byte 8 (header): expected '{'");
}

TEST(safetensors_headers_that_are_no_json_are_refused_with_their_byte) {
    const char *folder = test_folder();
    REFUSE("{\"a\":\"\xff\"}", 0, ": byte 14 (header): invalid UTF-8 byte 0xff");
    REFUSE("[]", 0, ": byte 8 (header): expected '{'");
    REFUSE("{" A, 16, ": byte 64 (header): expected ',' or '}'");
    REFUSE("{" A ",}", 16, ": byte 65 (header): expected '\"'");
    REFUSE("{" A "} x", 16, ": byte 66 (header): bytes after the closing '}'");
    REFUSE("{\"a", 0, ": byte 9 (header): a string that does not end; expected '\"'");
    REFUSE("{\"a\n\":1}", 0, ": byte 11 (header): control byte 0x0a in a string");
    REFUSE("{\"a\\u0000b\":1}", 0, ": byte 11 (header): an escape that is none, or of a NUL");
    REFUSE("{\"a\\ud800\":1}", 0, ": byte 11 (header): an escape that is none, or of a NUL");
    REFUSE("{\"a\":1}", 0, ": byte 13 (\"a\"): expected an object with dtype, shape and data_offsets");
    REFUSE("{\"a\":{\"dtype\":\"F32\",\"shape\":[]}}", 0, ": byte 38 (\"a\"): data_offsets is missing");
    REFUSE("{\"a\":{\"kind\":1}}", 0,
           ": byte 14 (\"a\"): field \"kind\", expected dtype, shape or data_offsets");
    REFUSE("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", 0, ": byte 28 (\"a\"): dtype given twice");
}

TEST(safetensors_tensors_that_contradict_themselves_are_refused) {
    const char *folder = test_folder();
#define ONE(dtype, shape, offsets)                                                                           \
    "{\"a\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"
    REFUSE("{" A "," A "}", 16, ": byte 65: tensor \"a\" given twice, first at byte 9");
    REFUSE(ONE("\"F32\"", "[2,2]", "[0,4]"), 4, ": \"a\": F32 [2,2] needs 16 bytes, offsets give 4");
    REFUSE(ONE("\"F32\"", "[1]", "[0,65536]"), 65536, ": \"a\": F32 [1] needs 4 bytes, offsets give 65536");
    REFUSE(ONE("\"F32\"", "[4294967296,4294967296]", "[0,0]"), 0,
           ": \"a\": F32 [4294967296,4294967296]: its shape overflows");
    REFUSE(ONE("\"F32\"", "[4611686018427387904,4]", "[0,0]"), 0,
           ": \"a\": F32 [4611686018427387904,4]: its shape overflows");
    REFUSE(ONE("\"F32\"", "[9223372036854775807,2,0]", "[0,0]"), 0,
           ": \"a\": F32 [9223372036854775807,2,0]: its shape overflows");
    REFUSE(ONE("\"F32\"", "[0,18446744073709551615]", "[0,0]"), 0,
           ": byte 39 (\"a\".shape[1]): 18446744073709551615 is beyond 2^63 - 1");
    REFUSE(ONE("\"F32\"", "[2]", "[-1,7]"), 8,
           ": byte 56 (\"a\".data_offsets[0]): -1, expected an integer >= 0");
    REFUSE(ONE("\"F32\"", "[2.0]", "[0,8]"), 8, ": byte 37 (\"a\".shape[0]): 2.0, expected an integer >= 0");
    REFUSE(ONE("\"F32\"", "[\"2\"]", "[0,8]"), 8, ": byte 37 (\"a\".shape[0]): expected an integer >= 0");
    REFUSE(ONE("\"F32\"", "[2]", "[0,8e0]"), 8,
           ": byte 58 (\"a\".data_offsets[1]): 8e0, expected an integer >= 0");
    REFUSE(ONE("\"F32\"", "[02]", "[0,8]"), 8,
           ": byte 37 (\"a\".shape[0]): 02, expected a number without leading zeros");
    REFUSE(ONE("\"F32\"", "[2]", "[8]"), 8, ": byte 55 (\"a\"): data_offsets: expected [begin, end]");
    REFUSE(ONE("\"F32\"", "[2]", "[0,8,8]"), 8,
           ": byte 55 (\"a\"): data_offsets: more than two; expected [begin, end]");
    REFUSE(ONE("\"F32\"", "[2]", "[8,0]"), 8,
           ": byte 55 (\"a\"): data_offsets: [8, 0] ends before it begins");
    REFUSE(ONE("\"F33\"", "[2]", "[0,8]"), 8,
           ": byte 22 (\"a\"): dtype \"F33\" unknown; known: F32 F16 BF16 F64 I64 I32 I16 I8 U64 U32 U16 U8 "
           "BOOL");
    REFUSE(ONE("\"f32\"", "[2]", "[0,8]"), 8,
           ": byte 22 (\"a\"): dtype \"f32\" unknown; known: F32 F16 BF16 F64 I64 I32 I16 I8 U64 U32 U16 U8 "
           "BOOL");
    REFUSE(ONE("\"F8_E4M3\"", "[8]", "[0,8]"), 8,
           ": byte 22 (\"a\"): dtype F8_E4M3 is not supported for training");
    REFUSE(ONE("4", "[8]", "[0,8]"), 8, ": byte 22 (\"a\"): dtype: expected a string");
    REFUSE(ONE("\"F32\"", "[1,1,1,1,1,1,1,1,2]", "[0,8]"), 8,
           ": byte 53 (\"a\"): shape: more than 8 dimensions");
    REFUSE("{\"__metadata__\":{\"step\":1}}", 0, ": byte 32 (__metadata__.step): expected a string");
    REFUSE("{\"__metadata__\":{\"a\":\"1\",\"a\":\"1\"}}", 0, ": __metadata__.a given twice");
    REFUSE("{\"__metadata__\":[]}", 0, ": byte 24 (__metadata__): expected an object of strings");
}

TEST(safetensors_spans_must_tile_the_data) {
    const char *folder = test_folder();
#define B(begin, end) "\"b\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[" #begin "," #end "]}"
    REFUSE("{" A "," B(0, 16) "}", 16, ": \"b\": bytes 0-16 overlap \"a\"");
    REFUSE("{" A "," B(8, 24) "}", 24, ": \"b\": bytes 8-16 overlap \"a\"");
    REFUSE("{" A "," B(32, 48) "}", 48, ": bytes 16-32 belong to no tensor; \"b\" begins after them");
    REFUSE("{" A "}", 32, ": bytes 16-32 belong to no tensor; expected the file to end there");
    REFUSE("{" A "}", 12, ": \"a\": bytes 0-16 go beyond the 12 bytes of data");
    REFUSE("{}", 1, ": bytes 0-1 belong to no tensor; expected the file to end there");
}

TEST(safetensors_what_is_another_kind_of_file_is_called_by_its_name) {
    const char *folder = test_folder();
    static const char pointer[] =
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8"
        "f32b1258daaa5e2ca24d17e2393\nsize 440449768\n";
    CHECK_REFUSED(open_bytes(folder, pointer, sizeof pointer - 1, err), HONE_EDAMAGED,
                  ": this is a Git LFS pointer (oid "
                  "sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393, "
                  "size 420.05 MiB), not the weights");
    CHECK_REFUSED(open_bytes(folder, "<!DOCTYPE html><html>", 21, err), HONE_EDAMAGED,
                  ": looks like HTML (\"<!DOCTYPE\"), not like weights");
    CHECK_REFUSED(
        open_bytes(folder, "PK\x03\x04 archive/data.pkl", 20, err), HONE_EDAMAGED,
        ": content is a zip (as torch.save writes), not safetensors: loading it can run code, refused");
    CHECK_REFUSED(open_bytes(folder, "\x80\x02}q\x01(X\x01 ...", 12, err), HONE_EDAMAGED,
                  ": content is a pickle, not safetensors: loading it can run code, refused");
    CHECK_REFUSED(open_bytes(folder, "GGUF\x03 ........", 12, err), HONE_EDAMAGED,
                  ": content is GGUF, expected safetensors");
}

TEST(safetensors_names_are_shown_escaped_and_cut) {
    const char *folder = test_folder();
    char *header = malloc(120000);
    CHECK(header);
    char *at = header + sprintf(header, "{\"\\u001b[31m");
    memset(at, 'x', 100000);
    sprintf(at + 100000, "\":{\"dtype\":\"F33\"}}");
    hone_err err = {0};
    CHECK_INT(open_header(folder, header, 0, &err), HONE_EDAMAGED);
    CHECK(strstr(err.text, "(\"\\x1b[31mxxxx"));
    CHECK(!strchr(err.text, 27));
    CHECK(strlen(err.text) < 700);
    free(header);
}

/* Not refused: what the format allows. */
TEST(safetensors_legal_oddities_are_read) {
    const char *folder = test_folder();
    safetensors *s;
    const char *header =
        "{ \"__metadata__\" : {} ,\n\"e\\u0301\\\"\":{\"shape\":[],\"data_offsets\":[4,8],\"dtype\":\"F32\"},"
        "\"none\":{\"dtype\":\"I64\",\"shape\":[3,0],\"data_offsets\":[4,4]},"
        "\"\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}   ";
    CHECK_OK(safetensors_open(&s, make_safetensors(folder, "x", header, 8), err));
    CHECK_INT(s->n, 3);
    const stored_tensor *t = safetensors_find(s, "e\xcc\x81\"");
    CHECK(t && t->n_dims == 0 && t->n == 1 && t->begin == 4);
    t = safetensors_find(s, "none");
    CHECK(t && t->n == 0 && t->dim[0] == 3 && t->type == STORED_I64);
    t = safetensors_find(s, "");
    unsigned char last = 0;
    CHECK(t && t->n == 4);
    CHECK_OK(safetensors_read(s, t, 3, &last, 1, err));
    CHECK_INT(last, 3);
    CHECK(!safetensors_find(s, "nones"));
    safetensors_close(s);
}

TEST(safetensors_every_truncation_of_a_file_is_refused) {
    const char *folder = test_folder();
    const tensor_form form[] = {
        {"b.weight", STORED_F32, 2, {2, 3}}, {"a.bias", STORED_F16, 1, {3}}, {"c", STORED_I64, 1, {1}}};
    static const char bytes[24];
    safetensors_writer *w;
    CHECK_OK(safetensors_begin(&w, make_path(folder, "whole"), form, 3, NULL, 0, err));
    for (int i; (i = safetensors_next(w)) >= 0;)
        CHECK_OK(safetensors_add(w, bytes, i == 0 ? 24 : i == 1 ? 6 : 8, err));
    CHECK_OK(safetensors_end(w, NULL, err));
    arena *a = arena_new("test");
    str whole;
    CHECK_OK(file_read(&whole, a, make_path(folder, "whole"), 10000, HONE_EDAMAGED, err));
    CHECK_INT(((unsigned char)whole.p[0] + 8) % 8, 0);
    CHECK_OK(open_bytes(folder, whole.p, whole.n, err));
    for (size_t n = 0; n < whole.n; n++) {
        hone_err err = {0};
        const hone_status status = open_bytes(folder, whole.p, n, &err);
        if (status != HONE_EDAMAGED) test_fail(__FILE__, __LINE__, "%zu bytes: status %d", n, (int)status);
    }
    /* ... and with the header length made to fit the shorter header. */
    char *copy = arena_copy(a, whole.p, whole.n);
    const size_t header = (size_t)(unsigned char)whole.p[0] | (size_t)(unsigned char)whole.p[1] << 8;
    for (size_t n = 0; n < header - 8; n++) {
        hone_err err = {0};
        copy[0] = (char)n, copy[1] = (char)(n >> 8);
        CHECK_INT(open_bytes(folder, copy, 8 + n, &err), HONE_EDAMAGED);
        CHECK(strstr(err.text, ": byte "));
    }
    arena_free(a);
}

/* One byte changed anywhere: either refused, or read without harm (sanitizers look on). */
TEST(safetensors_every_changed_byte_of_a_header_is_harmless) {
    const char *folder = test_folder();
    const char *path = make_safetensors(folder, "whole", "{" A ",\"__metadata__\":{\"format\":\"pt\"}}", 16);
    arena *a = arena_new("test");
    str whole;
    CHECK_OK(file_read(&whole, a, path, 10000, HONE_EDAMAGED, err));
    char *copy = arena_copy(a, whole.p, whole.n);
    static const unsigned char to[] = {0, '"', '{', '}', '[', ']', ',', '9', '-', '\\', 0x80, 0xff};
    for (size_t i = 0; i < whole.n - 16; i++)
        for (size_t k = 0; k < sizeof to; k++) {
            safetensors s = {.a = arena_new("test"), .path = "x", .head = copy, .bytes = whole.n};
            hone_err err = {0};
            copy[i] = (char)to[k];
            const hone_status status = safetensors_check(&s, &err);
            CHECK(status == HONE_OK || (status == HONE_EDAMAGED && err.text[0]));
            copy[i] = whole.p[i];
            arena_free(s.a);
        }
    arena_free(a);
}

TEST(safetensors_written_files_read_back_and_are_ordered_as_the_reference_writer_orders_them) {
    const char *folder = test_folder();
    const tensor_form form[] = {{"z", STORED_F32, 2, {2, 2}}, {"b", STORED_I64, 1, {1}},
                                {"a", STORED_F32, 1, {1}},    {"h", STORED_BF16, 1, {2}},
                                {"none", STORED_F32, 1, {0}}, {"\"q\"", STORED_F16, 0, {0}}};
    const float z[4] = {1, -2, 3.5f, 0}, one = 7;
    const int64_t b = 1ll << 40;
    const uint16_t h[2] = {0x3f80, 0xc000}, q = 0x3c01;
    const void *data[] = {z, &b, &one, h, NULL, &q};
    const size_t bytes[] = {16, 8, 4, 4, 0, 2};
    const metadata_pair extra = {STR("made by"), STR("test")};
    safetensors_writer *w;
    safetensors *s;
    char order[8] = "", hex[65];
    CHECK_OK(safetensors_begin(&w, make_path(folder, "x"), form, 6, &extra, 1, err));
    for (int i; (i = safetensors_next(w)) >= 0;) {
        strcat(order, (char[]){form[i].name[0], 0});
        CHECK_OK(safetensors_add(w, data[i], bytes[i] / 2, err));
        CHECK_OK(safetensors_add(w, (const char *)data[i] + bytes[i] / 2, bytes[i] - bytes[i] / 2, err));
    }
    CHECK_STR(order, "bazh\"");
    CHECK_OK(safetensors_end(w, hex, err));
    CHECK_INT(strlen(hex), 64);
    CHECK_OK(safetensors_open(&s, make_path(folder, "x"), err));
    CHECK_INT(s->data_at % 8, 0);
    CHECK_INT(s->n, 6);
    CHECK_STR(s->metadata[0].value.p, "pt");
    CHECK_STR(s->metadata[1].key.p, "made by");
    float x[4];
    CHECK_OK(safetensors_floats(s, safetensors_find(s, "z"), 0, 4, x, err));
    CHECK(!memcmp(x, z, sizeof z));
    CHECK_OK(safetensors_floats(s, safetensors_find(s, "z"), 1, 2, x, err));
    CHECK(!memcmp(x, z + 1, 8));
    CHECK_OK(safetensors_floats(s, safetensors_find(s, "h"), 0, 2, x, err));
    CHECK(x[0] == 1 && x[1] == -2);
    CHECK_OK(safetensors_floats(s, safetensors_find(s, "h"), 1, 1, x, err));
    CHECK(x[0] == -2);
    CHECK_OK(safetensors_floats(s, safetensors_find(s, "\"q\""), 0, 1, x, err));
    CHECK(x[0] == 1 + 0x1p-10f);
    CHECK_OK(safetensors_floats(s, safetensors_find(s, "b"), 0, 1, x, err));
    CHECK(x[0] == 0x1p40f);
    safetensors_close(s);
}

TEST(safetensors_half_becomes_float_exactly) {
    uint16_t bits[65536];
    static float x[65536];
    for (int i = 0; i < 65536; i++) bits[i] = (uint16_t)i;
    stored_to_float(x, bits, STORED_F16, 65536);
    for (int i = 0; i < 65536; i++) {
        const int exponent = i >> 10 & 31, mantissa = i & 1023;
        const double size = exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24);
        CHECK(!signbit(x[i]) == !(i & 0x8000));
        if (exponent == 31 && mantissa) CHECK(isnan(x[i]));
        else if (exponent == 31) CHECK(isinf(x[i]));
        else CHECK(fabs((double)x[i]) == size);
    }
}

TEST(safetensors_a_file_that_changes_is_noticed) {
    const char *folder = test_folder();
    safetensors *s;
    const char *path = make_safetensors(folder, "x.safetensors", "{" A "}", 16);
    CHECK_OK(safetensors_open(&s, path, err));
    CHECK_OK(safetensors_unchanged(s, err));
    make_file(folder, "x.safetensors", "short", 5);
    CHECK_REFUSED(safetensors_unchanged(s, err), HONE_EDAMAGED, ": changed during load (size 81 B, now 5 B)");
    remove(path);
    CHECK_REFUSED(safetensors_unchanged(s, err), HONE_EDAMAGED, ": vanished during load");
    safetensors_close(s);
}

TEST(safetensors_a_million_tensors_take_two_seconds_at_most) {
    const char *folder = test_folder();
    enum { N = 1000000 };
    size_t n = 1;
    char *header = malloc((size_t)N * 90);
    CHECK(header);
    header[0] = '{';
    for (int i = 0; i < N; i++)
        n +=
            (size_t)sprintf(header + n, "%s\"t%d\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%d,%d]}",
                            i ? "," : "", i, i, i + 1);
    strcpy(header + n, "}");
    const char *path = make_safetensors(folder, "x", header, N);
    safetensors *s;
    const clock_t before = clock(); /* of the processor: other work on the machine does not count */
    CHECK_OK(safetensors_open(&s, path, err));
#ifdef HONE_SANITIZED
    const double bound = 20;
#else
    const double bound = 2;
#endif
    CHECK((double)(clock() - before) / CLOCKS_PER_SEC < bound);
    CHECK_INT(safetensors_find(s, "t999999")->begin, 999999);
    safetensors_close(s);
    /* The same number of tensors on one span: refused, and nothing of their size reserved. */
    n = 1;
    for (int i = 0; i < N; i++)
        n += (size_t)sprintf(header + n, "%s\"t%d\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}",
                             i ? "," : "", i);
    strcpy(header + n, "}");
    hone_err err = {0};
    CHECK_INT(open_header(folder, header, 1, &err), HONE_EDAMAGED);
    CHECK(strstr(err.text, ": bytes 0-1 overlap \""));
    free(header);
}

/* Behind the back of the check before each tensor: cut inside the one that is being read. */
TEST(safetensors_read_beyond_the_end_of_a_shorter_file_is_an_error) {
    const char *folder = test_folder(), *path = make_path(folder, "x.safetensors");
    const int64_t n = 100000;
    const tensor_form form = {"a", STORED_F32, 1, {n}};
    float *x = mem_new((size_t)n * 4, "numbers");
    safetensors_writer *w;
    safetensors *s;
    hone_err err = {0};
    CHECK_OK(safetensors_begin(&w, path, &form, 1, NULL, 0, err));
    CHECK_OK(safetensors_add(w, x, (size_t)n * 4, err));
    CHECK_OK(safetensors_end(w, NULL, err));
    CHECK_OK(safetensors_open(&s, path, err));
    CHECK_OK(safetensors_floats(s, safetensors_find(s, "a"), 0, n, x, err));
    CHECK(!truncate(path, 200000));
    CHECK_INT(safetensors_floats(s, safetensors_find(s, "a"), 0, n, x, &err), HONE_EDAMAGED);
    CHECK(strstr(err.text, "x.safetensors: changed during load (size 39") && strstr(err.text, ", now 195."));
    safetensors_close(s);
    mem_free(x);
}
