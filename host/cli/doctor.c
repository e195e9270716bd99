/* doctor.c - what is asked of Linux, of devices and of launchers. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/doctor.h"
#include "base/err.h"
#include "base/file.h"
#include "base/host.h"
#include "base/mem.h"
#include "base/process.h"
#include "base/table.h"
#include "base/shm.h"
#include "run/mpi_calls.h"
#include "run/place.h"
#include "run/rendezvous.h"

void doctor_begin(doctor *d, const char *part) {
    text_printf(&d->people, "%s%s\n", d->people.n ? "\n" : "", part);
    text_printf(&d->json, ",\"%s\":{", part);
    d->n_facts = 0;
}

void doctor_end(doctor *d) { text_str(&d->json, "}"); }

void doctor_fact(doctor *d, const char *name, const char *fmt, ...) {
    char said[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(said, sizeof said, fmt, args);
    va_end(args);
    text_printf(&d->people, "  %-18s %s\n", name, said);
    text_str(&d->json, d->n_facts++ ? ",\"" : "\"");
    for (; *name; name++) text_printf(&d->json, "%c", *name == ' ' ? '_' : *name); /* names are ours */
    text_str(&d->json, "\":");
    text_json(&d->json, said, strlen(said));
}

/* ---- machine ---------------------------------------------------------------------------------------------------*/

/* The number behind a word of a file like /proc/meminfo; -1: it is not there. */
static double number_behind(const char *path, const char *word) {
    char said[8192];
    file_glance(said, sizeof said, path);
    const char *at = strstr(said, word);
    return at ? strtod(at + strlen(word), NULL) : -1;
}

static void tell_memory(doctor *d, const char *name, const char *word) {
    char size[24];
    const double kib = number_behind("/proc/meminfo", word);
    if (kib < 0) doctor_fact(d, name, "not known");
    else bytes_text(size, kib * 1024), doctor_fact(d, name, "%s", size);
}

hone_status doctor_machine(doctor *d, hone_err *err) {
    (void)err;
    char host[64], said[8192], name[128] = "not known";
    int core[PLACE_CORES_MAX];
    static const char *const sets[] = {"avx2", "fma", "avx512f", "avx512bf16"};
    const int has[] = {__builtin_cpu_supports("avx2") != 0, __builtin_cpu_supports("fma") != 0,
                       __builtin_cpu_supports("avx512f") != 0, __builtin_cpu_supports("avx512bf16") != 0};
    file_glance(said, sizeof said, "/proc/cpuinfo");
    const char *model = strstr(said, "model name");
    if (model && strchr(model, ':')) sscanf(strchr(model, ':'), ": %127[^\n]", name);
    text list = {0};
    for (int i = 0; i < 4; i++)
        if (has[i]) text_printf(&list, "%s%s", list.n ? " " : "", sets[i]);
    host_name(host);
    doctor_fact(d, "host", "%s", host);
    doctor_fact(d, "processor", "%s", name);
    doctor_fact(d, "instruction sets", "%s", list.n ? list.p : "none of avx2 fma avx512f avx512bf16");
    doctor_fact(d, "cores", "%d by affinity, %d with the quota of the control groups",
                process_cores(core, PLACE_CORES_MAX), pool_cores());
    tell_memory(d, "memory", "MemTotal:");
    tell_memory(d, "memory available", "MemAvailable:");
    text_free(&list);
    return HONE_OK;
}

/* ---- devices ---------------------------------------------------------------------------------------------------*/

static void tell_device(doctor *d, const char *name) {
    hone_err why = {0};
    const hone_device_v1 *kind = device_try(name, &why);
    pool *p = pool_new(1);
    hone_device *device;
    if (!kind) doctor_fact(d, name, "no: %s%s%s", why.text, *why.hint ? "; " : "", why.hint);
    const int n = !kind ? 0 : kind->count ? kind->count() : 1;
    for (int i = 0; i < n; i++) {
        hone_limits l = {0};
        char which[40], size[24];
        snprintf(which, sizeof which, n > 1 ? "%s %d" : "%s", name, i);
        hone_status status = kind->open(&device, pool_host(p), i, &why);
        if (!status) status = kind->limits(device, &l);
        if (status) doctor_fact(d, which, "no: %s", why.text);
        else if (l.memory_bytes)
            bytes_text(size, (double)l.memory_bytes), doctor_fact(d, which, "%s, %s", l.name, size);
        else doctor_fact(d, which, "%s", l.name);
        kind->close(device);
    }
    pool_free(p);
}

