/* disk.c - folders as they are and as they were synced. */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"

#define NODES 8192
#define ENTRIES 64

typedef struct {
    char name[96];
    int node;
} entry;
typedef struct {
    int is_folder, n_now, n_kept;
    long synced;       /* of a file: bytes */
    entry *now, *kept; /* of a folder: [ENTRIES] */
} node_of_disk;

disk_state disk;
static node_of_disk node[NODES];
static int n_nodes;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int __real_mkdir(const char *path, mode_t mode);

static void give_up(const char *why) {
    fprintf(stderr, "disk.c: %s\n", why);
    abort();
}

static int new_node(int is_folder) {
    if (n_nodes == NODES) give_up("too many files");
    node_of_disk *x = &node[n_nodes];
    *x = (node_of_disk){.is_folder = is_folder};
    if (is_folder) {
        x->now = calloc(ENTRIES, sizeof *x->now);
        x->kept = calloc(ENTRIES, sizeof *x->kept);
    }
    return n_nodes++;
}

static entry *find(entry *e, int n, const char *name) {
    for (int i = 0; i < n; i++)
        if (!strcmp(e[i].name, name)) return &e[i];
    return NULL;
}

static void put(int folder, const char *name, int what);
static void stored(char *path, size_t n, int what);

/* A folder as it was before anybody watched. */
static void find_all(int folder, const char *path) {
    char inner[4200], to[4200];
    struct stat st;
    DIR *all = opendir(path);
    if (!all) give_up("a folder cannot be read");
    for (const struct dirent *e; (e = readdir(all));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        snprintf(inner, sizeof inner, "%s/%s", path, e->d_name);
        if (lstat(inner, &st)) give_up("a file cannot be found");
        const int what = new_node(S_ISDIR(st.st_mode));
        put(folder, e->d_name, what);
        if (node[what].is_folder) find_all(what, inner);
        else {
            stored(to, sizeof to, what);
            if (link(inner, to)) give_up("a file cannot be stored");
            node[what].synced = (long)st.st_size;
        }
    }
    closedir(all);
    memcpy(node[folder].kept, node[folder].now, ENTRIES * sizeof(entry));
    node[folder].n_kept = node[folder].n_now;
}

static void begin_watching(void) {
    if (n_nodes) return;
    new_node(1);
    if (disk.as_found) find_all(0, disk.root);
}

/* The node of a path under root, -1: none; its folder and its own name. */
static int walk(const char *path, int *folder, char *name) {
    const size_t root = strlen(disk.root);
    if (strncmp(path, disk.root, root) || path[root] != '/') return -1;
    begin_watching();
    int at = 0;
    for (const char *p = path + root + 1;;) {
        const size_t n = strcspn(p, "/");
        if (n >= 96) give_up("a long name");
        memcpy(name, p, n);
        name[n] = 0;
        *folder = at;
        const entry *e = find(node[at].now, node[at].n_now, name);
        if (!p[n]) return e ? e->node : -1;
        if (!e || !node[e->node].is_folder) return *folder = -1;
        at = e->node;
        p += n + 1;
    }
}

static void put(int folder, const char *name, int what) {
    node_of_disk *f = &node[folder];
    entry *e = find(f->now, f->n_now, name);
    if (!e && f->n_now == ENTRIES) give_up("a full folder");
    if (!e) e = &f->now[f->n_now++];
    snprintf(e->name, sizeof e->name, "%s", name);
    e->node = what;
}

static void take(int folder, const char *name) {
    node_of_disk *f = &node[folder];
    entry *e = find(f->now, f->n_now, name);
    if (e) *e = f->now[--f->n_now];
}

static void stored(char *path, size_t n, int what) { snprintf(path, n, "%s/%d", disk.store, what); }

/* ---- the cut ---- */

static uint64_t draw(uint64_t n) {
    uint64_t x = disk.seed += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return (x ^ x >> 31) % n;
}

/* What was synced, and with luck more: some of it as it was written, the rest zeros or not there. */
static void keep_file(int what, const char *to) {
    char from[4200], part[4096];
    stored(from, sizeof from, what);
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    if (!in || !out) give_up("a file cannot be kept");
    fseek(in, 0, SEEK_END);
    const long all = ftell(in), synced = node[what].synced;
    rewind(in);
    long written = synced, length = synced;
    if (disk.lucky && all > synced) {
        written = synced + (long)draw((uint64_t)(all - synced) + 1);
        length = draw(2) ? written : written + (long)draw((uint64_t)(all - written) + 1);
    }
    for (long at = 0; at < length; at++) {
        if (at % (long)sizeof part == 0) {
            memset(part, 0, sizeof part);
            if (fread(part, 1, sizeof part, in) == 0 && at < written)
                give_up("a file is shorter than it was");
        }
        fputc(at < written ? part[at % (long)sizeof part] : 0, out);
    }
    fclose(in);
    if (fclose(out)) give_up("a file cannot be kept");
}

