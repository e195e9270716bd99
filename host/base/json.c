/* json.c - from a checked text to nodes in an arena, by way of cJSON's tree.
 *
 * cJSON takes its memory from malloc: its hooks are one pair for the whole process, which is not ours alone
 * when hone is a library. The tree lives only during json_parse. */
#include <cJSON.h>
#include <string.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/json_scan.h"

#define LARGE_OBJECT 16

typedef struct {
    size_t mask;
    const json *slot[]; /* mask + 1 of them, at most half in use; NULL: free */
} key_index;

typedef struct {
    arena *a;
    const char *name, *p;
    size_t n;
    const size_t *at; /* offsets of keys and values still to come */
    hone_status kind;
    hone_err *err;
} build;

void json_place(const char *p, size_t n, size_t offset, int *line, int *column) {
    size_t start = 0;
    *line = 1;
    if (offset > n) offset = n;
    for (const char *end; (end = memchr(p + start, '\n', offset - start)); start = (size_t)(end - p) + 1)
        ++*line;
    *column = (int)(offset - start) + 1;
}

const char *json_kind_name(json_kind kind) {
    static const char *const names[] = {"null", "true or false", "a number", "text", "a list", "an object"};
    return (unsigned)kind < sizeof names / sizeof *names ? names[kind] : "nothing";
}

static hone_status refuse_twice(const build *b, size_t key_at, const json *first, str key) {
    char shown[120];
    int line, column, first_line, first_column;
    json_place(b->p, b->n, key_at, &line, &column);
    json_place(b->p, b->n, first->offset, &first_line, &first_column);
    return hone_fail(
        b->err, b->kind,
        "%s: line %d column %d: key \"%s\" is given twice, first on line %d; expected each key once", b->name,
        line, column, text_escape(shown, sizeof shown, key.p, key.n), first_line);
}

/* Where a key is in the index, or the free slot in which it would be. */
static size_t find_slot(const key_index *index, str key) {
    size_t i = hash64(key.p, key.n, 0) & index->mask;
    while (index->slot[i] && !str_eq(index->slot[i]->key, key)) i = (i + 1) & index->mask;
    return i;
}

static key_index *new_index(arena *a, size_t n_members) {
    size_t size = 32;
    while (size < 2 * n_members) size *= 2;
    key_index *index = arena_alloc(a, sizeof *index + size * sizeof *index->slot);
    index->mask = size - 1;
    return index;
}

static hone_status build_node(build *b, json *node, const cJSON *from);

static hone_status build_children(build *b, json *node, const cJSON *from) {
    const int object = node->kind == JSON_OBJECT;
    for (const cJSON *item = from->child; item; item = item->next) node->n++;
    key_index *index = object && node->n > LARGE_OBJECT ? new_index(b->a, node->n) : NULL;
    json *items = node->n ? ARENA_ARRAY(b->a, node->n, json) : NULL, *child = items;
    for (const cJSON *item = from->child; item; item = item->next, child++) {
        if (object) {
            const size_t key_at = *b->at++, length = strlen(item->string);
            const json *first = NULL;
            child->key = (str){arena_copy(b->a, item->string, length), length};
            if (index) {
                const size_t slot = find_slot(index, child->key);
                first = index->slot[slot];
                index->slot[slot] = child;
            } else
                for (const json *other = items; other < child && !first; other++)
                    if (str_eq(other->key, child->key)) first = other;
            if (first) return refuse_twice(b, key_at, first, child->key);
        }
        HONE_TRY(build_node(b, child, item));
        child->next = item->next ? child + 1 : NULL;
    }
    node->child = items;
    node->index = index;
    return HONE_OK;
}

/* The number is read again from the text: cJSON's is a double in the program's locale. */
static void build_number(const build *b, json *node) {
    size_t n = 0;
    const char *p = b->p + node->offset;
    while (node->offset + n < b->n && strchr("+-.0123456789eE", p[n]) && p[n]) n++;
    const str digits = {p, n};
    HONE_ASSERT(str_to_double(digits, &node->number)); /* the scan has read it */
    node->is_int = !memchr(p, '.', n) && !memchr(p, 'e', n) && !memchr(p, 'E', n) &&
                   str_to_int64(digits, &node->integer);
}

static hone_status build_node(build *b, json *node, const cJSON *from) {
    node->offset = *b->at++;
    switch (from->type & 0xff) {
    case cJSON_NULL:
        node->kind = JSON_NULL;
        break;
    case cJSON_False:
        node->kind = JSON_BOOL;
        break;
    case cJSON_True:
        node->kind = JSON_BOOL;
        node->boolean = 1;
        break;
    case cJSON_Number:
        node->kind = JSON_NUMBER;
        build_number(b, node);
        break;
    case cJSON_String:
        node->kind = JSON_STRING;
        node->string.n = strlen(from->valuestring);
        node->string.p = arena_copy(b->a, from->valuestring, node->string.n);
        break;
    case cJSON_Array:
    case cJSON_Object:
        node->kind = from->type & cJSON_Array ? JSON_ARRAY : JSON_OBJECT;
        return build_children(b, node, from);
    default:
        HONE_ASSERT(!"a kind that cJSON does not make");
    }
    return HONE_OK;
}

hone_status json_parse(const json **out, arena *a, const char *name, const char *p, size_t n,
                       hone_status kind, hone_err *err) {
    json_offsets at = {0};
    *out = NULL;
    hone_status status = json_scan(&at, name, p, n, kind, err);
    if (status == HONE_OK) {
        /* Before 1.7.18 cJSON reads one byte too far in a text that does not end with NUL. */
        char *copy = mem_new(n + 1, "JSON text");
        memcpy(copy, p, n);
        cJSON *tree = cJSON_ParseWithLength(copy, n + 1);
        if (tree) {
            build b = {.a = a, .name = name, .p = p, .n = n, .at = at.p, .kind = kind, .err = err};
            json *root = ARENA_NEW(a, json);
            status = build_node(&b, root, tree);
            HONE_ASSERT(status != HONE_OK || b.at == at.p + at.n);
            if (status == HONE_OK) *out = root;
            cJSON_Delete(tree);
        } else
            status = hone_fail(err, kind, "%s: cJSON refuses the text or has no memory for it; expected JSON",
                               name);
        mem_free(copy);
    }
    vec_free(&at);
    return status;
}

const json *json_get_str(const json *object, str key) {
    if (!object || object->kind != JSON_OBJECT) return NULL;
    if (object->index) {
        const key_index *index = object->index;
        return index->slot[find_slot(index, key)];
    }
    for (const json *child = object->child; child; child = child->next)
        if (str_eq(child->key, key)) return child;
    return NULL;
}

const json *json_get(const json *object, const char *key) { return json_get_str(object, str_of(key)); }
