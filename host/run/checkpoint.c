/* checkpoint.c - the protocol of checkpoint.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run/checkpoint.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/host.h"
#include "base/mem.h"
#include "base/table.h"

#define HIDDEN ".checkpoint-"
#define SHOWN "checkpoint-"
#define MANIFEST "MANIFEST.json"
#define HASHED_AT_ONCE ((size_t)1 << 20)
#define MANIFEST_MAX_BYTES ((size_t)1 << 20)

struct checkpoint_writer {
    arena *a;
    const char *run, *hidden, *final;
    int64_t step;
};

hone_status checkpoint_room(const char *run_folder, size_t bytes, hone_err *err) {
    const int64_t free_bytes = disk_free_bytes(run_folder);
    if (free_bytes < 0 || (double)free_bytes >= 1.1 * (double)bytes) return HONE_OK;
    char need[24], have[24];
    bytes_text(need, 1.1 * (double)bytes);
    bytes_text(have, (double)free_bytes);
    return hone_fail(err, HONE_ESTORAGE, "%s: a checkpoint needs %s, %s are free", run_folder, need, have);
}

hone_status checkpoint_begin(checkpoint_writer **out, const char *run_folder, int64_t step, size_t bytes,
                             hone_err *err) {
    HONE_TRY(checkpoint_room(run_folder, bytes, err));
    arena *a = arena_new("checkpoint");
    checkpoint_writer *w = ARENA_NEW(a, checkpoint_writer);
    w->a = a;
    w->run = arena_copy(a, run_folder, strlen(run_folder));
    w->step = step;
    w->hidden = arena_print(a, "%s/" HIDDEN "%lld.%d.tmp", run_folder, (long long)step, (int)getpid());
    w->final = arena_print(a, "%s/" SHOWN "%lld", run_folder, (long long)step);
    hone_status status = folder_remove(w->hidden, err);
    if (!status) status = folder_make(w->hidden, err);
    if (status) {
        checkpoint_abort(w);
        return status;
    }
    *out = w;
    return HONE_OK;
}

const char *checkpoint_folder(const checkpoint_writer *w) { return w->hidden; }

void checkpoint_abort(checkpoint_writer *w) {
    if (!w) return;
    hone_err ignored = {0};
    folder_remove(w->hidden, &ignored);
    arena_free(w->a);
}

static hone_status hash_file(char hex[65], int64_t *bytes, const char *path, hone_status kind,
                             hone_err *err) {
    file_reader *r;
    sha256 s;
    uint8_t digest[32];
    HONE_TRY(file_reader_open(&r, path, kind, err));
    const size_t all = file_reader_bytes(r);
    char *part = mem_new(HASHED_AT_ONCE, "a part of a file");
    hone_status status = HONE_OK;
    sha256_begin(&s);
    for (size_t at = 0, n; at < all && !status; at += n) {
        n = all - at < HASHED_AT_ONCE ? all - at : HASHED_AT_ONCE;
        status = file_reader_get(r, at, part, n, err);
        sha256_add(&s, part, n);
    }
    sha256_end(&s, digest);
    sha256_hex(digest, hex);
    *bytes = (int64_t)all;
    mem_free(part);
    file_reader_close(r);
    return status;
}

static hone_status write_manifest(checkpoint_writer *w, const char *facts, int64_t *total, hone_err *err) {
    const char **names;
    int n;
    HONE_TRY(folder_list(&names, &n, w->a, w->hidden, err));
    text t = {0};
    text_printf(&t, "{\n  \"format\": %d,\n  \"step\": %lld,\n  \"facts\": %s,\n  \"files\": [",
                CHECKPOINT_FORMAT, (long long)w->step, facts);
    hone_status status = HONE_OK;
    *total = 0;
    for (int i = 0; i < n && !status; i++) {
        char hex[65];
        int64_t bytes;
        status = hash_file(hex, &bytes, path_join(w->a, w->hidden, names[i]), HONE_ESTORAGE, err);
        if (status) break;
        *total += bytes;
        text_str(&t, i ? ",\n    {\"name\": " : "\n    {\"name\": ");
        text_json(&t, names[i], strlen(names[i]));
        text_printf(&t, ", \"bytes\": %lld, \"sha256\": \"%s\"}", (long long)bytes, hex);
    }
    text_str(&t, "\n  ]\n}\n");
    *total += (int64_t)t.n;
    if (!status) status = file_write(path_join(w->a, w->hidden, MANIFEST), t.p, t.n, err);
    text_free(&t);
    return status;
}

hone_status checkpoint_end(checkpoint_writer *w, const char *facts, int64_t *bytes, hone_err *err) {
    hone_status status = write_manifest(w, facts, bytes, err);
    if (!status) status = folder_sync(w->hidden, err);
    /* A checkpoint of this step that is there already was saved by a run that was resumed before it: the same
     * bits, or damaged ones. At no time is there none. */
    const int is_there = file_exists(w->final);
    if (!status && is_there) status = folder_exchange(w->hidden, w->final, err);
    else if (!status) status = folder_publish(w->hidden, w->final, err);
    hone_err ignored = {0};
    if (!status && is_there) folder_remove(w->hidden, &ignored); /* what is left of it is swept away later */
    if (status) {
        checkpoint_abort(w);
        return status;
    }
    arena_free(w->a);
    return HONE_OK;
}

