/* figures.c - files of figures, each a flat object with its sources. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/figures.h"
#include "base/err.h"
#include "base/file.h"
#include "base/host.h"

hone_status figures_open(const json **out, const char **file, arena *a, const char *folder, const char *name,
                         const char *flag, const char *known, hone_err *err) {
    text path = {0};
    char shown[64];
    str s;
    if (strchr(name, '/')) text_str(&path, name);
    else if (!program_share(&path, arena_print(a, "configs/%s/%s.json", folder, name))) {
        text_free(&path);
        hone_fail(err, HONE_EUSAGE, "--%s: \"%s\" has no file configs/%s/NAME.json", flag,
                  text_escape(shown, sizeof shown, name, strlen(name)), folder);
        return hone_hint(err, "%s, or a file like theirs by its path", known);
    }
    *file = arena_copy(a, path.p, path.n);
    text_free(&path);
    HONE_TRY(file_read(&s, a, *file, 1 << 16, HONE_EUSAGE, err));
    return json_parse(out, a, *file, s.p, s.n, HONE_EUSAGE, err);
}

hone_status figures_number(double *out, const json *o, const char *file, const char *key, hone_err *err) {
    const json *v = json_get(o, key);
    if (!v || v->kind != JSON_NUMBER || !(v->number > 0))
        return hone_fail(err, HONE_EUSAGE, "%s: \"%s\" is %s; expected a number above 0", file, key,
                         v ? json_kind_name(v->kind) : "missing");
    *out = v->number;
    return HONE_OK;
}

const char *figures_name(const json *o, const char *file) {
    const json *name = json_get(o, "name");
    return name && name->kind == JSON_STRING ? name->string.p : file;
}

static hone_status read_network(sim_links *out, char shown[96], arena *a, const char *name, hone_err *err) {
    const json *o;
    const char *file;
    double gpus = 0;
    HONE_TRY(figures_open(
        &o, &file, a, "networks", name, "network",
        "nvlink3 nvlink4 nvlink5 pcie4 ib-hdr200 ib-ndr400 roce-100 roce-200 roce-400 efa-p4d efa-p5 "
        "gcp-a3-high gcp-a3-mega ethernet-25",
        err));
    snprintf(shown, 96, "%s", figures_name(o, file));
    *out = (sim_links){.n = 1};
    HONE_TRY(figures_number(&gpus, o, file, "gpus_per_machine", err));
    if (gpus != floor(gpus) || gpus > 1024)
        return hone_fail(err, HONE_EUSAGE,
                         "%s: \"gpus_per_machine\" is %g; expected an integer from 1 to 1024", file, gpus);
    out->per_node = (int)gpus;
    HONE_TRY(figures_number(&out->node_bytes_per_s, o, file, "machine_bytes_per_s", err));
    HONE_TRY(figures_number(&out->node_latency_s, o, file, "machine_latency_s", err));
    if (!json_get(o, "network_bytes_per_s")) return HONE_OK;
    HONE_TRY(figures_number(&out->net_bytes_per_s, o, file, "network_bytes_per_s", err));
    return figures_number(&out->net_latency_s, o, file, "network_latency_s", err);
}

hone_status network_read(sim_links *out, char shown[96], const char *name, hone_err *err) {
    arena *a = arena_new("network");
    const hone_status status = read_network(out, shown, a, name, err);
    arena_free(a);
    return status;
}