static void keep_folder(int what, const char *to) {
    char path[4200];
    __real_mkdir(to, 0777);
    const node_of_disk *f = &node[what];
    const int as_it_is = disk.lucky && draw(2);
    for (int i = 0; i < (as_it_is ? f->n_now : f->n_kept); i++) {
        const entry *e = as_it_is ? &f->now[i] : &f->kept[i];
        snprintf(path, sizeof path, "%s/%s", to, e->name);
        if (node[e->node].is_folder) keep_folder(e->node, path);
        else keep_file(e->node, path);
    }
}

void disk_before(void) {
    if (!disk.root) return;
    pthread_mutex_lock(&lock);
    begin_watching();
    if (++disk.n == disk.cut_at) { /* and nobody goes on: the lock is kept */
        begin_watching();
        keep_folder(0, disk.after);
        disk.ended();
    }
    pthread_mutex_unlock(&lock);
}

/* ---- what happens ---- */

void disk_opened(const char *path, int flags) {
    char name[96], link_path[4200];
    int folder = -1;
    if (!disk.root || !(flags & O_CREAT)) return;
    pthread_mutex_lock(&lock);
    if (walk(path, &folder, name) < 0 && folder >= 0) {
        const int what = new_node(0);
        put(folder, name, what);
        stored(link_path, sizeof link_path, what);
        if (link(path, link_path)) give_up("a file cannot be stored");
    }
    pthread_mutex_unlock(&lock);
}

void disk_folder(const char *path) {
    char name[96];
    int folder = -1;
    if (!disk.root) return;
    pthread_mutex_lock(&lock);
    if (walk(path, &folder, name) < 0 && folder >= 0) put(folder, name, new_node(1));
    pthread_mutex_unlock(&lock);
}

void disk_synced(int fd) {
    char link_path[64], path[4200], name[96];
    struct stat st;
    int folder = -1;
    if (!disk.root) return;
    snprintf(link_path, sizeof link_path, "/proc/self/fd/%d", fd);
    const ssize_t n = readlink(link_path, path, sizeof path - 1);
    if (n < 0 || fstat(fd, &st)) give_up("what is synced?");
    path[n] = 0;
    pthread_mutex_lock(&lock);
    const int what = !strcmp(path, disk.root) ? 0 : walk(path, &folder, name);
    if (what >= 0 && n_nodes && node[what].is_folder && !disk.forgets_folders) {
        memcpy(node[what].kept, node[what].now, ENTRIES * sizeof(entry));
        node[what].n_kept = node[what].n_now;
    } else if (what > 0 && !node[what].is_folder && !disk.forgets_files) node[what].synced = (long)st.st_size;
    pthread_mutex_unlock(&lock);
}

void disk_renamed(const char *from, const char *to, unsigned flags) {
    char name[96], other[96];
    int folder = -1, into = -1;
    if (!disk.root) return;
    pthread_mutex_lock(&lock);
    const int what = walk(from, &folder, name);
    const int old = walk(to, &into, other);
    if (what >= 0 && into >= 0) take(folder, name), put(into, other, what);
    if (what >= 0 && old >= 0 && flags & RENAME_EXCHANGE) put(folder, name, old);
    pthread_mutex_unlock(&lock);
}

void disk_removed(const char *path) {
    char name[96];
    int folder = -1;
    if (!disk.root) return;
    pthread_mutex_lock(&lock);
    if (walk(path, &folder, name) >= 0) {
        take(folder, name);
        if (!disk.first_removal) disk.first_removal = disk.n;
    }
    pthread_mutex_unlock(&lock);
}

void disk_removed_at(int fd, const char *name) {
    char link_path[64], path[4200];
    if (!disk.root) return;
    snprintf(link_path, sizeof link_path, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link_path, path, sizeof path - 200);
    if (n < 0) give_up("a folder without a path");
    snprintf(path + n, sizeof path - (size_t)n, "/%s", name);
    disk_removed(path);
}

void disk_wrote(const void *p, size_t n) {
    char row[64] = "";
    long long step;
    if (!disk.root || n < 16) return;
    memcpy(row, p, n < sizeof row - 1 ? n : sizeof row - 1);
    pthread_mutex_lock(&lock);
    if (sscanf(row, "{\"step\":%lld,", &step) == 1 && strstr(row, ",\"saved\":") &&
        disk.n_announced < DISK_ANNOUNCED)
        disk.announced[disk.n_announced++] = step;
    pthread_mutex_unlock(&lock);
}