/* Who is near whom: GPUs of one NUMA node share a processor's lanes; what NVLink joins only NVIDIA's own tools tell. */
static void tell_gpus(doctor *d) {
    place_gpus g;
    char name[24];
    const char *visible = env_get("CUDA_VISIBLE_DEVICES");
    place_find_gpus(&g, "/sys", visible);
    doctor_fact(d, "gpus", "%d%s%s", g.n, visible ? ", by CUDA_VISIBLE_DEVICES=" : "",
                visible ? visible : "");
    for (int i = 0; i < g.n; i++) {
        text near = {0};
        for (int k = 0; k < g.n; k++)
            if (k != i && g.node[k] == g.node[i]) text_printf(&near, " %d", k);
        snprintf(name, sizeof name, "gpu %d", i);
        doctor_fact(d, name, "%s, NUMA node %d%s%s", g.address[i], g.node[i], near.n ? ", with" : "",
                    near.n ? near.p : "");
        text_free(&near);
    }
}

hone_status doctor_devices(doctor *d, hone_err *err) {
    static const char *const names[] = {"ref", "cpu", "cuda", "emu"};
    (void)err;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) tell_device(d, names[i]);
    tell_gpus(d);
    return HONE_OK;
}

/* ---- ranks -----------------------------------------------------------------------------------------------------*/

hone_status doctor_ranks(doctor *d, hone_err *err) {
    rank_place place;
    text meets = {0}, looked = {0};
    HONE_TRY(rank_find(&place, NULL, NULL, err));
    HONE_TRY(rank_explain(&looked, err));
    text_add(&d->people, looked.p, looked.n); /* JSON has what came of it */
    const int can = ranks_tell(&meets, &place);
    doctor_fact(d, "rank", "%d", place.rank);
    doctor_fact(d, "world size", "%d", place.n);
    doctor_fact(d, "local rank", "%d", place.local_rank);
    doctor_fact(d, "by", "%s", place.by);
    doctor_fact(d, can ? "ranks meet" : "ranks cannot meet", "%s", meets.p);
    doctor_fact(d, "MPI", "%s", mpi_is_there() ? "libhone_mpi.so is there" : "no libhone_mpi.so");
    text_free(&meets);
    text_free(&looked);
    return HONE_OK;
}

/* ---- disk ------------------------------------------------------------------------------------------------------*/

static void tell_room(doctor *d, const char *name, const char *folder) {
    char size[24];
    const int64_t room = disk_free_bytes(folder);
    if (room < 0) doctor_fact(d, name, "%s: not there", folder);
    else bytes_text(size, (double)room), doctor_fact(d, name, "%s: %s free", folder, size);
}

/* As a checkpoint's files are: written, synced, renamed, the folder synced. */
hone_status doctor_disk(doctor *d, hone_err *err) {
    enum { BYTES = 32 << 20 };
    char path[4200];
    hone_err ignored;
    tell_room(d, "output", d->folder);
    tell_room(d, "cache", file_is_folder(env_cache_folder()) ? env_cache_folder() : ".");
    tell_room(d, "shared memory", "/dev/shm");
    snprintf(path, sizeof path, "%.4000s/.hone-doctor-%lld", d->folder, (long long)process_self());
    uint64_t *data = mem_new(BYTES, "a file to try the disk with");
    for (size_t i = 0; i < BYTES / sizeof *data; i++)
        data[i] = i * 0x9E3779B97F4A7C15u; /* nothing that compresses */
    const uint64_t from = clock_ns();
    const hone_status status = file_write(path, data, BYTES, err);
    const double seconds = (double)(clock_ns() - from) * 1e-9;
    mem_free(data);
    file_remove(path, &ignored);
    HONE_TRY(status);
    doctor_fact(d, "durable writes", "%.0f MB/s (32 MiB written, synced, renamed in %.3f s)",
                BYTES * 1e-6 / seconds, seconds);
    return HONE_OK;
}
