/* golden.h - reading the committed values of tests/data/golden, which scripts/golden made with other
 * software. */
#ifndef GOLDEN_H
#define GOLDEN_H
#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"
#include "test.h"

/* A whole JSON file, in a; the test fails if it cannot be read. */
static inline const json *json_of_file(arena *a, const char *path) {
    const json *tree = NULL;
    str file;
    CHECK_OK(file_read(&file, a, path, (size_t)1 << 28, HONE_EDATA, err));
    CHECK_OK(json_parse(&tree, a, path, file.p, file.n, HONE_EDATA, err));
    return tree;
}

static inline const json *golden_open(arena *a, const char *name) {
    char path[256];
    snprintf(path, sizeof path, "golden/%s", name);
    return json_of_file(a, test_fixture(path));
}

/* A member that must be there. */
static inline const json *member(const json *object, const char *key) {
    const json *x = json_get(object, key);
    if (!x) test_fail(__FILE__, __LINE__, "\"%s\" is missing", key);
    return x;
}
static inline double number_of(const json *object, const char *key) {
    const json *x = member(object, key);
    if (x->kind != JSON_NUMBER)
        test_fail(__FILE__, __LINE__, "\"%s\" is %s, expected a number", key, json_kind_name(x->kind));
    return x->number;
}
static inline const char *text_of(const json *object, const char *key) {
    const json *x = member(object, key);
    if (x->kind != JSON_STRING)
        test_fail(__FILE__, __LINE__, "\"%s\" is %s, expected text", key, json_kind_name(x->kind));
    return x->string.p;
}
#endif