static hone_status check_file(arena *a, const char *folder, const json *f, int64_t *total, hone_err *err) {
    const json *name = json_get(f, "name"), *bytes = json_get(f, "bytes"), *sha = json_get(f, "sha256");
    if (!name || name->kind != JSON_STRING || !bytes || !bytes->is_int || !sha || sha->kind != JSON_STRING)
        return hone_fail(err, HONE_EDAMAGED, "%s/" MANIFEST ": a file without name, bytes and sha256",
                         folder);
    if (memchr(name->string.p, '/', name->string.n) || !strcmp(name->string.p, ".."))
        return hone_fail(err, HONE_EDAMAGED, "%s/" MANIFEST ": \"%s\", expected a plain file name", folder,
                         name->string.p);
    char hex[65];
    int64_t n;
    const char *path = path_join(a, folder, name->string.p);
    HONE_TRY(hash_file(hex, &n, path, HONE_EDAMAGED, err));
    if (n != bytes->integer)
        return hone_fail(err, HONE_EDAMAGED, "%s: %lld bytes, the manifest says %lld", path, (long long)n,
                         (long long)bytes->integer);
    if (strcmp(hex, sha->string.p))
        return hone_fail(err, HONE_EDAMAGED, "%s: SHA-256 differs from the manifest's", path);
    *total += n;
    return HONE_OK;
}

/* The manifest by itself: out, and its list of files. */
static hone_status read_manifest(checkpoint *out, const json **list, arena *a, const char *path,
                                 hone_err *err) {
    const char *name = path_join(a, path, MANIFEST);
    str s;
    const json *root;
    if (!file_exists(name))
        return hone_fail(err, HONE_EDAMAGED, "%s: no " MANIFEST ", so no checkpoint", path);
    HONE_TRY(file_read(&s, a, name, MANIFEST_MAX_BYTES, HONE_EDAMAGED, err));
    HONE_TRY(json_parse(&root, a, name, s.p, s.n, HONE_EDAMAGED, err));
    const json *format = json_get(root, "format"), *step = json_get(root, "step"),
               *files = json_get(root, "files"), *facts = json_get(root, "facts");
    if (!format || !format->is_int || !step || !step->is_int || step->integer < 0 || !files ||
        files->kind != JSON_ARRAY || !facts || facts->kind != JSON_OBJECT)
        return hone_fail(err, HONE_EDAMAGED, "%s: expected format, step, facts and files", name);
    if (format->integer != CHECKPOINT_FORMAT)
        return hone_fail(err, HONE_EDAMAGED, "%s: written in format %lld, this hone reads %d", name,
                         (long long)format->integer, CHECKPOINT_FORMAT);
    *out = (checkpoint){.path = arena_copy(a, path, strlen(path)),
                        .step = step->integer,
                        .facts = facts,
                        .n_files = (int)files->n};
    *list = files;
    return HONE_OK;
}

hone_status checkpoint_open(checkpoint *out, arena *a, const char *path, hone_err *err) {
    const json *files;
    int64_t bytes = 0;
    HONE_TRY(read_manifest(out, &files, a, path, err));
    for (const json *f = files->child; f; f = f->next) HONE_TRY(check_file(a, path, f, &bytes, err));
    return HONE_OK;
}

static void add_fault(checkpoint_faults *f, arena *a, const char *line) {
    if (f->n < CHECKPOINT_FAULTS_MAX) f->line[f->n++] = arena_print(a, "%s", line);
}

static int is_named(const json *files, const char *name) {
    for (const json *f = files->child; f; f = f->next) {
        const json *x = json_get(f, "name");
        if (x && x->kind == JSON_STRING && str_is(x->string, name)) return 1;
    }
    return !strcmp(name, MANIFEST);
}

hone_status checkpoint_check(checkpoint_faults *out, arena *a, const char *path, hone_err *err) {
    checkpoint c;
    const json *files;
    const char **names;
    int n;
    hone_err why = {0};
    *out = (checkpoint_faults){0};
    HONE_TRY(folder_list(&names, &n, a, path, err));
    if (read_manifest(&c, &files, a, path, &why)) {
        add_fault(out, a, why.text);
        return HONE_OK;
    }
    out->step = c.step;
    out->n_files = c.n_files;
    for (const json *f = files->child; f; f = f->next)
        if (check_file(a, path, f, &out->bytes, &why)) add_fault(out, a, why.text);
    for (int i = 0; i < n; i++)
        if (!is_named(files, names[i]))
            add_fault(out, a,
                      arena_print(a, "%s: the manifest does not name it", path_join(a, path, names[i])));
    return HONE_OK;
}

