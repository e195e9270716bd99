/* dl.c - the one door to shared objects: where a device is looked for, and whether what is found is one. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/host.h"
#include "base/version.h"

/* The folder of a file, written over its path; "" becomes ".". */
static void cut_to_folder(char *path) {
    char *slash = strrchr(path, '/');
    if (slash == path) slash[1] = 0;
    else if (slash) *slash = 0;
    else strcpy(path, ".");
}

int program_path(char out[4096]) {
    const ssize_t n = readlink("/proc/self/exe", out, 4095);
    out[n > 0 ? n : 0] = 0;
    return n > 0;
}

/* Where this code lies: the program, or libhone.so in somebody's program. */
static int find_own_folder(char folder[4096], int of_program) {
    if (of_program) {
        if (!program_path(folder)) return 0;
    } else {
        Dl_info info;
        if (!dladdr(&find_own_folder, &info) || !info.dli_fname || strlen(info.dli_fname) >= 4096) return 0;
        strcpy(folder, info.dli_fname);
    }
    cut_to_folder(folder);
    return 1;
}

/* The table in the file, checked; NULL and err if it is none. */
static const hone_device_v1 *open_device(const char *path, const char *name, hone_err *err) {
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        hone_fail(err, HONE_EUSAGE, "%s: cannot be opened: %s; expected the device %s", path, dlerror(),
                  name);
        hone_hint(err, "install the libraries that it needs, or build hone again");
        return NULL;
    }
    const hone_device_v1 *table = dlsym(handle, HONE_DEVICE_SYMBOL);
    if (!table)
        hone_fail(err, HONE_EUSAGE, "%s: has no %s; expected the device %s", path, HONE_DEVICE_SYMBOL, name);
    else if (table->struct_bytes != sizeof *table)
        hone_fail(err, HONE_EUSAGE, "%s: its table has %u bytes; expected %zu", path, table->struct_bytes,
                  sizeof *table);
    else if (strcmp(table->name, name))
        hone_fail(err, HONE_EUSAGE, "%s: is the device %s; expected %s", path, table->name, name);
    else return table; /* stays open: its functions are used until the process ends */
    hone_hint(err, "the file belongs to another version of hone; build or install hone again");
    dlclose(handle);
    return NULL;
}

/* The folders, in the order in which they are asked, each ended with a newline. */
static void list_folders(text *out) {
    char folder[4096];
    const char *own = env_get("HONE_PLUGINS");
    while (own && *own) {
        const size_t n = strcspn(own, ":");
        if (n) text_printf(out, "%.*s\n", (int)n, own);
        own += n + (own[n] == ':');
    }
    if (find_own_folder(folder, 1)) text_printf(out, "%s/../lib/hone\n%s\n", folder, folder);
    if (find_own_folder(folder, 0)) text_printf(out, "%s/hone\n%s\n", folder, folder);
    text_printf(out, "%s\n", HONE_INSTALLED_PLUGINS);
}

/* Where the file is that is looked for; 0: nowhere, and `looked` lists the folders. */
static int find_file(text *path, const char *file, text *looked) {
    text folders = {0};
    int found = 0;
    list_folders(&folders);
    for (char *folder = folders.p, *end; !found && (end = strchr(folder, '\n')); folder = end + 1) {
        *end = 0;
        text_clear(path);
        text_printf(path, "%s/%s", folder, file);
        found = file_is_regular(path->p);
        if (!found && (!looked->n || !strstr(looked->p, folder)))
            text_printf(looked, "%s%s", looked->n ? ", " : "", folder);
    }
    text_free(&folders);
    return found;
}

static hone_status not_found(const char *what, const char *file, const text *looked, hone_err *err) {
    return hone_fail(err, HONE_EUSAGE, "%s: there is no %s in %s; expected it in one of these folders", what,
                     file, looked->n ? looked->p : "any folder");
}

const hone_device_v1 *device_load(const char *name, hone_err *err) {
    text looked = {0}, path = {0};
    const hone_device_v1 *table = NULL;
    char shown[64], file[64], what[64];
    if (!*name || strlen(name) > 32 || name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")]) {
        hone_fail(err, HONE_EUSAGE, "device \"%s\" is no name of a device; expected ref, cpu, cuda or emu",
                  text_escape(shown, sizeof shown, name, strlen(name)));
        return NULL;
    }
    snprintf(file, sizeof file, "libhone_%s.so", name);
    if (find_file(&path, file, &looked)) table = open_device(path.p, name, err);
    else {
        snprintf(what, sizeof what, "device %s", name);
        not_found(what, file, &looked, err);
        hone_hint(err, "build it (scripts/setup), choose another device, or name its folder in HONE_PLUGINS");
    }
    text_free(&looked);
    text_free(&path);
    return table;
}

int library_is_there(const char *file) {
    text looked = {0}, path = {0};
    const int found = find_file(&path, file, &looked);
    text_free(&looked);
    text_free(&path);
    return found;
}

const void *library_load(const char *file, const char *symbol, hone_err *err) {
    text looked = {0}, path = {0};
    const void *found = NULL;
    if (!find_file(&path, file, &looked)) not_found(file, file, &looked, err);
    else {
        void *handle = dlopen(path.p, RTLD_NOW | RTLD_LOCAL); /* stays open */
        if (!handle) hone_fail(err, HONE_EUSAGE, "%s: cannot be opened: %s; expected a library", path.p, dlerror());
        else if (!(found = dlsym(handle, symbol)))
            hone_fail(err, HONE_EUSAGE, "%s: has no %s; expected that of this version of hone", path.p, symbol);
    }
    text_free(&looked);
    text_free(&path);
    return found;
}

const void *device_symbol(const hone_device_v1 *table, const char *symbol) {
    Dl_info info;
    if (!dladdr(table, &info) || !info.dli_fname) return NULL;
    void *handle = dlopen(info.dli_fname, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
    const void *found = handle ? dlsym(handle, symbol) : NULL;
    if (handle) dlclose(handle); /* device_load keeps it open */
    return found;
}

int program_share(text *path, const char *file) {
    static const char *const places[] = {"/../..", "/../share/hone"};
    char folder[4096];
    for (size_t i = 0; i < sizeof places / sizeof *places && find_own_folder(folder, 1); i++) {
        text_clear(path);
        text_printf(path, "%s%s/%s", folder, places[i], file);
        if (file_is_regular(path->p)) return 1;
    }
    return 0;
}

const hone_device_v1 *device_try(const char *name, hone_err *err) {
    const hone_device_v1 *table = device_load(name, err);
    if (!table) return NULL;
    pool *alone = pool_new(1);
    hone_device *device;
    const hone_status status = table->open(&device, pool_host(alone), 0, err);
    if (!status) table->close(device);
    pool_free(alone);
    return status ? NULL : table;
}

/* Has a driver made a GPU known here? Opening the plugin to hear that there is none would take its libraries, and with
 * them tens of MiB and milliseconds, into every run. */
static int gpu_is_known(void) { return file_exists("/dev/nvidiactl") || file_exists("/dev/dxg"); }

const hone_device_v1 *device_pick(const char *name, hone_err *err) {
    if (strcmp(name, "auto")) return device_load(name, err);
    const hone_device_v1 *table = gpu_is_known() ? device_try("cuda", NULL) : NULL;
    return table ? table : device_load("cpu", err);
}