const char *checkpoint_path(arena *a, const char *run_folder, int64_t step) {
    return arena_print(a, "%s/" SHOWN "%lld", run_folder, (long long)step);
}

/* The step that a folder of this name would be of, or -1. */
static int64_t step_of(const char *name) {
    int64_t step;
    if (strncmp(name, SHOWN, strlen(SHOWN)) || !str_to_int64(str_of(name + strlen(SHOWN)), &step) || step < 0)
        return -1;
    return step;
}

const char *checkpoint_run(arena *a, const char *path, int64_t *step) {
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    const char *plain = arena_copy(a, path, n), *name = path_name(plain);
    *step = step_of(name);
    if (*step < 0) return NULL;
    return name == plain ? "." : name == plain + 1 ? "/" : arena_copy(a, plain, (size_t)(name - plain) - 1);
}

/* Steps of the checkpoint-N folders, newest first. */
static int newest_first(const void *a, const void *b) {
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (y > x) - (y < x);
}

hone_status checkpoint_steps(int64_t **steps, int *n, arena *a, const char *run_folder, hone_err *err) {
    const char **names;
    int n_names;
    *n = 0;
    *steps = NULL;
    if (!file_is_folder(run_folder)) return HONE_OK;
    HONE_TRY(folder_list(&names, &n_names, a, run_folder, err));
    *steps = ARENA_ARRAY(a, (size_t)n_names + 1, int64_t);
    for (int i = 0; i < n_names; i++) {
        const int64_t step = step_of(names[i]);
        if (step >= 0 && file_is_folder(path_join(a, run_folder, names[i]))) (*steps)[(*n)++] = step;
    }
    if (*n) qsort(*steps, (size_t)*n, sizeof **steps, newest_first);
    return HONE_OK;
}

hone_status checkpoint_newest(checkpoint *out, int *found, arena *a, const char *run_folder, hone_err *err) {
    int64_t *steps;
    int n;
    *found = 0;
    HONE_TRY(checkpoint_steps(&steps, &n, a, run_folder, err));
    hone_err newest = {0};
    for (int i = 0; i < n; i++) {
        hone_err why = {0};
        const char *path = checkpoint_path(a, run_folder, steps[i]);
        if (checkpoint_open(out, a, path, &why) == HONE_OK) {
            *found = 1;
            return HONE_OK;
        }
        log_warn("step %lld passed over: %s", (long long)steps[i], why.text);
        if (!i) newest = why;
    }
    if (!n) return HONE_OK;
    hone_fail(err, HONE_EDAMAGED, "%s: none of %d checkpoints is valid; the newest: %.600s", run_folder, n,
              newest.text);
    return hone_hint(err, "overwrite_output_dir: true starts from the beginning");
}

/* NAME.tmp.<pid>.<n>: what file_write_begin calls a file until it is whole. */
static int is_half_a_file(const char *name) {
    const char *at = strstr(name, ".tmp.");
    const size_t digits = at ? strspn(at + 5, "0123456789") : 0;
    return digits && at[5 + digits] == '.' && at[6 + digits] &&
           !at[6 + digits + strspn(at + 6 + digits, "0123456789")];
}

hone_status checkpoint_sweep(const char *run_folder, hone_err *err) {
    arena *a = arena_new("sweep");
    const char **names;
    int n = 0;
    hone_status status = file_is_folder(run_folder) ? folder_list(&names, &n, a, run_folder, err) : HONE_OK;
    for (int i = 0; i < n && !status; i++) {
        const char *path = path_join(a, run_folder, names[i]);
        if (!strncmp(names[i], HIDDEN, strlen(HIDDEN)) && file_is_folder(path)) {
            log_note("%s: removed, being written or taken away when a run ended", names[i]);
            status = folder_remove(path, err);
        } else if (is_half_a_file(names[i]) && file_is_regular(path)) status = file_remove(path, err);
    }
    arena_free(a);
    return status;
}

/* Under a hidden name first: nobody sees a half of it, and what is left of it is swept away later. */
static hone_status remove_one(arena *a, const char *run_folder, int64_t step, hone_err *err) {
    const char *hidden =
        arena_print(a, "%s/" HIDDEN "%lld.%d.old", run_folder, (long long)step, (int)getpid());
    HONE_TRY(folder_remove(hidden, err));
    HONE_TRY(folder_publish(checkpoint_path(a, run_folder, step), hidden, err));
    return folder_remove(hidden, err);
}

hone_status checkpoint_prune(const char *run_folder, int64_t now, int64_t keep, int64_t best, hone_err *err) {
    arena *a = arena_new("prune");
    int64_t *steps;
    int n;
    hone_status status = checkpoint_steps(&steps, &n, a, run_folder, err);
    int64_t kept = 0;
    for (int i = 0; i < n && !status; i++)
        if (steps[i] <= now && ++kept > keep && steps[i] != best)
            status = remove_one(a, run_folder, steps[i], err);
    arena_free(a);
    return status;
}
